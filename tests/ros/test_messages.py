"""Contracts survive the way over ROS messages, and what does not fit is refused with a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import Joy

from spark_ros.adapters.base import Floats, StampedPose, StampedTwist, Trajectory, TrajectoryPoint
from spark_ros.adapters.registry import make_arm_adapter, make_gripper_adapter
from spark_ros.contracts import (
    ActionChunk,
    ActionKind,
    Command,
    Frame,
    JointState,
    Pose,
    SparkError,
    StateFeatures,
    TeleopInput,
)
from spark_ros.data.cdr_messages import (
    decode_frame,
    encode_frame,
    encode_joints,
    encode_joy,
    encode_setpoint,
    encode_twist,
)
from spark_ros.evaluation.driver_messages import encode_outgoing
from spark_ros.nodes import messages, motion_messages
from spark_ros.nodes.outgoing import message_from, message_type
from spark_ros.robots.spec import load_robot

pytestmark = pytest.mark.ros

SPEC = load_robot("fr3")
STAMP = 1_700_000_000_123_456_789
RNG = np.random.default_rng(0)


def joints() -> JointState:
    names = (*SPEC.joint_names, *SPEC.gripper.joint_names)
    return JointState(names, RNG.standard_normal(9), RNG.standard_normal(9), STAMP)


def chunk(kind: ActionKind) -> ActionChunk:
    pose = np.hstack([RNG.standard_normal((10, 3)), np.tile([0.0, 0.6, 0.0, 0.8], (10, 1))])
    values = pose if kind is ActionKind.EE_POSE else RNG.standard_normal((10, 7))
    names = () if kind is ActionKind.EE_POSE else SPEC.joint_names
    return ActionChunk(kind, values, RNG.uniform(0, 0.08, 10), names, 0.1, STAMP)


def over_the_wire(message):
    return deserialize_message(serialize_message(message), type(message))


def test_images_features_and_joints_arrive_as_they_were_sent() -> None:
    frame = Frame("front", RNG.integers(0, 256, (24, 32, 3), np.uint8), STAMP)
    arrived = messages.frame_from_image(over_the_wire(messages.image_from_frame(frame)), "front")
    np.testing.assert_array_equal(arrived.image, frame.image)
    assert arrived.stamp_ns == STAMP

    features = StateFeatures("wrist", RNG.standard_normal((5, 7)).astype(np.float32), STAMP)
    seen = messages.features_from_image(over_the_wire(messages.image_from_features(features)), "wrist")
    np.testing.assert_array_equal(seen.tokens, features.tokens)
    assert seen.stamp_ns == STAMP

    state = joints()
    felt = messages.joints_from_message(over_the_wire(messages.message_from_joints(state)))
    np.testing.assert_array_equal(felt.position, state.position)
    np.testing.assert_array_equal(felt.velocity, state.velocity)
    assert (felt.names, felt.stamp_ns) == (state.names, STAMP)


def test_an_image_with_padded_rows_is_understood() -> None:
    image = RNG.integers(0, 256, (4, 5, 3), np.uint8)
    message = messages.image_from_frame(Frame("front", image, STAMP))
    message.step = 16
    message.data = np.pad(image.reshape(4, 15), ((0, 0), (0, 1))).tobytes()
    np.testing.assert_array_equal(messages.frame_from_image(message, "front").image, image)
    message.height = 5
    with pytest.raises(SparkError, match="64 bytes for 5x5 pixels"):
        messages.frame_from_image(message, "front")


@pytest.mark.parametrize("kind", [kind for kind in ActionKind if not kind.is_relative])
def test_chunks_arrive_as_they_were_sent(kind: ActionKind) -> None:
    sent = chunk(kind)
    message = over_the_wire(motion_messages.message_from_chunk(sent, SPEC))
    back = (
        motion_messages.chunk_from_ee_message
        if kind is ActionKind.EE_POSE
        else motion_messages.chunk_from_joint_message
    )
    arrived = back(message, SPEC)
    np.testing.assert_allclose(arrived.values, sent.values, atol=1e-12)
    np.testing.assert_allclose(arrived.gripper_width, sent.gripper_width, atol=1e-12)
    assert (arrived.kind, arrived.joint_names, arrived.dt_s, arrived.stamp_ns) == (kind, sent.joint_names, 0.1, STAMP)


def test_joint_chunks_are_read_by_name() -> None:
    sent = chunk(ActionKind.JOINT_POSITION)
    message = motion_messages.message_from_chunk(sent, SPEC)
    message.joint_names = message.joint_names[::-1]
    for point in message.points:
        point.positions = point.positions[::-1]
    np.testing.assert_array_equal(motion_messages.chunk_from_joint_message(message, SPEC).values, sent.values)
    message.joint_names = ["ur_" + name for name in message.joint_names]
    with pytest.raises(SparkError, match="is the bundle made for robot fr3"):
        motion_messages.chunk_from_joint_message(message, SPEC)


def test_chunks_with_uneven_or_no_steps_are_refused() -> None:
    message = motion_messages.message_from_chunk(chunk(ActionKind.EE_POSE), SPEC)
    message.points[3].time_from_start.nanosec += 50_000_000
    with pytest.raises(SparkError, match="10 steps due after"):
        motion_messages.chunk_from_ee_message(message, SPEC)
    message.points = []
    with pytest.raises(SparkError, match="0 steps due after"):
        motion_messages.chunk_from_ee_message(message, SPEC)


def test_operator_input_arrives_and_no_joystick_means_no_deadman() -> None:
    sent = TeleopInput(RNG.standard_normal(6), 0.03, True, False, STAMP)
    twist, joy = map(over_the_wire, motion_messages.messages_from_teleop(sent, SPEC))
    arrived = motion_messages.teleop_from_messages(twist, joy, SPEC)
    np.testing.assert_allclose(arrived.twist, sent.twist)
    assert abs(arrived.gripper_width - 0.03) < 1e-6
    assert (arrived.deadman, arrived.imitate, arrived.stamp_ns) == (True, False, STAMP)
    assert not motion_messages.teleop_from_messages(twist, None, SPEC).deadman
    with pytest.raises(SparkError, match="1 axes and 0 buttons"):
        motion_messages.teleop_from_messages(twist, Joy(axes=[1.0]), SPEC)


def test_commands_reach_the_vendor_by_name_and_setpoints_are_readable_by_name() -> None:
    shuffled = SPEC.joint_names[::-1]
    command = Command(shuffled, np.arange(7.0), np.zeros(7), 0.06, STAMP)
    arm = message_from(make_arm_adapter(SPEC).convert(command, None, STAMP))
    gripper = message_from(make_gripper_adapter(SPEC).convert(command, None, STAMP))
    assert list(arm.data) == list(np.arange(7.0)[::-1]) and list(gripper.data) == [0.03]
    setpoint = messages.joints_from_message(motion_messages.setpoint_message(command, SPEC, STAMP))
    assert abs(SPEC.gripper.width(setpoint) - 0.06) < 1e-12
    assert motion_messages.trace_message(STAMP, STAMP + 5).time_ref.nanosec == STAMP % 1_000_000_000


def test_the_bytes_are_those_that_programs_without_rclpy_write() -> None:
    frame, state = Frame("front", RNG.integers(0, 256, (4, 6, 3), np.uint8), STAMP), joints()
    command = Command(SPEC.joint_names, np.arange(7.0), np.ones(7), 0.06, None)
    teleop = TeleopInput(np.arange(6.0), 0.04, True, True, STAMP)
    twist, joy = motion_messages.messages_from_teleop(teleop, SPEC)
    for message, (_, cdr) in (
        (messages.image_from_frame(frame), encode_frame(frame)),
        (messages.message_from_joints(state), encode_joints(state)),
        (
            motion_messages.setpoint_message(command, SPEC, STAMP),
            encode_setpoint(command, SPEC.gripper, STAMP),
        ),
        (twist, encode_twist(teleop, SPEC.base_frame)),
        (joy, encode_joy(teleop, SPEC.gripper.max_width)),
    ):
        assert deserialize_message(cdr, type(message)) == message
    np.testing.assert_array_equal(
        decode_frame(serialize_message(messages.image_from_frame(frame)), "front").image, frame.image
    )


def test_what_adapters_describe_arrives_at_the_driver_as_it_was_meant() -> None:
    pose = Pose(np.array([0.1, 0.2, 0.3]), np.array([0.0, 0.6, 0.0, 0.8]))
    points = (TrajectoryPoint(np.arange(7.0), np.ones(7), 0.05), TrajectoryPoint(np.arange(7.0), np.zeros(7), 1.25))
    floats, trajectory, twist, target = (
        over_the_wire(message_from(outgoing))
        for outgoing in (
            Floats((0.5, -1.0)),
            Trajectory(SPEC.joint_names, points),
            StampedTwist("base", STAMP, np.arange(6.0)),
            StampedPose("base_link", STAMP, pose),
        )
    )
    assert list(floats.data) == [0.5, -1.0]
    assert tuple(trajectory.joint_names) == SPEC.joint_names
    assert (trajectory.header.stamp.sec, trajectory.header.stamp.nanosec) == (0, 0)  # begin at once
    assert [list(point.velocities) for point in trajectory.points] == [[1.0] * 7, [0.0] * 7]
    after = trajectory.points[1].time_from_start
    assert list(trajectory.points[1].positions) == list(range(7)) and (after.sec, after.nanosec) == (1, 250_000_000)
    assert twist.header.frame_id == "base" and twist.header.stamp.nanosec == STAMP % 1_000_000_000
    assert (twist.twist.linear.y, twist.twist.angular.z) == (1.0, 5.0)
    orientation = target.pose.orientation
    assert target.pose.position.z == 0.3 and (orientation.y, orientation.w) == (0.6, 0.8)
    assert isinstance(floats, message_type(Floats)) and isinstance(target, message_type(StampedPose))


@pytest.mark.parametrize(
    "outgoing",
    [
        Floats((0.5, -1.0)),
        Trajectory(SPEC.joint_names, (TrajectoryPoint(np.arange(7.0), np.ones(7), 1.25),)),
        StampedTwist("base", STAMP, np.arange(6.0)),
        StampedPose("base_link", STAMP, Pose(np.array([0.1, 0.2, 0.3]), np.array([0.0, 0.6, 0.0, 0.8]))),
    ],
    ids=lambda outgoing: type(outgoing).__name__,
)
def test_what_is_recorded_in_process_is_what_the_driver_would_have_got(outgoing) -> None:
    _, cdr = encode_outgoing(outgoing)
    assert deserialize_message(cdr, message_type(type(outgoing))) == message_from(outgoing)
