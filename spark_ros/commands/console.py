"""`spark-ros console`: the session console beside a running graph, where `ros2 run` does not exist."""

from __future__ import annotations

import argparse
import os

from spark_ros.commands.common import Verbs, add_verb


def add_to(verbs: Verbs) -> None:
    """Adds the verb."""
    parser = add_verb(
        verbs,
        "console",
        "show the running session, as a web page or in this terminal",
        "Serve a page that shows the running graph: cameras, mode, streams, disk, episodes; with buttons to record,\n"
        "to hold and to stop. It is the same as `ros2 run spark_ros console`; run it with the graph's ROS_DOMAIN_ID.\n"
        "All parameters: config/console.yaml. With --terminal the same in this terminal, by single keys, no pictures.",
        "examples:\n"
        "  spark-ros console                                   http://127.0.0.1:8088, this computer only\n"
        "  spark-ros console --terminal                        here, over ssh for instance\n"
        "  spark-ros console host:=0.0.0.0                     every network, with a token that is printed\n"
        "  spark-ros up teleop sim:=true console:=true         together with a graph",
    )
    parser.add_argument("--terminal", action="store_true", help="in this terminal; takes no parameters")
    parser.add_argument("parameters", nargs="*", metavar="name:=value", help="parameters of the node")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from spark_ros.bringup.environment import transport_environment
    from spark_ros.bringup.graph import parse_arguments
    from spark_ros.contracts import SparkError

    given = parse_arguments(options.parameters)
    if options.terminal and given:
        raise SparkError(f"--terminal takes no parameters, found {', '.join(given)}: they are those of the page")
    # Before ROS is loaded: without it large images do not arrive.
    os.environ.update(transport_environment(os.environ, local_only=False))
    if options.terminal:
        from spark_ros.nodes.console_terminal import show_in_terminal

        return show_in_terminal()
    from spark_ros.nodes.console import ConsoleNode
    from spark_ros.nodes.run import run

    words = [word for name, value in given.items() for word in ("-p", f"{name}:={value}")]
    return run(ConsoleNode, args=["console", "--ros-args", *words])
