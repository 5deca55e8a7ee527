"""Records demonstrations from the running graph: ``ros2 run spark_ros record_demos --episodes 20 --folder demos``.

Imports nothing heavy before `main`, so that Ctrl-C finds it prepared from the first moment on.
"""

from __future__ import annotations

import argparse
import signal
import sys
from collections.abc import Sequence

NAME = "record_demos"
INTERRUPTED = 130  # as a shell reports Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Record; the exit code is 0 when the folder holds what was asked for, 2 on a problem, 130 after Ctrl-C."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # a C extension that is interrupted while it loads prints nonsense
    from rclpy.utilities import remove_ros_args

    from spark_ros.bringup.recording_session import record
    from spark_ros.contracts import SparkError

    words = remove_ros_args(sys.argv)[1:] if arguments is None else arguments
    options = _parser().parse_args(words)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # whatever ends the session discards what is being recorded
    try:
        return record(options)
    except SparkError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{NAME}: interrupted; finished episodes are kept, the same command goes on", file=sys.stderr)
        return INTERRUPTED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Record demonstrations of one task from the running graph into a folder, one MCAP file each. "
        "Run it again to go on where it stopped.",
        epilog="With --operator human (the default) drive the arm with any teleoperation device and decide with single "
        "keys: s start, k keep, f keep as a failure, d discard, r record again, q quit.",
    )
    add = parser.add_argument
    add("--episodes", type=int, default=20, help="episodes of the task the folder is to hold (default: %(default)s)")
    add("--folder", help="the recorder's folder; with --bringup where to put one (default: demos)")
    add(
        "--operator",
        choices=("human", "expert", "policy"),
        default="human",
        help="who drives the arm at first; policy: a person takes over and hands back (default: %(default)s)",
    )
    add("--instruction", help="the task in words, stored with each episode (default: what the graph says)")
    add("--sim", action="store_true", help="a human drives the simulated arm: reset it to a new scene per episode")
    add(
        "--seed", type=int, default=0, help="simulator: seed of the first scene, the next follow (default: %(default)s)"
    )
    add(
        "--timeout",
        type=float,
        default=20.0,
        help="expert: seconds after which an attempt failed (default: %(default)s)",
    )
    add("--domain", help="ROS domain (default: ROS_DOMAIN_ID); with --bringup also auto")
    group = parser.add_argument_group("with --bringup")
    group.add_argument("--bringup", action="store_true", help="start the simulated teleop graph, unless one runs")
    group.add_argument("--task", default="lift", help="task of the simulated world (default: %(default)s)")
    group.add_argument("--robot", default="fr3", help="arm (default: %(default)s)")
    group.add_argument("--cameras", default="front,wrist", help="separated by commas (default: %(default)s)")
    group.add_argument("--perturb", action="store_true", help="expert: stray now and then, to show how to come back")
    return parser


if __name__ == "__main__":
    sys.exit(main())
