"""`spark-ros data`: what is in a folder of demonstrations."""

from __future__ import annotations

import argparse
from statistics import median

from spark_ros.commands.common import Verbs, add_verb, names


def add_to(verbs: Verbs) -> None:
    """Adds the verb."""
    parser = add_verb(verbs, "data", "look into a folder of demonstrations, check it, recover torn episodes")
    what = parser.add_subparsers(metavar="<what>", required=True)
    info = add_verb(what, "info", "list the episodes")
    info.set_defaults(run=_info)
    validate = add_verb(
        what,
        "validate",
        "read every episode and check that it can be learned from",
        "Check hashes, streams, pauses and values of every episode. Exit status 1 if one cannot be used.",
    )
    validate.add_argument("--cameras", type=names, default=(), help="that each must have (default: all in the first)")
    validate.set_defaults(run=_validate)
    recover = add_verb(
        what,
        "recover",
        "finish the .part files of a recorder that was killed",
        "Turn the .part files of a killed recorder into episodes that hold everything up to the tear. Nobody said\n"
        "that they were successful, so training leaves them out.",
    )
    recover.set_defaults(run=_recover)
    latency = add_verb(
        what,
        "latency",
        "measure how far arm and gripper lag behind what they are told",
        "Measure from recordings by how much time the measured joints are late. The difference between two arms is\n"
        "what the gateway's arm_lead_s and gripper_lead_s make up for, where a policy moves to another arm.",
    )
    latency.set_defaults(run=_latency)
    for parser in (info, validate, recover, latency):
        parser.add_argument("folder", help="the folder of demonstrations")


def _info(options: argparse.Namespace) -> int:
    from spark_ros.data.dataset_folder import DemoFolder

    folder = DemoFolder(options.folder)
    episodes = folder.episodes()
    said = {True: "success", False: "failure", None: "unknown"}
    for entry in episodes:
        seed = "" if entry.seed is None else f"seed {entry.seed}"
        print(f"{entry.file}  {entry.duration_s:6.1f} s  {entry.frames:5d} frames  {said[entry.success]}  {seed}")
    minutes = sum(entry.duration_s for entry in episodes) / 60
    successes = sum(entry.success is True for entry in episodes)
    print(f"{len(episodes)} episodes, {successes} successful, {minutes:.1f} minutes")
    for task, robot in sorted({(entry.task, entry.robot) for entry in episodes}):
        print(f"task: {task} ({robot})")
    for path in folder.unfinished():
        print(f"not counted: {path.name}; spark-ros data recover {options.folder}")
    return 0


def _validate(options: argparse.Namespace) -> int:
    from spark_ros.contracts import SparkError
    from spark_ros.data.dataset_folder import DemoFolder
    from spark_ros.data.validate import check_episode
    from spark_ros.robots.spec import load_robot

    folder = DemoFolder(options.folder)
    entries = folder.episodes()
    cameras, bad = options.cameras, 0
    for entry in entries:
        try:
            episode = folder.read(entry)
            cameras = cameras or tuple(episode.cameras)
            robot = load_robot(entry.robot)
            check_episode(episode, cameras, (*robot.joint_names, *robot.gripper.joint_names))
        except SparkError as error:
            bad += 1
            print(f"bad  {error}")
    print(
        f"{len(entries) - bad} of {len(entries)} episodes can be learned from, cameras {', '.join(cameras) or 'none'}"
    )
    return 1 if bad else 0


def _latency(options: argparse.Namespace) -> int:
    from spark_ros.contracts import SparkError
    from spark_ros.data.dataset_folder import DemoFolder
    from spark_ros.data.lag import FINGERS_MOVED, MOVED, measured_lag
    from spark_ros.robots.spec import load_robot

    folder, found = DemoFolder(options.folder), dict[str, list[float]](arm=[], gripper=[])
    for entry in folder.episodes():
        episode, robot = folder.read(entry), load_robot(entry.robot)
        said = []
        parts = (("arm", robot.joint_names, MOVED), ("gripper", robot.gripper.joint_names, FINGERS_MOVED))
        for part, joints, moved in parts:
            lag = measured_lag(episode.setpoints, episode.joints, joints, moved)
            if lag is not None:
                found[part].append(lag.lag_s)
                said.append(f"{part} {1e3 * lag.lag_s:.0f} ms ({lag.rms_unshifted:.4f} -> {lag.rms:.4f})")
        print(f"{entry.file}  {', '.join(said) or 'moved too little'}")
    if not any(found.values()):
        raise SparkError(f"no episode in {options.folder} moves enough to measure a lag: record one that does")
    for part, lags in found.items():
        if lags:
            print(f"{part}: median {1e3 * median(lags):.0f} ms of {len(lags)} episodes")
    return 0


def _recover(options: argparse.Namespace) -> int:
    from spark_ros.contracts import SparkError
    from spark_ros.data.dataset_folder import DemoFolder

    folder = DemoFolder(options.folder)
    if not folder.path.is_dir():
        folder.episodes()  # says that there is none
    lost = 0
    with folder.recording():
        torn = folder.unfinished()
        for path in torn:
            try:
                entry = folder.recover(path) if path.suffix == ".part" else folder.add(path)
                print(f"recovered {entry.file}: {entry.frames} frames, {entry.duration_s:.1f} s")
            except SparkError as error:
                lost += 1
                print(f"lost  {error}")
    if not torn:
        print(f"nothing to recover in {folder.path}")
    return 1 if lost else 0
