"""The whole way once, as a user types it: record, train, export, evaluate in process and through ROS.

Small enough for every commit (an untrained encoder, two hundred steps), so it proves that the parts fit, not that the
policy is any good; `make train-demo` does that.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "unit" / "bundle"))  # bundle_for_tests

from bundle_for_tests import write_bundle

pytestmark = pytest.mark.ros

ENCODER = "encoder={name: frozen, weights: 'random:0', block: 2}"
TRAINING = (ENCODER, "data.image_size=56", "augmentation.copies=0", "optimiser.max_steps=200", "evaluate_every=200")


def heed_interrupts() -> None:
    """A suite started in the background ignores SIGINT, and its children would inherit that."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def start(folder: Path, *words: str) -> subprocess.Popen[str]:
    environment = {**os.environ, "XDG_CACHE_HOME": str(folder / "cache"), "ROS_LOG_DIR": str(folder / "ros_log")}
    return subprocess.Popen(
        [sys.executable, "-m", "spark_ros.cli", *words],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        preexec_fn=heed_interrupts,
    )


def spark_ros(folder: Path, *words: str) -> str:
    """What it printed; it must succeed."""
    process = start(folder, *words)
    out, err = process.communicate(timeout=300)
    assert process.returncode == 0, f"spark-ros {' '.join(words)}\n{out}\n{err}"
    return out


def wait_for(condition, process: subprocess.Popen[str], seconds: float = 60.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert process.poll() is None, process.communicate()
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)


def test_from_nothing_to_a_report(tmp_path: Path) -> None:
    spark_ros(tmp_path, "record", "--episodes", "3", "--folder", "demos")
    assert "3 of 3 episodes can be learned from" in spark_ros(tmp_path, "data", "validate", "demos")
    spark_ros(tmp_path, "train", "policy", "data.folder=demos", "out_dir=run", *TRAINING)
    spark_ros(tmp_path, "export", "--run", "run", "--out", "bundle", "--precision", "fp32")
    assert "works on this machine" in spark_ros(tmp_path, "bundle", "verify", "bundle")
    for way in ([], ["--through-ros"]):
        out = spark_ros(
            tmp_path, "eval", "--bundle", "bundle", "--episodes", "1", "--json", "--videos", "--out", "out", *way
        )
        found = json.loads(out.splitlines()[-1])
        assert found["episodes"] == 1
        assert found["latency_ms"]["p50"] > 0.0
        assert "data:video/mp4" in (tmp_path / "out" / "report.html").read_text()
    assert found["mode"] == "through ROS"


def test_ctrl_c_during_an_evaluation_through_ros_loses_nothing(tmp_path: Path) -> None:
    write_bundle(tmp_path / "tiny")
    words = ("eval", "--bundle", "tiny", "--through-ros", "--episodes", "6", "--out", "out", "--json")
    log = tmp_path / "out" / "episodes.jsonl"

    def finished() -> int:
        return log.read_text().count('"ending"') if log.exists() else 0

    process = start(tmp_path, *words)
    wait_for(lambda: finished() >= 2, process)
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("spark-ros: interrupted; finished episodes are kept")
    assert "Traceback" not in err
    kept = finished()
    assert 2 <= kept < 6
    before = log.read_text()
    assert json.loads(spark_ros(tmp_path, *words).splitlines()[-1])["episodes"] == 6
    assert log.read_text().startswith(before)


def test_ctrl_c_during_recording_leaves_whole_episodes_and_the_same_command_goes_on(tmp_path: Path) -> None:
    words = ("record", "--episodes", "2", "--folder", "demos", "--image-size", "32")
    index = tmp_path / "demos" / "index.json"
    process = start(tmp_path, *words)
    wait_for(index.exists, process)
    time.sleep(0.3)  # into the second episode
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    assert process.returncode == 130
    assert err.splitlines()[-1].startswith("spark-ros: interrupted; finished episodes are kept")
    assert "Traceback" not in err
    assert not list((tmp_path / "demos").glob("*.part"))
    spark_ros(tmp_path, *words)
    seeds = [entry["seed"] for entry in json.loads(index.read_text())["episodes"]]
    assert seeds == [100_000, 100_001]
