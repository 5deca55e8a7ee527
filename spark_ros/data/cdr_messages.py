"""Contracts to CDR bytes and back, for whoever records or reads without rclpy.

The recorder node stores the bytes it received; the in-process recorder and the tests build the same messages here,
so an episode looks the same whichever way it was made. Encoders return ``(message type, CDR bytes)``.
"""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import Command, Frame, JointState, SparkError, TeleopInput
from spark_ros.data.cdr import deserialize, header_message, message_class, serialize, stamp_ns
from spark_ros.robots.gripper import GripperSpec

IMAGE = "sensor_msgs/msg/Image"
CAMERA_INFO = "sensor_msgs/msg/CameraInfo"
JOINT_STATE = "sensor_msgs/msg/JointState"
JOY = "sensor_msgs/msg/Joy"
TWIST_STAMPED = "geometry_msgs/msg/TwistStamped"
STRING = "std_msgs/msg/String"

Message = tuple[str, bytes]


def encode_frame(frame: Frame) -> Message:
    """A ``sensor_msgs/Image`` in rgb8, frame id ``<camera>_optical_frame``."""
    height, width, _ = frame.image.shape
    message = message_class(IMAGE)(
        header=header_message(frame.stamp_ns, f"{frame.camera}_optical_frame"),
        height=height,
        width=width,
        encoding="rgb8",
        is_bigendian=0,
        step=3 * width,
        data=np.ascontiguousarray(frame.image).reshape(-1),
    )
    return IMAGE, serialize(IMAGE, message)


def decode_frame(cdr: bytes | memoryview, camera: str) -> Frame:
    """A ``sensor_msgs/Image`` as an RGB frame.

    Raises:
        SparkError: The encoding is neither rgb8 nor bgr8, or the size does not match the data.
    """
    message = deserialize(cdr, IMAGE)
    if message.encoding not in ("rgb8", "bgr8"):
        raise SparkError(
            f"camera {camera} sent encoding {message.encoding!r}, expected rgb8 or bgr8: set it in the camera's driver"
        )
    if message.step < 3 * message.width or message.data.size != message.height * message.step:
        raise SparkError(
            f"camera {camera} sent {message.data.size} bytes for {message.width}x{message.height} pixels "
            f"with {message.step} bytes a row: check the camera's driver"
        )
    rows = message.data.reshape(message.height, message.step)
    image = rows[:, : 3 * message.width].reshape(message.height, message.width, 3)
    if message.encoding == "bgr8":
        image = image[:, :, ::-1]
    return Frame(camera, np.ascontiguousarray(image), stamp_ns(message.header))


def encode_camera_info(camera: str, intrinsics: np.ndarray, height: int, width: int, stamp: int) -> Message:
    """A ``sensor_msgs/CameraInfo`` of an undistorted camera.

    Args:
        camera: Name of the camera.
        intrinsics: (3, 3) camera matrix K in pixels.
        height: Image height in pixels.
        width: Image width in pixels.
        stamp: Capture time in nanoseconds.
    """
    k = np.asarray(intrinsics, np.float64)
    message = message_class(CAMERA_INFO)(
        header=header_message(stamp, f"{camera}_optical_frame"),
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=np.zeros(5),
        k=k.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=np.hstack([k, np.zeros((3, 1))]).reshape(-1),
        binning_x=0,
        binning_y=0,
        roi=message_class("sensor_msgs/msg/RegionOfInterest")(
            x_offset=0, y_offset=0, height=0, width=0, do_rectify=False
        ),
    )
    return CAMERA_INFO, serialize(CAMERA_INFO, message)


def encode_joints(joints: JointState) -> Message:
    """A ``sensor_msgs/JointState`` with positions and velocities."""
    message = message_class(JOINT_STATE)(
        header=header_message(joints.stamp_ns),
        name=list(joints.names),
        position=np.asarray(joints.position, np.float64),
        velocity=np.asarray(joints.velocity, np.float64),
        effort=np.zeros(0),
    )
    return JOINT_STATE, serialize(JOINT_STATE, message)


def decode_joints(cdr: bytes | memoryview) -> JointState:
    """A ``sensor_msgs/JointState``; velocities are zeros where the message has none.

    Raises:
        SparkError: Names and positions differ in number.
    """
    message = deserialize(cdr, JOINT_STATE)
    if len(message.position) != len(message.name):
        raise SparkError(
            f"a joint state names {len(message.name)} joints but has {len(message.position)} positions: "
            "check its publisher"
        )
    velocity = message.velocity if len(message.velocity) == len(message.name) else np.zeros(len(message.name))
    return JointState(tuple(message.name), message.position, velocity, stamp_ns(message.header))


def encode_setpoint(command: Command, gripper: GripperSpec, stamp: int) -> Message:
    """What the gateway publishes on `topics.GATEWAY_SETPOINT` for a command sent at `stamp` (ns).

    The gripper's joints stand where `/joint_states` would report them at the commanded opening.
    """
    return encode_joints(
        JointState(
            (*command.joint_names, *gripper.joint_names),
            np.concatenate([command.position, gripper.joint_positions(command.gripper_width)]),
            np.concatenate([command.velocity, np.zeros(len(gripper.joint_names))]),
            stamp,
        )
    )


def encode_twist(teleop: TeleopInput, base_frame: str) -> Message:
    """What the operator publishes on `topics.TELEOP_TWIST`."""
    vector = message_class("geometry_msgs/msg/Vector3")
    linear, angular = (vector(*map(float, part)) for part in (teleop.twist[:3], teleop.twist[3:]))
    message = message_class(TWIST_STAMPED)(
        header=header_message(teleop.stamp_ns, base_frame),
        twist=message_class("geometry_msgs/msg/Twist")(linear=linear, angular=angular),
    )
    return TWIST_STAMPED, serialize(TWIST_STAMPED, message)


def encode_joy(teleop: TeleopInput, max_width: float) -> Message:
    """What the operator publishes on `topics.TELEOP_JOY`: axes [opening 0..1], buttons [deadman, not for imitation].

    Args:
        teleop: The operator's input.
        max_width: Gripper opening in m that counts as 1.
    """
    message = message_class(JOY)(
        header=header_message(teleop.stamp_ns),
        axes=np.array([np.clip(teleop.gripper_width / max_width, 0.0, 1.0)], np.float32),
        buttons=np.array([teleop.deadman, not teleop.imitate], np.int32),
    )
    return JOY, serialize(JOY, message)


def encode_text(text: str) -> Message:
    """A ``std_msgs/String``; it has no stamp of its own."""
    return STRING, serialize(STRING, message_class(STRING)(data=text))
