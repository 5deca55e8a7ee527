"""The teleop node with a gamepad at the other end of a pipe: what it publishes, and taking over from a policy."""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from geometry_msgs.msg import TwistStamped
from graph_for_tests import GraphUnderTest, until
from rclpy.task import Future
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from spark_ros import topics
from spark_ros.contracts import JointState as Joints
from spark_ros.nodes.messages import message_from_joints
from spark_ros.nodes.qos import LATCHED
from spark_ros.nodes.teleop import Teleop
from spark_ros.robots.spec import load_robot
from spark_ros.teleop.base import Hand, Request
from spark_ros.teleop.gamepad import LEFT_BUMPER, LEFT_Y, RIGHT_BUMPER, WEST
from spark_ros.teleop.input_events import EV_ABS, EV_KEY
from spark_ros.teleop.leader import JOINTS, SWITCH

pytestmark = pytest.mark.ros

SPEC = load_robot("fr3")


class Pad:
    """The gamepad's end of the pipe."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self._descriptor = os.open(path, os.O_RDWR)  # both, so that opening waits for nobody

    def send(self, kind: int, code: int, value: int) -> None:
        os.write(self._descriptor, struct.pack("llHHi", 0, 0, kind, code, value))

    def close(self) -> None:
        os.close(self._descriptor)


@pytest.fixture
def pad(tmp_path: Path) -> Iterator[Pad]:
    pad = Pad(tmp_path / "pad")
    yield pad
    pad.close()


def test_a_gamepad_drives_takes_over_and_hands_back_without_dropping_the_cube(
    graph: GraphUnderTest, pad: Pad, tmp_path: Path
) -> None:
    called: list[str] = []

    def serve(service: str) -> None:
        def answer(_: Trigger.Request, response: Trigger.Response) -> Trigger.Response:
            called.append(service)
            response.success = True
            return response

        graph.client.create_service(Trigger, service, answer)

    serve(topics.GATEWAY_ENGAGE_TELEOP)
    serve(topics.GATEWAY_ENGAGE_POLICY)
    mode = graph.client.create_publisher(String, topics.GATEWAY_MODE, LATCHED)
    mode.publish(String(data="policy"))
    twists, joys = graph.listen(TwistStamped, topics.TELEOP_TWIST), graph.listen(Joy, topics.TELEOP_JOY)
    node = graph.start("teleop", device="gamepad", path=str(tmp_path / "pad"))
    assert until(lambda: joys), graph.logs()
    assert not joys[-1].buttons[0] and joys[-1].axes[0] == 1.0

    setpoints = graph.advertise(JointState, topics.GATEWAY_SETPOINT)
    names = (*SPEC.joint_names, *SPEC.gripper.joint_names)
    held = Joints(names, np.append(SPEC.home, [0.02, 0.02]), np.zeros(9), 1)
    graph.client.create_timer(0.05, lambda: setpoints.publish(message_from_joints(held)))
    assert until(lambda: joys[-1].axes[0] == pytest.approx(0.5)), "the gripper goes on from where the policy has it"

    mode_known = lambda: "teleop" in graph.health and graph.health["teleop"][2]["mode"] == "policy"  # noqa: E731
    assert until(mode_known), "it takes over from a policy, and from nobody it has not heard of"
    assert called == []
    pad.send(EV_ABS, LEFT_Y, -32768)
    pad.send(EV_KEY, LEFT_BUMPER, 1)
    assert until(lambda: called == [topics.GATEWAY_ENGAGE_TELEOP]), graph.logs()
    mode.publish(String(data="teleop"))
    assert until(lambda: joys[-1].buttons[0] and twists[-1].twist.linear.x == pytest.approx(0.1))
    assert twists[-1].header.frame_id == "fr3_link0"
    pad.send(EV_KEY, RIGHT_BUMPER, 1)
    assert until(lambda: joys[-1].axes[0] in (0.0, 1.0))

    pad.send(EV_KEY, LEFT_BUMPER, 0)
    pad.send(EV_KEY, WEST, 1)
    assert until(lambda: called[1:] == [topics.GATEWAY_ENGAGE_POLICY]), called
    assert until(lambda: not joys[-1].buttons[0])
    pad.send(EV_KEY, LEFT_BUMPER, 1)
    assert until(lambda: joys[-1].buttons[0])
    assert node.end() == 0, node.output


def test_a_leader_arm_sends_joints_once_it_is_where_the_arm_is(graph: GraphUnderTest) -> None:
    wanted = graph.listen(JointState, topics.TELEOP_JOINTS)
    graph.start("teleop", device="leader")
    measured, leader = graph.advertise(JointState, topics.JOINT_STATES), graph.advertise(JointState, JOINTS)
    pedal = graph.advertise(Joy, SWITCH)
    mode = graph.client.create_publisher(String, topics.GATEWAY_MODE, LATCHED)
    mode.publish(String(data="idle"))
    away = [0.5]

    def publish() -> None:
        names = (*SPEC.joint_names, *SPEC.gripper.joint_names)
        arm = Joints(names, np.append(SPEC.home, [0.02, 0.02]), np.zeros(9), 1)
        measured.publish(message_from_joints(arm))
        leader.publish(message_from_joints(Joints(tuple(SPEC.joint_names), SPEC.home + away[0], np.zeros(7), 1)))
        pedal.publish(Joy(buttons=[1]))

    graph.client.create_timer(0.03, publish)
    assert until(lambda: "of the leader is 0.50 rad away" in graph.logs())
    assert wanted == []
    away[0] = 0.1
    assert until(lambda: wanted), graph.logs()
    np.testing.assert_allclose(wanted[-1].position, np.asarray(SPEC.home) + 0.1)


class DeviceForTests:
    """Remembers what it learnt."""

    def __init__(self) -> None:
        self.adopted: list[tuple[float, np.ndarray]] = []

    def adopt(self, opening: float, joints: np.ndarray) -> None:
        self.adopted.append((opening, joints))

    def hand(self, now: float) -> Hand:
        return Hand(np.zeros(6), 0.0, False)


@pytest.fixture
def bare() -> tuple[Any, DeviceForTests]:
    """The node's own decisions, without a node: nothing is sent."""
    node: Any = Teleop.__new__(Teleop)
    device = DeviceForTests()
    node._robot, node._device, node._mode, node._held = SPEC, device, "teleop", False
    return node, device


