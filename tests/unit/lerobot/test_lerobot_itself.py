"""LeRobot's own loader and recorder, where its environment has been made, against ours."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.common import ROOT
from benchmarks.lerobot import check, worker
from benchmarks.lerobot.environment import LEROBOT
from spark_ros.data.lerobot_import import ImportOptions, import_lerobot

created = pytest.mark.skipif(
    not LEROBOT.is_created(), reason="python -m benchmarks.lerobot.environment has not been run here"
)


@created
@pytest.mark.parametrize("images", [False, True])
def test_lerobot_reads_every_frame_stamp_action_and_task(tmp_path: Path, images: bool) -> None:
    rows, wrong = check.export_mismatches(tmp_path, images)
    assert rows >= 70 and not wrong


@created
def test_what_lerobot_recorded_comes_whole_and_trains_a_policy(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    _, rows, wrong = check.import_mismatches(tmp_path)
    assert rows == sum(worker.EPISODES) and not wrong
    one = import_lerobot(tmp_path / "dataset", tmp_path / "one", ImportOptions(task=worker.TASKS[0], progress=False))
    assert (check.train_briefly(one.path, tmp_path) / "metrics.csv").stat().st_size > 0


def test_what_runs_in_lerobots_environment_needs_nothing_of_ours() -> None:
    code = "import sys, benchmarks.lerobot.worker as w; print(*{m.split('.')[0] for m in sys.modules})"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert not {"spark_ros", "torch", "av", "cv2"} & set(answer.stdout.split())
