"""The gateway as a process: what moves the arm, what stops it, and how it ends."""

from __future__ import annotations

import json
import signal
import time
from collections.abc import Callable

import numpy as np
import pytest
from arm_for_tests import PerfectArm
from geometry_msgs.msg import TwistStamped
from graph_for_tests import GraphUnderTest, until
from sensor_msgs.msg import Image, JointState, Joy, TimeReference
from std_msgs.msg import Float64MultiArray, String
from trajectory_msgs.msg import MultiDOFJointTrajectory

from spark_ros import topics
from spark_ros.contracts import ActionChunk, ActionKind, TeleopInput
from spark_ros.nodes.feature_contract import FeatureContract
from spark_ros.nodes.motion_messages import message_from_chunk, messages_from_teleop
from spark_ros.nodes.qos import LATCHED
from spark_ros.nodes.stamps import stamp_ns
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot
from spark_ros.runtime.trace import Stamps

pytestmark = pytest.mark.ros

CONFIGURE, ACTIVATE, DEACTIVATE = 1, 3, 4
SPEC = load_robot("fr3")
KINEMATICS = Kinematics(SPEC)
START = KINEMATICS.forward(SPEC.home)
SPEED = np.array([0.0, 0.05, 0.0])  # m/s, slow enough for any gateway setting
# The arm and the policy live in this process, and may wait for each other while a test sets up more.
PATIENT = {"chunk_timeout_s": 1.0, "max_chunk_age_s": 1.0}


class Policy:
    """Publishes chunks at 10 Hz that move the tool along y, until it is silenced or spoilt."""

    def __init__(self, graph: GraphUnderTest) -> None:
        self._clock = graph.client.get_clock()
        self._publisher = graph.advertise(MultiDOFJointTrajectory, topics.EE_CHUNK)
        self._begin = self._clock.now().nanoseconds
        self.speaking, self.spoil = True, lambda message: message
        graph.client.create_timer(0.1, self._speak)

    def _speak(self) -> None:
        if not self.speaking:
            return
        stamp = self._clock.now().nanoseconds - 20_000_000
        after = (stamp - self._begin) * 1e-9 + 0.1 * np.arange(1, 11)
        poses = np.column_stack([START.position + np.outer(after, SPEED), np.tile(START.quaternion, (10, 1))])
        chunk = ActionChunk(ActionKind.EE_POSE, poses, np.full(10, 0.04), (), 0.1, stamp)
        self._publisher.publish(self.spoil(message_from_chunk(chunk, SPEC)))


class Observed:
    """The gateway, active, with an arm, and all that it says."""

    def __init__(self, graph: GraphUnderTest) -> None:
        self.graph = graph
        self.node = graph.start("gateway", **PATIENT)
        self.modes = graph.listen(String, topics.GATEWAY_MODE, LATCHED)
        self.setpoints = graph.listen(JointState, topics.GATEWAY_SETPOINT)
        self.traces = graph.listen(TimeReference, topics.GATEWAY_TRACE)
        self.stages = graph.listen(String, topics.STAGES)
        graph.activate("gateway")
        self.arm = PerfectArm(graph, SPEC)

    @property
    def mode(self) -> str:
        return self.modes[-1].data if self.modes else ""

    @property
    def speed(self) -> float:
        """Fastest joint of the last setpoint, rad/s."""
        return float(np.abs(self.setpoints[-1].velocity).max()) if self.setpoints else 0.0

    def engage(self, service: str) -> None:
        """As soon as the gateway has heard of the arm."""
        assert until(lambda: self.graph.trigger(service).success), self.graph.logs()

    def is_moving(self) -> bool:
        return until(lambda: self.speed > 0.01)

    def comes_to_rest_in(self, mode: str) -> bool:
        return until(lambda: self.mode == mode and self.speed < 1e-3)


@pytest.fixture
def gateway(graph: GraphUnderTest) -> Observed:
    return Observed(graph)


