"""The launch files under the real `launch`, where ROS brings it; the wheels on PyPI do not."""

from __future__ import annotations

from pathlib import Path

import pytest

pytest.importorskip("launch_ros", reason="launch_ros is not installed")

from launch import LaunchContext
from launch.launch_description_sources import get_launch_description_from_python_launch_file
from launch_ros.actions import Node

from spark_ros.bringup.graphs import GRAPHS
from spark_ros.bringup.launch_actions import start
from spark_ros.shares import share_directory

pytestmark = pytest.mark.ros


@pytest.mark.parametrize("name", GRAPHS)
def test_a_launch_file_offers_exactly_the_graphs_arguments(name: str) -> None:
    path = share_directory() / "launch" / f"{name}.launch.py"
    declared = get_launch_description_from_python_launch_file(str(path)).get_launch_arguments()
    assert [argument.name for argument in declared] == [argument.name for argument in GRAPHS[name].arguments]


def test_a_launch_starts_exactly_the_graphs_processes(tmp_path: Path) -> None:
    graph = GRAPHS["teleop"]
    given = {"sim": "true", "operator": "expert", "domain": "auto", "folder": str(tmp_path)}
    context = LaunchContext()
    context.launch_configurations.update(graph.settings(given))
    started = [action.node_executable for action in start(context, graph) if isinstance(action, Node)]
    assert started == [node.executable for node in graph.nodes(graph.settings(given))]
