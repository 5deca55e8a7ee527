"""`spark-ros up`: a graph of ROS nodes in the foreground."""

from __future__ import annotations

import argparse
import textwrap

from spark_ros.commands.common import Verbs, add_verb

DEFAULT_GRAPH = "manipulation"


def add_to(verbs: Verbs) -> None:
    """Adds the verb."""
    parser = add_verb(
        verbs,
        "up",
        "start a graph of ROS nodes, as `ros2 launch` would",
        "Start a graph of ROS nodes and stay with it until Ctrl-C. Graphs and their arguments are those of\n"
        "launch/*.launch.py, so `ros2 launch spark_ros manipulation.launch.py sim:=true` starts the same nodes.",
        "examples:\n"
        "  spark-ros up sim:=true auto_engage:=true     the shipped policy lifts a cube in the simulator\n"
        "  spark-ros up teleop sim:=true                drive the simulated arm yourself\n"
        "  spark-ros up --robot ur5e teleop sim:=true   the same with another arm\n"
        "  spark-ros up manipulation --show-args        everything that can be chosen",
    )
    parser.add_argument(
        "words",
        nargs="*",
        metavar="[graph] name:=value",
        help=f"manipulation, teleop or sim (default: {DEFAULT_GRAPH}), then its arguments",
    )
    parser.add_argument("--robot", help="short for robot:=")
    parser.add_argument("--show-args", action="store_true", help="list the graph's arguments and exit")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from spark_ros.bringup.graph import parse_arguments
    from spark_ros.bringup.graphs import graph

    words = list(options.words)
    name = words.pop(0) if words and ":=" not in words[0] else DEFAULT_GRAPH
    description, arguments = graph(name), parse_arguments(words)
    if options.robot is not None:
        arguments["robot"] = options.robot
    if options.show_args:
        print(f"{description.name}: {description.description}\n")
        for argument in description.arguments:
            choices = f" ({', '.join(argument.choices)})" if argument.choices else ""
            print(f"  {argument.name}:={argument.default}{choices}")
            print(textwrap.indent(textwrap.fill(argument.description, 100), " " * 6))
        return 0
    from spark_ros.bringup.supervisor import run

    return run(name, arguments)