def test_gateway_follows_a_policy_within_limits_and_says_what_it_commanded(gateway: Observed) -> None:
    Policy(gateway.graph)
    time.sleep(0.3)
    assert not gateway.arm.commands, "an idle gateway must command nothing"
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)
    assert until(lambda: KINEMATICS.forward(gateway.arm.q).position[1] > START.position[1] + 0.03), gateway.graph.logs()
    assert gateway.mode == "policy"
    steps = np.abs(np.diff(np.array(gateway.arm.commands), axis=0))
    assert np.all(steps <= SPEC.limits.velocity * 0.05), "a command jumped"
    latest = gateway.setpoints[-1]
    assert tuple(latest.name) == (*SPEC.joint_names, *SPEC.gripper.joint_names)
    assert until(lambda: len(gateway.traces) > 3)
    latency = [stamp_ns(trace.header.stamp) - stamp_ns(trace.time_ref) for trace in gateway.traces]
    assert all(value >= 20_000_000 for value in latency), "the chunks were stamped 20 ms before they were sent"
    assert until(lambda: gateway.stages)
    for stamps in (Stamps.from_json(message.data) for message in gateway.stages):
        assert stamps.capture_ns + 20_000_000 <= stamps.reached_ns["gateway"] <= stamps.reached_ns["command"]


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        pytest.param(lambda m: _with_x(m, float("nan")), "finite", id="NaN"),
        pytest.param(lambda m: _with_x(m, 3.0), "beginning moves the tool by", id="a metre away"),
        pytest.param(lambda m: _without_gripper(m), "expected a transform each for", id="of another length"),
    ],
)
def test_gateway_holds_on_a_bad_chunk(gateway: Observed, spoil: Callable, reason: str) -> None:
    policy = Policy(gateway.graph)
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)
    assert gateway.is_moving(), gateway.graph.logs()
    policy.spoil = spoil
    assert gateway.comes_to_rest_in("hold"), gateway.graph.logs()
    gateway.graph.complaint("gateway", reason)
    # One is enough: it must not take a policy that has gone silent to stop the arm.
    assert reason in gateway.graph.trigger(topics.GATEWAY_HOLD).message
    assert np.all(np.isfinite(np.array(gateway.arm.commands)))


def test_gateway_refuses_a_chunk_in_another_frame(gateway: Observed) -> None:
    policy = Policy(gateway.graph)
    policy.spoil = _in_camera_frame
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)
    gateway.graph.complaint("gateway", "motion in frame 'camera' arrived, expected 'fr3_link0'")
    assert gateway.comes_to_rest_in("hold")
    assert np.allclose(gateway.arm.q, SPEC.home, atol=1e-3)


def test_gateway_holds_when_the_policy_stalls(gateway: Observed) -> None:
    policy = Policy(gateway.graph)
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)
    assert gateway.is_moving(), gateway.graph.logs()
    policy.speaking = False
    assert gateway.comes_to_rest_in("hold"), gateway.graph.logs()
    gateway.graph.complaint("gateway", "policy stalled")


def test_gateway_holds_and_falls_silent_when_joint_states_stop(gateway: Observed) -> None:
    Policy(gateway.graph)
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)
    assert gateway.is_moving(), gateway.graph.logs()
    gateway.arm.speaking = False
    assert gateway.comes_to_rest_in("hold"), gateway.graph.logs()
    gateway.graph.complaint("gateway", "joint states stopped")
    time.sleep(0.5)
    count = len(gateway.arm.commands)
    time.sleep(0.3)
    assert len(gateway.arm.commands) == count


def test_gateway_faults_when_the_arms_driver_gives_up(gateway: Observed) -> None:
    status = gateway.graph.advertise(String, topics.ARM_STATUS, LATCHED)
    Policy(gateway.graph)
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)
    assert gateway.is_moving(), gateway.graph.logs()
    status.publish(String(data=json.dumps({"ready": False, "reason": "protective stop"})))
    assert gateway.comes_to_rest_in("fault"), gateway.graph.logs()
    gateway.graph.complaint("gateway", "protective stop")


def test_gateway_holds_when_a_camera_freezes(gateway: Observed) -> None:
    contract = gateway.graph.advertise(String, topics.FEATURE_CONTRACT, LATCHED)
    contract.publish(String(data=FeatureContract("bundle", "0" * 64, ("front",), 2, 3).to_json()))
    features = gateway.graph.advertise(Image, topics.camera_features("front"))
    frozen = Image(height=2, width=3, encoding="32FC1", step=12, data=bytes(24))
    gateway.graph.client.create_timer(0.05, lambda: features.publish(frozen))
    Policy(gateway.graph)
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)
    assert gateway.comes_to_rest_in("hold"), gateway.graph.logs()
    gateway.graph.complaint("gateway", "/perception/front/features is frozen")


def test_gateway_follows_an_operator_only_while_the_deadman_is_held(gateway: Observed) -> None:
    graph, spec = gateway.graph, SPEC
    twists, joys = graph.advertise(TwistStamped, topics.TELEOP_TWIST), graph.advertise(Joy, topics.TELEOP_JOY)
    hand = {"deadman": True, "joystick": True}

    def speak() -> None:
        stamp = graph.client.get_clock().now().nanoseconds
        velocity = np.array([0.0, 0.05, 0.0, 0.0, 0.0, 0.0])
        twist, joy = messages_from_teleop(TeleopInput(velocity, 0.08, hand["deadman"], True, stamp), spec)
        twists.publish(twist)
        if hand["joystick"]:
            joys.publish(joy)

    graph.client.create_timer(0.05, speak)
    gateway.engage(topics.GATEWAY_ENGAGE_TELEOP)
    assert gateway.is_moving(), graph.logs()
    hand["deadman"] = False
    assert until(lambda: gateway.speed < 1e-3)
    hand["deadman"] = True
    assert gateway.is_moving()
    hand["joystick"] = False  # the twist goes on, but nobody vouches for the deadman any more
    assert gateway.comes_to_rest_in("hold"), graph.logs()
    hand["joystick"] = True
    time.sleep(0.5)
    assert gateway.mode == "hold" and gateway.speed < 1e-3, "nothing goes on by itself"
    gateway.engage(topics.GATEWAY_ENGAGE_TELEOP)
    assert gateway.is_moving()


