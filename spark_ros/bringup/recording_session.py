"""The session behind `record_demos`: joins or starts a graph, then lets an operator fill the folder."""

from __future__ import annotations

import argparse
import os
import sys
from contextlib import ExitStack
from pathlib import Path

from tqdm import tqdm

from spark_ros import topics
from spark_ros.bringup.domain import DomainInUseError
from spark_ros.bringup.supervisor import Bringup
from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.nodes.demo_client import DemoClient
from spark_ros.nodes.demo_sessions import Plan, record_by_itself, record_with_keys
from spark_ros.nodes.terminal import single_keys

NAME = "record_demos"


def record(options: argparse.Namespace) -> int:
    """Record what the options of `record_demos` ask for.

    Returns:
        0: the person ended the session, or the folder holds what was asked for.

    Raises:
        SparkError: A node, a topic or an operator is missing, or something refuses.
    """
    scripted = options.operator == "expert"
    if options.operator == "policy" and options.bringup:
        raise SparkError(
            "--operator policy joins a graph with a policy: leave --bringup out and start one "
            "(spark-ros up manipulation record:=true sim:=true), and a device to correct it with"
        )
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
            engage=topics.GATEWAY_ENGAGE_POLICY if options.operator == "policy" else topics.GATEWAY_ENGAGE_TELEOP,
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
    print(f"{NAME}: {plan.folder.path} holds {done} successful episodes of '{plan.instruction}'")
    return 0


def _bring_up(options: argparse.Namespace, stack: ExitStack) -> int:
    """Start the graph, to end with the session, unless one is there; its domain."""
    try:
        graph = stack.enter_context(Bringup("teleop", _graph_arguments(options), domain=options.domain))
    except DomainInUseError as error:
        print(f"{NAME}: recording from the graph that runs on ROS domain {error.domain_id}")
        return error.domain_id
    print(f"{NAME}: starting the graph on ROS domain {graph.domain_id}, logs in {graph.log_directory}")

    def blame(kind: object, error: BaseException | None, traceback: object) -> None:
        if isinstance(error, SparkError):
            graph.check()  # a node of ours that ended is why, whatever was missed because of it

    stack.push(blame)
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
