"""`spark-ros data export`, `import` and `push`: to others' formats and back."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from spark_ros.commands import data_rerun
from spark_ros.commands.common import Verbs, add_verb, names, positive

_SUCCESS = {"yes": True, "no": False, "unknown": None}


def add_to(what: Verbs) -> None:
    """Adds the verbs to those of `spark-ros data`."""
    _add_export(add_verb(what, "export", "write demonstrations in another format").add_subparsers(
        metavar="<format>", required=True
    ))  # fmt: skip
    _add_import(add_verb(what, "import", "make demonstrations of another format").add_subparsers(
        metavar="<format>", required=True
    ))  # fmt: skip
    push = add_verb(
        what,
        "push",
        "upload an exported dataset to the Hugging Face hub",
        "Upload a LeRobot dataset to the Hugging Face hub. Needs huggingface_hub, and a login (`hf auth login`).",
    )
    push.add_argument("folder", type=Path, help="the dataset, from `spark-ros data export lerobot`")
    push.add_argument("repository", help="its name on the hub, user/name")
    push.add_argument("--public", action="store_true", help="for all to see (default: private)")
    push.set_defaults(run=_push)


def _add_export(formats: Verbs) -> None:
    lerobot = add_verb(
        formats,
        "lerobot",
        "write a LeRobotDataset v3.0",
        "Write the episodes as a LeRobotDataset v3.0: one row for each observation that a policy would have formed,\n"
        "with what was commanded one period later. True stamps stand in time.*; see docs/data.md.",
    )
    add = lerobot.add_argument
    add("folder", help="the folder of demonstrations")
    add("--out", type=Path, required=True, help="the dataset's folder; must not exist")
    add("--cameras", type=names, default=(), help="which, in order (default: all of the first episode)")
    add("--action", choices=("joint_position", "ee_pose"), default="joint_position", help="what actions are, absolute")
    add("--images", action="store_true", help="store PNG images, without loss, instead of video")
    add("--failures", action="store_true", help="also episodes that are not marked as successful")
    add("--fps", type=positive, help="rows per second (default: as measured)")
    lerobot.set_defaults(run=_export)
    data_rerun.add_to(formats)


def _add_import(formats: Verbs) -> None:
    lerobot = add_verb(
        formats,
        "lerobot",
        "make episodes of a LeRobotDataset v3.0",
        "Make episodes of a LeRobotDataset v3.0 whose actions are absolute joint positions. What is not plain from\n"
        "the names of its numbers must be said.",
    )
    add = lerobot.add_argument
    add("dataset", type=Path, help="the dataset's folder")
    add("--out", type=Path, required=True, help="the folder of demonstrations; must not exist")
    add("--robot", default="", help="which arm it is of (default: what the dataset says)")
    add("--cameras", type=names, default=(), help="which (default: all)")
    add("--joints", type=names, default=(), help="names or numbers of the arm's joints, base to tool")
    add("--gripper", default="", help="name or number of the gripper's opening")
    add("--gripper-range", type=_range, help="its values when closed and open, e.g. 0,100 (default: it is in m)")
    add("--degrees", action="store_true", help="joints are in degrees")
    add("--task", default="", help="only the episodes of this task; a folder to train on holds one (default: all)")
    add("--success", choices=tuple(_SUCCESS), default="yes", help="where the dataset does not say (default: yes)")
    lerobot.set_defaults(run=_import)


def info(folder: Path, as_json: bool) -> int:
    """Describe a dataset, for `spark-ros data info`."""
    from spark_ros.data.lerobot_dataset import VERSION, LerobotDataset

    dataset = LerobotDataset(folder)
    episodes = dataset.episodes()
    rows = sum(int(row["length"]) for row in episodes)
    tasks = sorted({str(task) for row in episodes for task in row.get("tasks") or ()})
    if as_json:
        found = {"format": f"LeRobot {VERSION}", "episodes": len(episodes), "rows": rows, "fps": dataset.fps}
        print(json.dumps({**found, "robot": dataset.robot, "tasks": tasks, "features": dataset.features}))
        return 0
    print(f"LeRobot dataset {VERSION} of {dataset.robot or 'an unnamed robot'}")
    print(f"{len(episodes)} episodes, {rows} rows at {dataset.fps:g} per second, {rows / dataset.fps / 60:.1f} minutes")
    for name, feature in dataset.features.items():
        shape = "x".join(map(str, feature["shape"]))
        print(f"  {name:32} {feature['dtype']:8} {shape}")
    for task in tasks:
        print(f"task: {task}")
    return 0


def _range(text: str) -> tuple[float, float]:
    """Two different numbers."""
    try:
        closed, opened = map(float, text.split(","))
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form 0,100") from None
    if closed == opened:
        raise argparse.ArgumentTypeError("closed and open have the same value")
    return closed, opened


def _export(options: argparse.Namespace) -> int:
    from spark_ros.contracts import ActionKind
    from spark_ros.data.dataset_folder import DemoFolder
    from spark_ros.data.lerobot_export import ExportOptions, export_lerobot

    done = export_lerobot(
        DemoFolder(options.folder),
        options.out,
        ExportOptions(
            cameras=options.cameras,
            action=ActionKind(options.action),
            images=options.images,
            failures=options.failures,
            fps=options.fps,
        ),
    )
    print(f"{options.out}: {done.episodes} episodes, {done.rows} rows at {done.fps} per second")
    if done.uneven:
        print(f"{done.uneven} rows came late, which LeRobot's even timestamps hide; time.stamp_ns has the true ones")
    return 0


def _import(options: argparse.Namespace) -> int:
    from spark_ros.data.lerobot_import import ImportOptions, import_lerobot
    from spark_ros.data.lerobot_joints import JointOptions

    joints = JointOptions(options.joints, options.gripper, options.gripper_range, options.degrees)
    imported = import_lerobot(
        options.dataset,
        options.out,
        ImportOptions(options.robot, options.cameras, joints, options.task, _SUCCESS[options.success]),
    )
    entries = imported.episodes()
    print(f"{options.out}: {len(entries)} episodes, {sum(entry.frames for entry in entries)} frames")
    return 0


def _push(options: argparse.Namespace) -> int:
    from spark_ros.data.hub import push_dataset

    print(push_dataset(options.folder, options.repository, private=not options.public))
    return 0
