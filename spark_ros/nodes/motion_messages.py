"""Motion contracts to stock ROS messages and back: action chunks, operator input, commands.

The form is checked here (frames, names, even steps); the gateway's core judges the content.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from geometry_msgs.msg import Quaternion, Transform, TwistStamped, Vector3
from sensor_msgs.msg import JointState as JointStateMsg
from sensor_msgs.msg import Joy, TimeReference
from std_msgs.msg import Header
from trajectory_msgs.msg import (
    JointTrajectory,
    JointTrajectoryPoint,
    MultiDOFJointTrajectory,
    MultiDOFJointTrajectoryPoint,
)

from spark_ros.contracts import ActionChunk, ActionKind, Command, FloatArray, JointState, SparkError, TeleopInput
from spark_ros.nodes.messages import header, joints_from_message, message_from_joints
from spark_ros.nodes.stamps import duration_message, even_step_s, stamp_ns, time_message
from spark_ros.robots.spec import RobotSpec


def setpoint_message(command: Command, spec: RobotSpec, stamp: int) -> JointStateMsg:
    """What was commanded at `stamp` ns, by joint name; the gripper's joints stand where the opening puts them."""
    gripper = spec.gripper
    return message_from_joints(
        JointState(
            (*command.joint_names, *gripper.joint_names),
            np.concatenate([command.position, gripper.joint_positions(command.gripper_width)]),
            np.concatenate([command.velocity, np.zeros(len(gripper.joint_names))]),
            stamp,
        )
    )


def trace_message(captured: int, commanded: int) -> TimeReference:
    """When a command was sent, and when the frame behind it was taken; both in ns."""
    return TimeReference(header=header(commanded), time_ref=time_message(captured), source="capture to command")


def message_from_chunk(chunk: ActionChunk, spec: RobotSpec) -> MultiDOFJointTrajectory | JointTrajectory:
    """An action chunk as the trajectory message of its kind, stamped with the observation's time.

    EE_POSE: joint_names are [ee_frame, first finger joint]; transforms[0] is the tool's pose in the base frame,
    transforms[1].translation.x the gripper width. JOINT_POSITION: arm joints, then the gripper's.
    """
    stamped = header(chunk.stamp_ns, spec.base_frame)
    fingers = spec.gripper.joint_names
    steps = zip(chunk.values, chunk.gripper_width, strict=True)
    if chunk.kind is ActionKind.EE_POSE:
        return MultiDOFJointTrajectory(
            header=stamped,
            joint_names=[spec.ee_frame, fingers[0]],
            points=[
                MultiDOFJointTrajectoryPoint(
                    transforms=[_transform(pose), Transform(translation=Vector3(x=float(width)))],
                    time_from_start=duration_message((i + 1) * chunk.dt_s),
                )
                for i, (pose, width) in enumerate(steps)
            ],
        )
    return JointTrajectory(
        header=stamped,
        joint_names=[*chunk.joint_names, *fingers],
        points=[
            JointTrajectoryPoint(
                positions=[*map(float, q), *spec.gripper.joint_positions(float(width)).tolist()],
                time_from_start=duration_message((i + 1) * chunk.dt_s),
            )
            for i, (q, width) in enumerate(steps)
        ],
    )


def chunk_from_ee_message(message: MultiDOFJointTrajectory, spec: RobotSpec) -> ActionChunk:
    """The inverse of `message_from_chunk` for tool poses.

    Raises:
        SparkError: Other frames, no steps, or uneven times.
    """
    expected = [spec.ee_frame, spec.gripper.joint_names[0]]
    if list(message.joint_names) != expected or any(len(point.transforms) != 2 for point in message.points):
        raise SparkError(
            f"a tool chunk for {', '.join(message.joint_names) or 'nothing'} arrived, expected a transform each for "
            f"{' and '.join(expected)}: is the bundle made for robot {spec.name}?"
        )
    _check_frame(message.header, spec)
    dt_s = even_step_s([point.time_from_start for point in message.points])
    poses = [point.transforms[0] for point in message.points]
    values = np.array([[*_xyz(pose.translation), *_xyz(pose.rotation), pose.rotation.w] for pose in poses])
    width = np.array([point.transforms[1].translation.x for point in message.points])
    return ActionChunk(ActionKind.EE_POSE, values, width, (), dt_s, stamp_ns(message.header.stamp))