def test_gateway_holds_on_a_twist_in_another_frame(gateway: Observed) -> None:
    graph = gateway.graph
    twists, joys = graph.advertise(TwistStamped, topics.TELEOP_TWIST), graph.advertise(Joy, topics.TELEOP_JOY)
    frame = {"id": SPEC.base_frame}

    def speak() -> None:
        stamp = graph.client.get_clock().now().nanoseconds
        velocity = np.array([0.0, 0.05, 0.0, 0.0, 0.0, 0.0])
        twist, joy = messages_from_teleop(TeleopInput(velocity, 0.08, True, True, stamp), SPEC)
        twist.header.frame_id = frame["id"]
        joys.publish(joy)
        twists.publish(twist)

    graph.client.create_timer(0.05, speak)
    gateway.engage(topics.GATEWAY_ENGAGE_TELEOP)
    assert gateway.is_moving(), graph.logs()
    frame["id"] = "somewhere"
    assert gateway.comes_to_rest_in("hold"), graph.logs()
    assert "motion in frame 'somewhere'" in graph.trigger(topics.GATEWAY_HOLD).message


def test_letting_go_of_the_deadman_counts_without_another_twist(gateway: Observed) -> None:
    graph = gateway.graph
    twists, joys = graph.advertise(TwistStamped, topics.TELEOP_TWIST), graph.advertise(Joy, topics.TELEOP_JOY)
    gateway.engage(topics.GATEWAY_ENGAGE_TELEOP)
    velocity = np.array([0.0, 0.1, 0.0, 0.0, 0.0, 0.0])

    def say(deadman: bool) -> tuple[TwistStamped, Joy]:
        stamp = graph.client.get_clock().now().nanoseconds
        return messages_from_teleop(TeleopInput(velocity, 0.08, deadman, True, stamp), SPEC)

    def push() -> bool:
        twist, joy = say(True)
        joys.publish(joy)
        twists.publish(twist)
        time.sleep(0.02)
        return gateway.speed > 0.1

    assert until(push), graph.logs()
    joys.publish(say(False)[1])
    released = len(gateway.setpoints)
    assert until(lambda: gateway.speed < 1e-3)
    # Without it the last twist would count for teleop_timeout_s = 0.25 s before the arm brakes.
    assert len(gateway.setpoints) - released < 25, "as many commands as 0.25 s have"


def test_gateway_refuses_an_arm_that_somebody_else_commands(graph: GraphUnderTest) -> None:
    topic = SPEC.vendor.arm_command_topic
    rival = graph.client.create_publisher(Float64MultiArray, topic, 1)
    graph.start("gateway")
    assert graph.change("gateway", CONFIGURE)
    assert until(lambda: len(graph.client.get_publishers_info_by_topic(topic)) == 2)
    assert not graph.change("gateway", ACTIVATE)
    # Discovery may tell of a publisher before it tells whose it is.
    graph.complaint("gateway", f"publishes {topic} too, and only one may move the")
    graph.client.destroy_publisher(rival)
    assert until(lambda: graph.change("gateway", ACTIVATE)), "alone again"


def test_gateway_stops_when_somebody_else_begins_to_command_the_arm(gateway: Observed) -> None:
    graph = gateway.graph
    Policy(graph)
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)
    assert gateway.is_moving(), graph.logs()
    rival = graph.client.create_publisher(Float64MultiArray, SPEC.vendor.arm_command_topic, 1)
    assert gateway.comes_to_rest_in("fault"), graph.logs()
    time.sleep(0.3)
    count = len(gateway.arm.commands)
    time.sleep(0.3)
    assert len(gateway.arm.commands) == count, "at rest nobody fights for the arm"
    assert graph.trigger(topics.GATEWAY_RESET).success
    answer = graph.trigger(topics.GATEWAY_ENGAGE_POLICY)
    assert not answer.success and "/client publishes" in answer.message
    graph.client.destroy_publisher(rival)
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)


