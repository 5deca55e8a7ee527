"""`spark-ros data`: look into demonstrations, check, repair, arrange and replay them."""

from __future__ import annotations

import argparse
import json
from pathlib import Path
from statistics import median
from typing import Any

from spark_ros.commands import data_lerobot
from spark_ros.commands.common import Verbs, add_verb, names, natural

_SPLIT = "train=0.9,validation=0.1"


def add_to(verbs: Verbs) -> None:
    """Adds the verb."""
    parser = add_verb(verbs, "data", "look into demonstrations, check, repair, convert, arrange and replay them")
    what = parser.add_subparsers(metavar="<what>", required=True)
    info = add_verb(what, "info", "list the episodes of a folder, or describe a LeRobot dataset")
    info.add_argument("--json", action="store_true", help="print one JSON object instead")
    info.set_defaults(run=_info)
    validate = add_verb(
        what,
        "validate",
        "look at every stream and frame for what should not be learned from",
        "Check hashes, gaps, clocks, duplicates, frozen pictures, jumps, NaN and limits of every episode. Exit status\n"
        "1 if one cannot be learned from.",
    )
    validate.add_argument("--cameras", type=names, default=(), help="that each must have (default: all in the first)")
    validate.add_argument("--report", type=Path, help="write an HTML page with plots to this file")
    validate.set_defaults(run=_validate)
    recover = add_verb(
        what,
        "recover",
        "save what is left of torn recordings",
        "Make episodes of the .part files of a killed recorder and of torn .mcap files, with everything up to the\n"
        "tear. The torn file stays as it is, called .torn. Nobody said that these episodes were successful, so\n"
        "training leaves them out.",
    )
    recover.add_argument("--out", type=Path, help="with a single torn file: the episode to write")
    recover.set_defaults(run=_recover)
    latency = add_verb(
        what,
        "latency",
        "measure how far arm and gripper lag behind what they are told",
        "Measure from recordings by how much time the measured joints are late. The difference between two arms is\n"
        "what the gateway's arm_lead_s and gripper_lead_s make up for, where a policy moves to another arm.",
    )
    latency.set_defaults(run=_latency)
    stats = add_verb(what, "stats", "statistics of what a policy would learn from")
    stats.add_argument("--json", action="store_true", help="print one JSON object instead")
    stats.set_defaults(run=_stats)
    replay = add_verb(
        what,
        "replay",
        "replay an episode in the simulator, or on the arm of the running graph",
        "Replay the recorded setpoints through the gateway, in the simulator or, with --arm, in the policy's\n"
        "place in the running graph. The way to their beginning starts where the arm is.",
    )
    replay.add_argument("--episode", type=natural, default=0, help="counted from 0, as listed by info (default: 0)")
    replay.add_argument("--arm", action="store_true", help="on the arm of the running graph; it will move")
    replay.add_argument("--speed", type=float, default=1.0, help="part of the recorded pace, at most 1 (default: 1)")
    replay.add_argument("--task", default="", help="simulated task (default: the one that the episode describes)")
    replay.set_defaults(run=_replay)
    split = add_verb(
        what,
        "split",
        "copy the episodes into several folders, by chance",
        "Copy the episodes into several folders, by "
        "chance; which goes where depends on its content and the seed alone.",
    )
    split.add_argument("--parts", type=_parts, default=_SPLIT, help=f"names and shares (default: {_SPLIT})")
    split.add_argument("--seed", type=int, default=0, help="another one, another split (default: 0)")
    split.add_argument("--out", type=Path, required=True, help="gets a folder for each part; must not exist")
    split.set_defaults(run=_split)
    for parser in (info, validate, recover, latency, stats, replay, split):
        parser.add_argument("folder", help="the folder of demonstrations")
    merge = add_verb(what, "merge", "copy the episodes of several folders into one, equal ones once")
    merge.add_argument("folders", nargs="+", help="the folders of demonstrations, in order")
    merge.add_argument("--out", type=Path, required=True, help="the new folder; must not exist")
    merge.set_defaults(run=_merge)
    data_lerobot.add_to(what)


