"""The one description of every graph: which nodes run, with which parameters, and what a user may choose.

Two readers turn it into processes and neither adds anything of its own: `launch/*.launch.py` for
`ros2 launch`, and `bringup.supervisor` (`spark-ros up`) for machines without it. Nothing of ROS is imported
here, so the description can be tested, printed and started from anywhere.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

from spark_ros.bringup.environment import Transport
from spark_ros.contracts import SparkError

ParameterValue = bool | int | float | str | list[str]


@dataclass(frozen=True)
class Argument:
    """Something a user may choose when starting a graph; written ``name:=default``.

    Attributes:
        name: What a user types before ``:=``.
        default: Value when nothing is typed.
        description: One sentence for ``ros2 launch ... --show-args`` and ``spark-ros up --help``.
        choices: All permitted values; empty when anything goes.
    """

    name: str
    default: str
    description: str
    choices: tuple[str, ...] = ()


class Stage(Enum):
    """When a process is told to end."""

    MANAGER = 0
    """First: it takes the others down in order."""
    NODE = 1
    PLANT = 2
    """Last: it stands for the arm, and the gateway needs an arm to bring to rest."""


@dataclass(frozen=True)
class GraphNode:
    """One process of a graph; most hold one node of the same name.

    Attributes:
        name: Name of the process in logs.
        executable: Executable of this package; module ``spark_ros.nodes.<executable>``.
        parameters: Values by parameter name, for each node in the process by node name.
        parameter_files: YAML files that hold the defaults; the later one wins.
        overrides: A user's own YAML files, which win over everything.
        remappings: (from, to) names.
        stage: When it is told to end.
        essential: Whether the graph ends with it; a page that fails must not take the arm's gateway along.
        transport: How its messages get to other processes.
    """

    name: str
    executable: str
    parameters: Mapping[str, Mapping[str, ParameterValue]]
    parameter_files: tuple[Path, ...]
    overrides: tuple[Path, ...] = ()
    remappings: tuple[tuple[str, str], ...] = ()
    stage: Stage = Stage.NODE
    essential: bool = True
    transport: Transport = Transport.SMALL_SEGMENT

    @property
    def module(self) -> str:
        """The module whose `main` the executable calls."""
        return f"spark_ros.nodes.{self.executable}"


@dataclass(frozen=True)
class Graph:
    """A graph that can be started by name.

    Attributes:
        name: ``manipulation``, ``teleop`` or ``sim``.
        description: One sentence.
        arguments: What a user may choose.
        build: From complete settings to the processes.
    """

    name: str
    description: str
    arguments: tuple[Argument, ...]
    build: Callable[[Mapping[str, str]], tuple[GraphNode, ...]]

    def settings(self, given: Mapping[str, str]) -> dict[str, str]:
        """A value for every argument.

        Args:
            given: What the user typed, by argument name.

        Raises:
            SparkError: An argument that the graph does not have, or a value outside the choices.
        """
        known = {argument.name: argument for argument in self.arguments}
        for name in given:
            if name not in known:
                raise SparkError(misspelt(name, self) or f"{_no_argument(name, self)}: it knows {', '.join(known)}")
        settings = {name: given.get(name, argument.default).strip() for name, argument in known.items()}
        for name, argument in known.items():
            if argument.choices and settings[name] not in argument.choices:
                raise SparkError(
                    f"{name}:={settings[name]} is none of {', '.join(argument.choices)}; choose one of those"
                )
        return settings

    def nodes(self, settings: Mapping[str, str]) -> tuple[GraphNode, ...]:
        """The processes to start, in order.

        Args:
            settings: A value for every argument, as `settings` returns them.

        Raises:
            SparkError: A bundle, parameter file or camera that does not exist, or values that exclude each other.
        """
        return self.build(settings)


def misspelt(name: str, graph: Graph) -> str:
    """A hint if `name` is no argument of the graph but close to one, else nothing.

    ``sm:=true`` for ``sim:=true`` would be passed over in silence by `ros2 launch`, and start a real arm.
    """
    names = [argument.name for argument in graph.arguments]
    close = [] if name in names else difflib.get_close_matches(name, names, n=1)
    return f"{_no_argument(name, graph)}: did you mean {close[0]}?" if close else ""


def parse_arguments(words: Sequence[str]) -> dict[str, str]:
    """``["robot:=fr3", "sim:=true"]`` as a dictionary.

    Raises:
        SparkError: A word is not ``name:=value``.
    """
    given = {}
    for word in words:
        name, separator, value = word.partition(":=")
        if not separator or not name:
            raise SparkError(f"'{word}' is no argument of a graph: write name:=value, as in sim:=true")
        given[name] = value
    return given


def _no_argument(name: str, graph: Graph) -> str:
    return f"the {graph.name} graph has no argument '{name}'"