def test_gateway_holds_where_two_policies_speak(gateway: Observed) -> None:
    graph = gateway.graph
    Policy(graph)
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)
    assert gateway.is_moving(), graph.logs()
    other = Policy(graph)
    assert gateway.comes_to_rest_in("hold"), graph.logs()
    assert "more than one policy publishes" in graph.trigger(topics.GATEWAY_HOLD).message
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)
    assert gateway.comes_to_rest_in("hold"), "still two"
    other.speaking = False
    time.sleep(0.2)
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)
    assert gateway.is_moving(), graph.logs()


def test_gateway_holds_where_two_operators_speak(gateway: Observed) -> None:
    graph = gateway.graph
    speaking = [True, False]

    def operator(number: int) -> Callable[[], None]:
        twists, joys = graph.advertise(TwistStamped, topics.TELEOP_TWIST), graph.advertise(Joy, topics.TELEOP_JOY)

        def speak() -> None:
            if speaking[number]:
                stamp = graph.client.get_clock().now().nanoseconds
                twist, joy = messages_from_teleop(TeleopInput(np.append(SPEED, SPEED), 0.08, True, True, stamp), SPEC)
                joys.publish(joy)
                twists.publish(twist)

        return speak

    for number in range(2):
        graph.client.create_timer(0.05, operator(number))
    gateway.engage(topics.GATEWAY_ENGAGE_TELEOP)
    assert gateway.is_moving(), graph.logs()
    speaking[1] = True
    assert gateway.comes_to_rest_in("hold"), graph.logs()
    assert "more than one operator publishes" in graph.trigger(topics.GATEWAY_HOLD).message


def test_going_through_inactive_forgets_the_setpoint_but_not_a_fault(gateway: Observed) -> None:
    graph = gateway.graph
    Policy(graph)
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)
    assert gateway.is_moving(), graph.logs()
    assert graph.change("gateway", DEACTIVATE), graph.logs()
    assert until(lambda: gateway.mode == "idle" and gateway.speed < 1e-3)
    gateway.arm.q = gateway.arm.q + 0.3  # meanwhile somebody moves the arm
    count = len(gateway.arm.commands)
    assert graph.change("gateway", ACTIVATE)
    time.sleep(0.3)
    assert len(gateway.arm.commands) == count, "an idle gateway commands nothing"
    assert graph.trigger(topics.GATEWAY_STOP).success
    assert graph.change("gateway", DEACTIVATE, ACTIVATE)
    answer = graph.trigger(topics.GATEWAY_ENGAGE_POLICY)
    assert not answer.success and "reset first" in answer.message


def test_a_stop_is_latched_until_reset(gateway: Observed) -> None:
    Policy(gateway.graph)
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)
    assert gateway.is_moving(), gateway.graph.logs()
    assert gateway.graph.trigger(topics.GATEWAY_STOP).success
    assert gateway.comes_to_rest_in("fault"), gateway.graph.logs()
    answer = gateway.graph.trigger(topics.GATEWAY_ENGAGE_POLICY)
    assert not answer.success and "reset first" in answer.message
    assert gateway.graph.trigger(topics.GATEWAY_RESET).success
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)


def test_gateway_brakes_before_it_ends_on_sigint(gateway: Observed) -> None:
    Policy(gateway.graph)
    gateway.engage(topics.GATEWAY_ENGAGE_POLICY)
    assert gateway.is_moving(), gateway.graph.logs()
    assert gateway.node.end(signal.SIGINT) == 0, gateway.node.output
    time.sleep(0.2)
    assert gateway.speed < 1e-3, "the last setpoint must be one at rest"
    assert "Traceback" not in gateway.node.output


def test_an_inactive_gateway_does_not_engage(graph: GraphUnderTest) -> None:
    graph.start("gateway")
    PerfectArm(graph, SPEC)
    assert graph.change("gateway", 1)  # configure
    answer = graph.trigger(topics.GATEWAY_ENGAGE_POLICY)
    assert not answer.success and "not active" in answer.message


def test_gateway_refuses_a_setting_that_makes_no_sense(graph: GraphUnderTest) -> None:
    graph.start("gateway", velocity_scale=2.0, max_jum_m=0.1)
    assert not graph.change("gateway", 1)
    graph.complaint("gateway", "gateway refuses to configure: gateway setting velocity_scale is 2")
    graph.nodes[-1].wait_for("no parameter 'max_jum_m'; did you mean max_jump_m")


def _with_x(message: MultiDOFJointTrajectory, x: float) -> MultiDOFJointTrajectory:
    for point in message.points:
        point.transforms[0].translation.x = x
    return message


def _without_gripper(message: MultiDOFJointTrajectory) -> MultiDOFJointTrajectory:
    for point in message.points:
        point.transforms = point.transforms[:1]
    return message


def _in_camera_frame(message: MultiDOFJointTrajectory) -> MultiDOFJointTrajectory:
    message.header.frame_id = "camera"
    return message