def _parts(text: str) -> dict[str, float]:
    """Shares by name, of the form `train=0.9,validation=0.1`."""
    try:
        pairs = [part.split("=") for part in names(text)]
        return {name.strip(): float(share) for name, share in pairs}
    except ValueError:
        raise argparse.ArgumentTypeError(f"{text!r} is not of the form {_SPLIT}") from None


def _info(options: argparse.Namespace) -> int:
    from dataclasses import asdict

    from spark_ros.data.dataset_folder import DemoFolder

    if (Path(options.folder) / "meta" / "info.json").is_file():
        return data_lerobot.info(Path(options.folder), options.json)
    folder = DemoFolder(options.folder)
    episodes = folder.episodes()
    if options.json:
        unfinished = [path.name for path in folder.unfinished()]
        print(json.dumps({"episodes": [asdict(entry) for entry in episodes], "unfinished": unfinished}))
        return 0
    said = {True: "success", False: "failure", None: "unknown"}
    for entry in episodes:
        seed = "" if entry.seed is None else f"seed {entry.seed}"
        print(f"{entry.file}  {entry.duration_s:6.1f} s  {entry.frames:5d} frames  {said[entry.success]}  {seed}")
    minutes = sum(entry.duration_s for entry in episodes) / 60
    successes = sum(entry.success is True for entry in episodes)
    megabytes = sum(folder.file(entry).stat().st_size for entry in episodes) / 1e6
    print(f"{len(episodes)} episodes, {successes} successful, {minutes:.1f} minutes, {megabytes:.1f} MB")
    for task, robot in sorted({(entry.task, entry.robot) for entry in episodes}):
        print(f"task: {task} ({robot})")
    if episodes:
        for camera, frames in folder.read(episodes[0]).cameras.items():
            height, width, _ = frames[0].image.shape
            print(f"camera: {camera}, {width}x{height} pixels, {_rate(frames.stamps_ns):.1f} per second")
    for path in folder.unfinished():
        print(f"not counted: {path.name}; spark-ros data recover {options.folder}")
    return 0


def _rate(stamps_ns: Any) -> float:
    """Messages per second."""
    seconds = float(stamps_ns[-1] - stamps_ns[0]) * 1e-9
    return (len(stamps_ns) - 1) / seconds if seconds > 0.0 else 0.0


def _validate(options: argparse.Namespace) -> int:
    from datetime import datetime, timezone

    from spark_ros.contracts import SparkError
    from spark_ros.data.dataset_folder import DemoFolder
    from spark_ros.data.progress import data_bar
    from spark_ros.data.validate_folder import validate_folder
    from spark_ros.data.validation_page import validation_page

    folder = DemoFolder(options.folder)
    found = []
    with data_bar("inspecting", len(folder.episodes()), "episode") as bar:
        for episode in validate_folder(folder, options.cameras, plots=options.report is not None):
            found.append(episode)
            for finding in episode.findings:
                bar.write(f"{finding.severity.value}  {episode.entry.file}: {finding.sentence}")
            bar.update()
    bad = sum(episode.verdict == "bad" for episode in found)
    odd = sum(episode.verdict == "odd" for episode in found)
    also = f", look at {odd} of them" if odd else ""
    print(f"{len(found) - bad} of {len(found)} episodes can be learned from{also}")
    if options.report is not None:
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        try:
            options.report.parent.mkdir(parents=True, exist_ok=True)
            options.report.write_text(validation_page(f"Demonstrations in {folder.path}", found, created))
        except OSError as error:
            raise SparkError(f"cannot write {options.report}: {error.strerror}; choose another file") from error
        print(f"wrote {options.report}")
    return 1 if bad else 0