def test_while_the_deadman_is_free_the_device_learns_where_the_arm_rests(bare: tuple[Any, DeviceForTests]) -> None:
    node, device = bare
    names = (*SPEC.joint_names, *SPEC.gripper.joint_names)
    setpoint = message_from_joints(Joints(names, np.append(SPEC.home + 0.1, [0.04, 0.04]), np.zeros(9), 1))
    node._on_setpoint(setpoint)
    opening, arm = device.adopted[-1]
    np.testing.assert_allclose(arm, SPEC.home + 0.1)
    assert opening == 0.0, "the gripper is where the device has it"
    node._held = True
    node._on_setpoint(setpoint)
    assert len(device.adopted) == 1, "it leads"
    node._mode = "policy"
    node._on_setpoint(setpoint)
    assert device.adopted[-1][0] == 1.0, "now the gripper is where the policy has it"


def test_a_take_over_that_is_refused_holds_the_policy(bare: tuple[Any, DeviceForTests]) -> None:
    node, _ = bare
    asked: list[Request] = []
    node._ask, node._say = asked.append, lambda sentence: None
    refused = Future()
    refused.set_result(Trigger.Response(success=False, message="no"))
    node._mode = "policy"
    node._answered(Request.ENGAGE, refused)
    assert asked == [Request.HOLD]
    node._mode = "idle"
    node._answered(Request.ENGAGE, refused)
    assert asked == [Request.HOLD], "nothing moves: nothing to hold"


def test_a_device_that_is_not_there_is_named(graph: GraphUnderTest) -> None:
    node = graph.start("teleop", device="gamepad", path="/dev/input/none")
    assert node.process.wait(30) == 2
    assert "cannot read /dev/input/none" in node.output
