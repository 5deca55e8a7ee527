"""`spark-ros record`: demonstrations into a folder."""

from __future__ import annotations

import argparse
import sys

from spark_ros.commands.common import Verbs, add_verb, names, natural, positive
from spark_ros.evaluation.seeds import FIRST_DEMO


def add_to(verbs: Verbs) -> None:
    """Adds the verb."""
    parser = add_verb(
        verbs,
        "record",
        "record demonstrations into a folder, one MCAP file each",
        "Record demonstrations until the folder holds as many as asked for; run it again to go on. The expert is\n"
        "recorded in process: the same gateway, topics and messages as in the ROS graph, in simulated time, faster\n"
        "than real time. With --through-ros it is recorded from real nodes in real time.",
        "A person records with `ros2 run spark_ros record_demos` beside a running graph, or from here with\n"
        "--operator human, which is the same program.",
    )
    add = parser.add_argument
    add("--episodes", type=positive, default=60, help="episodes the folder is to hold (default: %(default)s)")
    add("--folder", default="demos", help="where they go (default: %(default)s)")
    add("--operator", choices=("expert", "human"), default="expert", help="who drives (default: %(default)s)")
    add("--task", default="lift", help="task of the simulated world (default: %(default)s)")
    add("--robot", default="fr3", help="the arm (default: %(default)s)")
    add("--seed", type=natural, default=FIRST_DEMO, help="first seed; the next ones count up (default: %(default)s)")
    add(
        "--perturb",
        type=float,
        default=0.5,
        metavar="SHARE",
        help="part of the episodes in which the expert strays on purpose and comes back, 0 to 1, through ROS either 0 "
        "or 1 (default: %(default)s)",
    )
    add("--cameras", type=names, default=("front", "wrist"), help="separated by commas (default: front,wrist)")
    add("--image-size", type=positive, default=128, help="pixels, in process only (default: %(default)s)")
    add("--through-ros", action="store_true", help="record from real nodes in real time, started for the purpose")
    parser.set_defaults(run=_run, interrupted="interrupted; finished episodes are kept, the same command goes on")


def _run(options: argparse.Namespace) -> int:
    from spark_ros.contracts import SparkError

    if not 0.0 <= options.perturb <= 1.0:
        raise SparkError(f"--perturb {options.perturb} is no part of the episodes: give a number from 0 to 1")
    if options.operator == "human" or options.through_ros:
        return _through_ros(options)
    from spark_ros.data.dataset_folder import DemoFolder
    from spark_ros.evaluation.demos import DemoOptions, record_demos

    folder = DemoFolder(options.folder)
    for path in folder.unfinished() if folder.path.is_dir() else []:
        print(f"{path} was left unfinished and does not count: spark-ros data recover {folder.path}", file=sys.stderr)
    settings = DemoOptions(
        options.task, options.robot, options.cameras, options.image_size, options.perturb, options.seed
    )
    episodes = record_demos(options.folder, options.episodes, settings)
    minutes = sum(entry.duration_s for entry in episodes) / 60
    print(f"{options.folder} holds {len(episodes)} demonstrations, {minutes:.1f} minutes")
    return 0


def _through_ros(options: argparse.Namespace) -> int:
    from spark_ros.bringup.record_demos import main
    from spark_ros.contracts import SparkError

    words = ["--episodes", str(options.episodes), "--folder", options.folder, "--operator", options.operator]
    if options.operator == "expert":
        if options.perturb not in (0.0, 0.5, 1.0):  # 0.5 is the default of the command line
            raise SparkError(f"--perturb {options.perturb} with --through-ros: give 0 or 1, for all episodes alike")
        words += ["--bringup", "--domain", "auto", "--seed", str(options.seed), "--task", options.task]
        words += ["--robot", options.robot, "--cameras", ",".join(options.cameras)]
        words += ["--perturb"] if options.perturb else []
    return main(words)