def chunk_from_joint_message(message: JointTrajectory, spec: RobotSpec) -> ActionChunk:
    """The inverse of `message_from_chunk` for joint positions; the columns may come in any order.

    Raises:
        SparkError: Joints are missing or foreign, no steps, or uneven times.
    """
    names, fingers = tuple(message.joint_names), spec.gripper.joint_names
    if set(names) != {*spec.joint_names, *fingers} or any(len(p.positions) != len(names) for p in message.points):
        raise SparkError(
            f"a joint chunk for {', '.join(names) or 'no joints'} arrived, expected one position each for "
            f"{', '.join((*spec.joint_names, *fingers))}: is the bundle made for robot {spec.name}?"
        )
    dt_s = even_step_s([point.time_from_start for point in message.points])
    positions = np.array([point.positions for point in message.points], np.float64)
    arm = positions[:, [names.index(name) for name in spec.joint_names]]
    width = spec.gripper.widths(positions[:, [names.index(name) for name in fingers]])
    stamp = stamp_ns(message.header.stamp)
    return ActionChunk(ActionKind.JOINT_POSITION, arm, width, tuple(spec.joint_names), dt_s, stamp)


def teleop_from_messages(twist: TwistStamped, joy: Joy | None, spec: RobotSpec) -> TeleopInput:
    """The operator's input; without a joystick message the deadman counts as released.

    Raises:
        SparkError: The twist is in another frame, or the joystick has too few axes or buttons.
    """
    _check_frame(twist.header, spec)
    linear, angular = twist.twist.linear, twist.twist.angular
    velocity, stamp = np.array([*_xyz(linear), *_xyz(angular)]), stamp_ns(twist.header.stamp)
    if joy is None:
        return TeleopInput(velocity, spec.gripper.max_width, False, False, stamp)
    if len(joy.axes) < 1 or len(joy.buttons) < 2:
        raise SparkError(
            f"a joystick message has {len(joy.axes)} axes and {len(joy.buttons)} buttons, expected axes [opening 0..1] "
            "and buttons [deadman, not for imitation]: map your joystick to them"
        )
    width = float(joy.axes[0]) * spec.gripper.max_width
    return TeleopInput(velocity, width, bool(joy.buttons[0]), not joy.buttons[1], stamp)


def teleop_from_joints(wanted: JointStateMsg, joy: Joy | None, spec: RobotSpec) -> TeleopInput:
    """The operator's input from wanted joints; without a joystick message the deadman counts as released.

    Raises:
        SparkError: A joint is missing, or the joystick has too few axes or buttons.
    """
    twist = TwistStamped(header=header(stamp_ns(wanted.header.stamp), spec.base_frame))
    joints = joints_from_message(wanted).select(spec.joint_names).position
    return replace(teleop_from_messages(twist, joy, spec), joints=joints)


def joints_from_teleop(teleop: TeleopInput, spec: RobotSpec) -> JointStateMsg:
    """The message for `teleop_from_joints`, of an input that has joints."""
    assert teleop.joints is not None
    names = tuple(spec.joint_names)
    return message_from_joints(JointState(names, teleop.joints, np.zeros(len(names)), teleop.stamp_ns))


def messages_from_teleop(teleop: TeleopInput, spec: RobotSpec) -> tuple[TwistStamped, Joy]:
    """The inverse of `teleop_from_messages`."""
    twist = TwistStamped(header=header(teleop.stamp_ns, spec.base_frame))
    twist.twist.linear = Vector3(**_named(teleop.twist[:3]))
    twist.twist.angular = Vector3(**_named(teleop.twist[3:]))
    opening = min(max(teleop.gripper_width / spec.gripper.max_width, 0.0), 1.0)
    buttons = [int(teleop.deadman), int(not teleop.imitate)]
    return twist, Joy(header=header(teleop.stamp_ns), axes=[opening], buttons=buttons)


def _check_frame(received: Header, spec: RobotSpec) -> None:
    if received.frame_id != spec.base_frame:
        raise SparkError(
            f"motion in frame '{received.frame_id}' arrived, expected '{spec.base_frame}', the base of {spec.name}: "
            "transform it before sending"
        )


def _transform(pose: FloatArray) -> Transform:
    rotation = Quaternion(**_named(pose[3:6]), w=float(pose[6]))
    return Transform(translation=Vector3(**_named(pose[:3])), rotation=rotation)


def _named(xyz: FloatArray) -> dict[str, float]:
    return dict(zip("xyz", map(float, xyz), strict=True))


def _xyz(vector: Vector3 | Quaternion) -> tuple[float, float, float]:
    return vector.x, vector.y, vector.z
