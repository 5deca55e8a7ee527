"""Records demonstrations from the running graph: ``ros2 run spark_ros record_demos --episodes 20 --folder demos``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from rclpy.utilities import remove_ros_args
from tqdm import tqdm

from spark_ros import topics
from spark_ros.bringup.domain import DomainInUseError
from spark_ros.bringup.supervisor import Bringup
from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.nodes.demo_client import DemoClient
from spark_ros.nodes.demo_sessions import Plan, record_by_itself, record_with_keys
from spark_ros.nodes.terminal import single_keys
from spark_ros.robots.spec import robot_names

NAME = "record_demos"
INTERRUPTED = 130  # as a shell reports Ctrl-C


def main(arguments: Sequence[str] | None = None) -> int:
    """Record; the exit code is 0 when the folder holds what was asked for, 2 on a problem, 130 after Ctrl-C."""
    words = remove_ros_args(sys.argv)[1:] if arguments is None else arguments
    options = _parser().parse_args(words)
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)  # whatever ends the session discards what is being recorded
    try:
        return _record(options)
    except SparkError as error:
        print(f"{NAME}: {error}", file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        print(f"{NAME}: interrupted; finished episodes are kept, the same command goes on", file=sys.stderr)
        return INTERRUPTED


def _record(options: argparse.Namespace) -> int:
    scripted = options.operator == "expert"
    with ExitStack() as stack:
        keys = None if scripted else stack.enter_context(single_keys(NAME))
        domain_id = None
        if options.bringup:
            domain_id = _bring_up(options, stack)
        elif options.domain is not None:
            domain_id = _domain(options.domain)
        client = stack.enter_context(DemoClient(domain_id))
        simulated = scripted or options.sim
        client.require(simulator=simulated)
        client.require_operator()
        plan = Plan(
            folder=DemoFolder(_folder(options, client)),
            instruction=options.instruction or client.parameter("recorder", "task"),
            episodes=options.episodes,
            operator=options.operator,
            first_seed=options.seed if simulated else None,
            timeout_s=options.timeout,
        )
        if not plan.instruction.strip():
            raise SparkError("nobody has said in words what is being shown: add --instruction 'pick up the red cube'")
        for path in plan.folder.unfinished() if plan.folder.path.is_dir() else []:
            print(f"{NAME}: {path} was left unfinished and does not count", file=sys.stderr)
        bar = stack.enter_context(
            tqdm(total=plan.episodes, initial=min(len(plan.recorded()), plan.episodes), unit="episode", desc="kept")
        )

        def say(text: str) -> None:
            bar.write(text, file=sys.stderr)

        def advance(text: str) -> None:
            bar.update()
            bar.set_postfix_str(_rates(client))
            say(text)

        if keys is None:
            record_by_itself(client, plan, advance, say)
        else:
            record_with_keys(client, plan, keys, advance, say)
        done = len(plan.recorded())
    print(f"{NAME}: {plan.folder.path} holds {done} episodes of '{plan.instruction}'")
    return 0


def _bring_up(options: argparse.Namespace, stack: ExitStack) -> int:
    """Start the graph, to end with the session, unless one is there; its domain."""
    try:
        graph = stack.enter_context(Bringup("teleop", _graph_arguments(options), domain=options.domain))
    except DomainInUseError as error:
        print(f"{NAME}: recording from the graph that runs on ROS domain {error.domain_id}")
        return error.domain_id
    print(f"{NAME}: starting the graph on ROS domain {graph.domain_id}, logs in {graph.log_directory}")
    graph.wait_ready()
    os.environ.update(graph.environment)
    return graph.domain_id


def _domain(text: str) -> int:
    if not text.isdecimal():
        raise SparkError(f"--domain {text} is no number of a ROS domain to join; auto goes with --bringup only")
    return int(text)


def _rates(client: DemoClient) -> str:
    """Rates of cameras and joints, short enough for the bar."""
    cameras = [(topic.split("/")[2], hz) for topic, hz in client.rates.items() if topic.endswith("/image_raw")]
    joints = [("joints", hz) for topic, hz in client.rates.items() if topic == topics.JOINT_STATES]
    return " ".join(f"{name} {hz:.0f}Hz" for name, hz in cameras + joints)


def _folder(options: argparse.Namespace, client: DemoClient) -> Path:
    """Where the recorder writes, which is what counts; a folder given here must be that one."""
    actual = Path(client.parameter("recorder", "folder"))
    if options.folder is not None and Path(options.folder).expanduser().resolve() != actual.resolve():
        raise SparkError(
            f"the running recorder writes to {actual}, not to {options.folder}: leave --folder out, or start the graph "
            f"with folder:={options.folder}"
        )
    return actual


def _graph_arguments(options: argparse.Namespace) -> dict[str, str]:
    arguments = {
        "sim": "true",
        "operator": options.operator,
        "task": options.task,
        "robot": options.robot,
        "cameras": options.cameras,
        "folder": options.folder or "demos",
        "perturb": "true" if options.perturb else "false",
    }
    if options.instruction:
        arguments["instruction"] = options.instruction
    return arguments


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Record demonstrations of one task from the running graph into a folder, one MCAP file each. "
        "Run it again to go on where it stopped.",
        epilog="With --operator human (the default) drive the arm with any teleoperation device and decide with single "
        "keys: s start, k keep, d discard, r record again, q quit.",
    )
    add = parser.add_argument
    add("--episodes", type=int, default=20, help="episodes of the task the folder is to hold (default: %(default)s)")
    add("--folder", help="the recorder's folder; with --bringup where to put one (default: demos)")
    add("--operator", choices=("human", "expert"), default="human", help="who drives the arm (default: %(default)s)")
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
    group.add_argument("--robot", default="fr3", choices=robot_names(), help="arm (default: %(default)s)")
    group.add_argument("--cameras", default="front,wrist", help="separated by commas (default: %(default)s)")
    group.add_argument("--perturb", action="store_true", help="expert: stray now and then, to show how to come back")
    return parser


if __name__ == "__main__":
    sys.exit(main())
