"""What the arm's own controller says reaches the gateway on the topics of the robot's description."""

from __future__ import annotations

from importlib import resources
from pathlib import Path
from typing import Any

import pytest
import yaml
from arm_for_tests import PerfectArm
from graph_for_tests import GraphUnderTest, until
from std_msgs.msg import Bool, String

from spark_ros import topics
from spark_ros.nodes.qos import LATCHED
from spark_ros.robots.spec import load_robot

pytestmark = pytest.mark.ros


def robot_with_status(folder: Path, status: dict[str, str]) -> Path:
    """An FR3 whose driver reports elsewhere, as one of two arms in a namespace does."""
    text = (resources.files("spark_ros.robots") / "specs" / "fr3.yaml").read_text(encoding="utf-8")
    document: dict[str, Any] = yaml.safe_load(text)
    document["vendor"]["status"] = status
    path = folder / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    return path


def test_the_gateway_listens_where_the_robots_description_says(graph: GraphUnderTest, tmp_path: Path) -> None:
    path = robot_with_status(tmp_path, {"program_running": "/left/running"})
    graph.start("gateway", robot=str(path))
    graph.activate("gateway")
    PerfectArm(graph, load_robot(path))
    running = graph.advertise(Bool, "/left/running", LATCHED)
    running.publish(Bool(data=False))
    assert until(lambda: "External Control" in graph.trigger(topics.GATEWAY_ENGAGE_TELEOP).message), graph.logs()
    running.publish(Bool(data=True))
    assert until(lambda: graph.trigger(topics.GATEWAY_ENGAGE_TELEOP).success), graph.logs()


def test_a_driver_that_does_not_keep_its_last_word_is_heard_too(graph: GraphUnderTest) -> None:
    graph.start("gateway")
    graph.activate("gateway")
    PerfectArm(graph, load_robot("fr3"))
    status = graph.advertise(String, topics.ARM_STATUS, 10)  # volatile, as a publisher is unless told otherwise
    status.publish(String(data='{"ready": false, "reason": "door open"}'))
    assert until(lambda: "door open" in graph.trigger(topics.GATEWAY_ENGAGE_TELEOP).message), graph.logs()


def test_a_parameter_wins_over_the_description(graph: GraphUnderTest, tmp_path: Path) -> None:
    path = robot_with_status(tmp_path, {"program_running": "/left/running", "speed_scaling": "/left/speed"})
    graph.start("gateway", robot=str(path), ur_program_running_topic="/right/running", speed_scaling_topic="none")
    graph.activate("gateway")
    listening = {name for name, _ in graph.client.get_subscriber_names_and_types_by_node("gateway", "/")}
    assert "/right/running" in listening
    assert not {"/left/running", "/left/speed"} & listening
