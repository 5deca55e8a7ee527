"""The node that drives a Franka on its FCI, here in front of a fake franky; `benchmarks.fci_lift` has the real one."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from graph_for_tests import GraphUnderTest, until
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String

from spark_ros import topics
from spark_ros.nodes.qos import LATCHED
from spark_ros.robots.spec import load_robot

pytestmark = pytest.mark.ros
FAKE = Path(__file__).parents[1] / "fake_franky"
FR3 = load_robot("fr3")
Tell = Callable[..., None]


@pytest.fixture
def tell(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Tell:
    """Says what happens to the fake robot; ask for it before the graph."""
    story = tmp_path / "story.json"
    story.write_text("{}")
    monkeypatch.setenv("FAKE_FRANKY", str(story))
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(FAKE), os.environ.get("PYTHONPATH", "")]))

    def write(**happening: Any) -> None:
        part = story.with_suffix(".part")
        part.write_text(json.dumps(happening))
        part.replace(story)

    return write


def test_a_robot_that_cannot_be_reached_ends_the_node_with_one_sentence(tell: Tell, graph: GraphUnderTest) -> None:
    node = graph.start("fci_arm", robot_ip="no-such-robot.invalid", realtime="ignore")
    node.wait_for("check robot_ip")
    assert until(lambda: node.process.poll() is not None)
    assert node.process.returncode == 2 and "Traceback" not in node.output
    node = graph.start("fci_arm")
    node.wait_for("robot_ip is empty")


def test_the_arm_follows_holds_and_latches_what_goes_wrong(tell: Tell, graph: GraphUnderTest) -> None:
    states = graph.listen(JointState, topics.JOINT_STATES)
    statuses = graph.listen(String, topics.ARM_STATUS, LATCHED)
    with _a_listening_port() as host:
        node = graph.start("fci_arm", robot_ip=host, realtime="ignore")
        node.wait_for("is ready")
        arm = graph.advertise(Float64MultiArray, FR3.vendor.arm_command_topic)
        hand = graph.advertise(Float64MultiArray, FR3.vendor.gripper_command_topic)
        assert until(lambda: states and statuses)
        assert list(states[-1].name) == [*FR3.joint_names, *FR3.gripper.joint_names]
        assert json.loads(statuses[-1].data)["ready"] is True

        goal = FR3.home.copy()
        goal[0] += 0.1
        timer = graph.client.create_timer(0.01, lambda: arm.publish(Float64MultiArray(data=goal.tolist())))
        assert until(lambda: abs(states[-1].position[0] - goal[0]) < 0.005)
        hand.publish(Float64MultiArray(data=[0.04]))
        hand.publish(Float64MultiArray(data=[0.0]))
        assert until(lambda: states[-1].position[-1] == pytest.approx(0.02))

        tell(mode=4, errors=["joint_reflex"])
        assert until(lambda: not json.loads(statuses[-1].data)["ready"])
        assert json.loads(statuses[-1].data)["errors"] == ["joint_reflex"]
        tell(mode=5)
        answer = graph.trigger(topics.ARM_RECOVER)
        assert not answer.success and "ser stopped" in answer.message
        tell()
        assert not json.loads(statuses[-1].data)["ready"], "nobody has asked yet"
        goal[0] += 0.05
        before = states[-1].position[0]
        heard = len(states)
        assert until(lambda: len(states) > heard + 20)
        assert states[-1].position[0] == pytest.approx(before, abs=0.01)
        assert graph.trigger(topics.ARM_RECOVER).success
        assert until(lambda: abs(states[-1].position[0] - goal[0]) < 0.005)

        graph.client.destroy_timer(timer)  # nobody commands: the arm holds
        tell(silent=True)
        assert until(lambda: json.loads(statuses[-1].data)["robot_mode"] == "not connected")
        tell()
        assert graph.trigger(topics.ARM_RECOVER).success
        assert until(lambda: json.loads(statuses[-1].data)["ready"])
        assert node.end() == 0
    assert np.isfinite(states[-1].position).all()


@contextmanager
def _a_listening_port() -> Iterator[str]:
    """Something that a knock at the FCI's port finds; the fake franky itself does not listen."""
    host = f"127.{1 + os.getpid() % 250}.0.31"
    with socket.create_server((host, 1337), backlog=16):
        yield host