def _recover(options: argparse.Namespace) -> int:
    from spark_ros.contracts import SparkError
    from spark_ros.data.dataset_folder import DemoFolder
    from spark_ros.data.episode_reader import read_episode
    from spark_ros.data.recover import recover_listed, recover_single

    if Path(options.folder).is_file():
        if options.out is None:
            raise SparkError(f"{options.folder} is a single file: say with --out where the episode is to be written")
        joints = read_episode(recover_single(Path(options.folder), options.out)).joints
        print(f"recovered {options.out}: {len(joints)} joint states; {options.folder} is as it was")
        return 0
    folder = DemoFolder(options.folder)
    if not folder.path.is_dir():
        folder.episodes()  # says that there is none
    lost = 0
    with folder.recording():
        torn = folder.unfinished()
        for path in torn:
            try:
                entry = recover_listed(folder, path)
                print(f"recovered {entry.file}: {entry.frames} frames, {entry.duration_s:.1f} s")
            except SparkError as error:
                lost += 1
                print(f"lost  {error}")
    if not torn:
        print(f"nothing to recover in {folder.path}")
    return 1 if lost else 0


def _stats(options: argparse.Namespace) -> int:
    from spark_ros.data.dataset_folder import DemoFolder
    from spark_ros.data.folder_statistics import folder_statistics

    found = folder_statistics(DemoFolder(options.folder))
    if options.json:
        print(json.dumps(found.to_json()))
        return 0
    for title, labels, numbers in (
        ("state", found.state_names, found.state),
        ("action", found.action_names, found.action),
    ):
        print(f"{title:24}{'mean':>9}{'std':>9}{'min':>9}{'1%':>9}{'50%':>9}{'99%':>9}{'max':>9}")
        rows = (numbers.mean, numbers.std, numbers.minimum, numbers.q01, numbers.q50, numbers.q99, numbers.maximum)
        for index, label in enumerate(labels):
            print(f"  {label:22}" + "".join(f"{row[index]:9.3f}" for row in rows))
    total = sum(found.durations_s)
    print(f"{len(found.durations_s)} successful episodes, {total / 60:.1f} minutes, {found.state.count} observations")
    lengths = found.durations_s
    print(f"length: median {median(lengths):.1f} s, {min(lengths):.1f} to {max(lengths):.1f}")
    print(f"observations per second: median {median(found.rates_hz):.2f}")
    for task, count in found.tasks.items():
        print(f"task: {task} ({count} episodes)")
    return 0


def _replay(options: argparse.Namespace) -> int:
    from spark_ros.contracts import SparkError
    from spark_ros.data.dataset_folder import DemoFolder

    folder = DemoFolder(options.folder)
    entries = folder.episodes()
    if options.episode >= len(entries):
        raise SparkError(f"{folder.path} has {len(entries)} episodes, --episode {options.episode} is none of them")
    episode = folder.read(entries[options.episode])
    if options.arm:
        from spark_ros.data.progress import data_bar
        from spark_ros.data.replay import Replay
        from spark_ros.nodes.replay import replay_on_arm
        from spark_ros.robots.spec import load_robot

        spec = load_robot(entries[options.episode].robot)
        plan = Replay(episode, spec, options.speed)
        with data_bar("replaying", round(plan.duration_s), "s") as bar:
            replay_on_arm(plan, spec, lambda seconds: bar.update(seconds - bar.n))
        print(f"replayed {entries[options.episode].file}; the gateway holds the arm")
        return 0
    from spark_ros.evaluation.replay import replay_in_simulator

    done = replay_in_simulator(episode, options.task, options.speed)
    print(
        f"{entries[options.episode].file}: {'success' if done.success else 'no success'} in {done.seconds:.1f} s, "
        f"{1e3 * done.rms_rad:.1f} mrad (rms) from where the recorded arm was, at most {1e3 * done.largest_rad:.1f}"
    )
    if done.ending:
        print(f"stopped by the gateway: {done.ending}")
    return 0 if done.success and not done.ending else 1


def _split(options: argparse.Namespace) -> int:
    from spark_ros.data.arrange import split_folder
    from spark_ros.data.dataset_folder import DemoFolder

    for name, count in split_folder(DemoFolder(options.folder), options.out, options.parts, options.seed).items():
        print(f"{options.out / name}: {count} episodes")
    return 0


def _merge(options: argparse.Namespace) -> int:
    from spark_ros.data.arrange import merge_folders
    from spark_ros.data.dataset_folder import DemoFolder

    copied, twins = merge_folders([DemoFolder(folder) for folder in options.folders], options.out)
    print(f"{options.out}: {copied} episodes" + (f", {twins} were there twice" if twins else ""))
    return 0


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
