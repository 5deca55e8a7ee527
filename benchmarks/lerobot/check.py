"""Do LeRobot and this package read each other's datasets? Every frame, stamp, action and task, by LeRobot itself.

    python -m benchmarks.lerobot.check

Demonstrations of barcode frames are exported and read with LeRobot's loader; what LeRobot's recorder wrote is imported
and trains a policy for a few steps. LeRobot runs in an environment of its own (`benchmarks.lerobot.environment`).
"""

from __future__ import annotations

import csv
import json
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import ROOT, entry, finish, make_parser, parse
from benchmarks.lerobot import demos, environment, worker
from benchmarks.lerobot.barcodes import read_barcode
from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.lerobot_export import ExportOptions, camera_stamp, export_lerobot
from spark_ros.data.lerobot_import import ImportOptions, import_lerobot
from spark_ros.robots.spec import load_robot


def run_lerobot(what: str, dataset: Path, file: Path) -> None:
    """Runs `worker` in LeRobot's environment.

    Raises:
        SparkError: It refuses; the sentence ends with what it said last.
    """
    command = [str(environment.LEROBOT.ensure()), "-m", "benchmarks.lerobot.worker", what, str(dataset), str(file)]
    variables = {**environment.variables(), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(command, env=variables, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        said = [line for line in done.stderr.splitlines() if line.strip()]
        raise SparkError(f"LeRobot could not {what} {dataset}: {said[-1] if said else 'it did not say why'}")


def export_mismatches(work: Path, images: bool = False) -> tuple[int, list[str]]:
    """Exports the demonstrations, has LeRobot read them, and compares with what they were made of.

    Args:
        work: An empty folder.
        images: Whether to export images instead of video.

    Returns:
        Rows compared, and what did not match.
    """
    export_lerobot(demos.write_demos(work / "demos"), work / "dataset", ExportOptions(images=images, progress=False))
    run_lerobot("read", work / "dataset", work / "read.npz")
    read = dict(np.load(work / "read.npz"))
    tasks, wrong = json.loads(str(read["task"])), []
    rows = len(tasks)
    counts = [int((read["episode_index"] == episode).sum()) for episode in range(len(demos.LENGTHS))]
    for episode, (found, frames) in enumerate(zip(counts, demos.LENGTHS, strict=True)):
        if not frames - 1 <= found <= frames:  # an observation needs its neighbours, so the last may be missing
            wrong.append(f"episode {episode} has {found} rows of {frames} frames")
    for row in range(rows):
        wrong += [f"row {row}: {what}" for what in _row_mismatches({key: v[row] for key, v in read.items() if v.ndim})]
        if tasks[row] != demos.TASKS[int(read["episode_index"][row])]:
            wrong.append(f"row {row}: task {tasks[row]!r}")
    return rows, wrong


def _row_mismatches(row: dict[str, Any]) -> list[str]:
    episode, stamp = int(row["episode_index"]), int(row["time.stamp_ns"])
    wrong, stamps = [], []
    for number, camera in enumerate(demos.CAMERAS):
        taken = int(row[camera_stamp(camera)])
        stamps.append(taken)
        true = demos.frame_stamps(episode, number)
        seen = read_barcode(row[f"observation.images.{camera}"])
        if taken not in true or seen != (true.index(taken), number):
            wrong.append(f"camera {camera} shows frame {seen}, its stamp is {taken}")
    if stamp != min(stamps):
        wrong.append(f"stamp {stamp}, oldest frame {min(stamps)}")
    later = stamp + round(1e9 / demos.RATE_HZ)
    action = [*demos.commanded(episode, later), demos.width(episode, later)]
    if not np.allclose(row["action"], action, atol=2e-6):
        wrong.append(f"action {row['action']}, expected {action}")
    joints = demos.commanded(episode, stamp - round(demos.LATE_S * 1e9))
    if not np.allclose(row["observation.state"][:7], joints, atol=2e-6):
        wrong.append(f"joints {row['observation.state'][:7]}, expected {joints}")
    if abs(float(row["timestamp"]) - int(row["frame_index"]) / demos.RATE_HZ) > 1e-4:
        wrong.append(f"timestamp {row['timestamp']} of frame {row['frame_index']}")
    return wrong


def write_by_lerobot(work: Path) -> tuple[Path, dict[str, np.ndarray]]:
    """A dataset that LeRobot's recorder wrote, and the joints and actions in it."""
    spec, total = load_robot("fr3"), sum(worker.EPISODES)
    turn = np.linspace(0.0, 0.4, total)[:, None] * np.linspace(-1.0, 1.0, 7)
    state = np.hstack([spec.home + turn, np.linspace(0.08, 0.01, total)[:, None]]).astype(np.float32)
    given = {"names": np.array(spec.joint_names), "robot": np.array("fr3")}
    values = {"state": state, "action": np.vstack([state[1:], state[-1:]])}
    np.savez(work / "given.npz", **given, **values)
    run_lerobot("write", work / "dataset", work / "given.npz")
    return work / "dataset", values


def import_mismatches(work: Path) -> tuple[DemoFolder, int, list[str]]:
    """Has LeRobot record a dataset, imports it, and compares with what it was made of.

    Args:
        work: An empty folder.

    Returns:
        The imported episodes, rows compared, and what did not match.
    """
    dataset, values = write_by_lerobot(work)
    folder = import_lerobot(dataset, work / "demos", ImportOptions(progress=False))
    wrong: list[str] = []
    row, spec = 0, load_robot("fr3")
    for listed, task, length in zip(folder.episodes(), worker.TASKS, worker.EPISODES, strict=True):
        episode = folder.read(listed)
        if listed.task != task or not listed.success or listed.frames != length:
            wrong.append(f"{listed.file}: {listed}")
        state, action = (values[name][row : row + length] for name in ("state", "action"))
        if not np.allclose(episode.joints.columns(spec.joint_names), state[:, :7], atol=1e-6):
            wrong.append(f"{listed.file}: joints")
        if not np.allclose(episode.setpoints.columns(spec.joint_names)[1:], action[:, :7], atol=1e-6):
            wrong.append(f"{listed.file}: setpoints")
        for number, camera in enumerate(demos.CAMERAS):
            seen = [read_barcode(frame.image) for frame in episode.cameras[camera]]
            if seen != [(row + i, number) for i in range(length)]:
                wrong.append(f"{listed.file}: frames of {camera} are {seen}")
        row += length
    return folder, row, wrong


def train_briefly(folder: Path, work: Path) -> Path:
    """A few steps of a policy on an untrained one-block encoder: does it learn from these files?

    Returns:
        The run's folder.
    """
    from spark_ros.training.config import load_config
    from spark_ros.training.policy_loop import train_policy

    overrides = [
        f"out_dir={work / 'run'}",
        f"data.folder={folder}",
        f"cache_dir={work / 'cache'}",
        "data.image_size=28",
        "encoder={name: frozen, weights: 'random:0', block: 1}",
        "augmentation.copies=1",
        "policy.options={width: 32, keypoints: 4}",
        "optimiser.batch_size=16",
        "optimiser.max_steps=4",
        "optimiser.warmup_steps=1",
        "evaluate_every=2",
        "threads=1",
    ]
    return train_policy(load_config(None, overrides))


def _main() -> None:
    options = parse(make_parser(__doc__, "nothing, it is as long as it must be"))
    result: dict[str, Any] = {"lerobot": environment.VERSION}
    with tempfile.TemporaryDirectory() as work:
        for name, images in (("export_video", False), ("export_images", True)):
            (folder := Path(work, name)).mkdir()
            rows, wrong = export_mismatches(folder, images)
            result[name] = {"rows": rows, "mismatches": wrong}
        (folder := Path(work, "import")).mkdir()
        _, rows, wrong = import_mismatches(folder)
        chosen = ImportOptions(task=worker.TASKS[0], progress=False)
        run = train_briefly(import_lerobot(folder / "dataset", folder / "one_task", chosen).path, folder)
        with (run / "metrics.csv").open(encoding="utf-8", newline="") as stream:
            trained = [{key: float(value) for key, value in row.items() if value} for row in csv.DictReader(stream)]
        result["import"] = {"rows": rows, "mismatches": wrong, "training": trained}
    finish(options, "lerobot", result, _show)


def _show(result: Mapping[str, Any]) -> None:
    for name in ("export_video", "export_images", "import"):
        wrong = result[name]["mismatches"]
        print(f"{name}: {result[name]['rows']} rows, {len(wrong)} mismatches", *wrong[:3], sep="\n  ")
    print(f"trained on the import: {result['import']['training'][-1]}")


if __name__ == "__main__":
    entry(_main)
