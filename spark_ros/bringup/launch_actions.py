"""A graph as actions of `launch` and `launch_ros`; the only module here that needs them."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from typing import Any

from launch.actions import LogInfo, RegisterEventHandler, SetEnvironmentVariable
from launch.event_handlers import OnProcessExit, OnProcessIO
from launch.events.process import ProcessExited, ProcessIO
from launch.launch_context import LaunchContext
from launch_ros.actions import Node

from spark_ros.bringup.command_line import ros_arguments
from spark_ros.bringup.domain import claim_domain
from spark_ros.bringup.environment import transport_environment
from spark_ros.bringup.graph import Graph, GraphNode, misspelt
from spark_ros.bringup.process import describe_exit, last_error, without_colour
from spark_ros.contracts import SparkError
from spark_ros.shares import PACKAGE

SIGTERM_S, SIGKILL_S = "8", "3"  # patience after SIGINT, then after SIGTERM: as the supervisor's


def start(context: LaunchContext, graph: Graph) -> list[Any]:
    """The actions of a graph, for an `OpaqueFunction`: its arguments have their values by then.

    Args:
        context: Holds the values.
        graph: What to start.

    Raises:
        SparkError: Bad values, or the domain already has a graph of ours; launch prints it and exits with 1.
    """
    # What a parent launch file passes on is its own business; what a user typed for this one is checked.
    typed = [word.partition(":=")[0] for word in context.argv]
    warnings = [LogInfo(msg=f"[WARNING] {hint}") for name in typed if (hint := misspelt(name, graph))]
    settings = graph.settings({a.name: context.launch_configurations[a.name] for a in graph.arguments})
    nodes = graph.nodes(settings)
    claim = claim_domain(settings["domain"], context.environment)
    context.extend_globals({f"{PACKAGE}_domain": claim})  # held as long as the launch lives
    local_only = settings.get("sim", "true") == "true"
    actions: list[Any] = [*warnings, SetEnvironmentVariable("ROS_DOMAIN_ID", str(claim.domain_id))]
    for node in nodes:
        actions += _node(
            node, transport_environment(context.environment, local_only=local_only, transport=node.transport)
        )
    return actions


def _node(node: GraphNode, variables: Mapping[str, str]) -> list[Any]:
    """The node, with these variables, and what ends the launch when the node ends."""
    action = Node(
        package=PACKAGE,
        executable=node.executable,
        name=None if len(node.parameters) > 1 else node.name,  # a rename would hit every node of the process
        exec_name=node.name,
        arguments=ros_arguments(node),
        additional_env=dict(variables),
        output="screen",
        emulate_tty=True,
        sigterm_timeout=SIGTERM_S,
        sigkill_timeout=SIGKILL_S,
    )
    recent: deque[str] = deque(maxlen=200)

    def heard(event: ProcessIO) -> None:
        recent.extend(without_colour(event.text.decode("utf-8", errors="replace")).splitlines())

    def ended(event: ProcessExited, context: LaunchContext) -> None:
        if node.essential and not context.is_shutdown:
            # Raised, since only an exception makes `ros2 launch` exit with a failure.
            raise SparkError(f"{node.name} ended ({describe_exit(event.returncode)}): {last_error(list(recent))}")

    return [
        RegisterEventHandler(OnProcessIO(target_action=action, on_stdout=heard, on_stderr=heard)),
        RegisterEventHandler(OnProcessExit(target_action=action, on_exit=ended)),
        action,
    ]
