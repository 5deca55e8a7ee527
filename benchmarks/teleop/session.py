"""A whole recording session in the simulator, by a device without a hand, and what is made of its episodes."""

from __future__ import annotations

import csv
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.teleop.operators import DEVICES, MOTIONS, PATIENCE_S, Operator, Terminal
from spark_ros.bringup.supervisor import Bringup
from spark_ros.bundle.load import load_bundle
from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.robots.spec import load_robot

ROBOT = "fr3"
FIRST_SEED = 40
MOTION_S = 1.5  # a motion, the gripper, another motion
MOVED_RAD = 0.01


def record(device: str, decisions: str, work: Path) -> dict[str, Any]:
    """One session with `record_demos` on the simulated arm; refuses where an episode is not what it should be.

    Args:
        device: One of `operators.DEVICES`.
        decisions: What the person does with each recording: k keep, d discard, r discard and record again at once.
        work: An empty folder; the episodes go to ``demos`` in it.

    Returns:
        How many recordings, and what became of them.

    Raises:
        SparkError: A node ended or refused, or the folder does not hold what was decided.
    """
    kept = decisions.count("k")
    arguments = {"sim": "true", "operator": "human", "folder": str(work / "demos"), "domain": "auto", "robot": ROBOT}
    begin = time.monotonic()
    with Bringup("teleop", arguments, log_directory=work / "logs") as graph:
        graph.wait_ready()
        with DEVICES[device](graph.environment, work) as operator:
            words = ("--operator", "human", "--sim", "--episodes", str(kept), "--seed", str(FIRST_SEED))
            session = Terminal("spark_ros.bringup.record_demos", *words, environment=graph.environment)
            try:
                _decide(session, operator, decisions)
                session.expect(f"holds {kept} successful episodes")
                if session.process.wait(PATIENCE_S) != 0:
                    raise SparkError(f"record_demos ended with exit code {session.process.returncode}")
            finally:
                session.end()
        graph.check()
    return {
        "recordings": len(decisions),
        "kept": kept,
        "discarded": decisions.count("d"),
        "recorded_again": decisions.count("r"),
        "seconds": round(time.monotonic() - begin, 1),
        "episodes": _checked(DemoFolder(work / "demos"), kept),
    }


def train(folder: Path, work: Path, *overrides: str, precision: str = "fp32") -> dict[str, Any]:
    """A policy from the episodes, with the commands that a user types, to a bundle that loads.

    Args:
        folder: The episodes.
        work: Where run, features and bundle go.
        overrides: Of the training's configuration.
        precision: Of the bundle's encoder.

    Raises:
        SparkError: A command refuses.
    """
    given = (f"data.folder={folder}", f"out_dir={work / 'run'}", f"robot={ROBOT}", f"cache_dir={work / 'cache'}")
    _spark_ros("train", "policy", *given, *overrides)
    _spark_ros("export", "--run", str(work / "run"), "--out", str(work / "bundle"), "--precision", precision)
    _spark_ros("bundle", "verify", str(work / "bundle"))
    with (work / "run" / "metrics.csv").open(encoding="utf-8", newline="") as stream:
        metrics = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(stream)]
    manifest = load_bundle(work / "bundle").manifest
    return {"metrics": metrics, "bundle_robot": manifest.robot, "bundle_cameras": list(manifest.cameras)}


def _decide(session: Terminal, operator: Operator, decisions: str) -> None:
    again = False
    for number, decision in enumerate(decisions):
        if not again:
            session.expect("s: start")
            session.type("s")
        session.expect("recording;")
        operator.move(MOTIONS[number % len(MOTIONS)])
        time.sleep(MOTION_S)
        operator.grip()
        operator.move(MOTIONS[(number + 1) % len(MOTIONS)])
        time.sleep(MOTION_S)
        operator.rest()
        session.type(decision)
        again = decision == "r"


def _checked(folder: DemoFolder, kept: int) -> list[dict[str, Any]]:
    """What is to be said of each episode, if it is what the person has driven."""
    spec, entries = load_robot(ROBOT), folder.episodes()
    if len(entries) != kept or folder.unfinished():
        raise SparkError(f"{folder.path} holds {len(entries)} episodes and {folder.unfinished()}, not {kept} and none")
    found = []
    for entry in entries:
        episode = folder.read(entry)
        moved = float(np.ptp(episode.setpoints.columns(spec.joint_names), axis=0).max())
        led = episode.modes.driven_by("teleop", episode.setpoints.stamps_ns).any()
        held = episode.teleop is not None and episode.teleop.deadman.any()
        if not (entry.success and episode.metadata.operator == "human" and held and led and moved > MOVED_RAD):
            raise SparkError(f"{entry.file} was not driven as it should be: it moved by {moved:.3f} rad, {entry}")
        about = {"seed": entry.seed, "frames": entry.frames, "duration_s": entry.duration_s, "flags": list(entry.flags)}
        found.append({**about, "moved_rad": round(moved, 3)})
    return found


def _spark_ros(*words: str) -> None:
    done = subprocess.run([sys.executable, "-m", "spark_ros.cli", *words], capture_output=True, text=True)
    if done.returncode != 0:
        raise SparkError(f"spark-ros {' '.join(words[:2])} refused: {done.stderr.strip()[-500:]}")
