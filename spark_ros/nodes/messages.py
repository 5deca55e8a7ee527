"""Sensor contracts to stock ROS messages and back, once for every node: images, features, joint states.

Whatever arrives is checked here as far as its form goes (encoding, sizes, names); whether its content may move the arm
is for the rooms above. `data/cdr_messages.py` builds the same messages for programs without rclpy.
"""

from __future__ import annotations

from array import array

import numpy as np
from sensor_msgs.msg import CameraInfo, CompressedImage, Image
from sensor_msgs.msg import JointState as JointStateMsg
from std_msgs.msg import Header

from spark_ros.contracts import FloatArray, Frame, ImageArray, JointState, SparkError, StateFeatures, TokenArray
from spark_ros.nodes.stamps import stamp_ns, time_message

FEATURE_ENCODING = "32FC1"


def frame_from_image(message: Image, camera: str) -> Frame:
    """An rgb8 or bgr8 image as an RGB frame; rgb8 without padding is not copied.

    Raises:
        SparkError: Another encoding, or a size that does not match the data.
    """
    if message.encoding not in ("rgb8", "bgr8"):
        raise SparkError(
            f"camera {camera} sends encoding '{message.encoding}', expected rgb8 or bgr8: set it in the camera's driver"
        )
    data = np.frombuffer(message.data, np.uint8)
    row = 3 * message.width
    if message.step < row or row == 0 or data.size != message.height * message.step:
        raise SparkError(
            f"camera {camera} sends {data.size} bytes for {message.width}x{message.height} pixels with "
            f"{message.step} bytes a row: check the camera's driver"
        )
    image = data.reshape(message.height, message.step)[:, :row].reshape(message.height, message.width, 3)
    if message.encoding == "bgr8":
        image = np.ascontiguousarray(image[:, :, ::-1])
    return Frame(camera, image, stamp_ns(message.header.stamp))


def frame_from_compressed(message: CompressedImage, camera: str) -> Frame:
    """A PNG or JPEG image as an RGB frame.

    Raises:
        SparkError: It is neither, or a depth image.
    """
    from spark_ros.data.image_storage import unpack_pixels  # here: OpenCV takes 16 MB, and most nodes see no camera

    image = unpack_pixels(np.frombuffer(message.data, np.uint8), message.format, camera)
    return Frame(camera, image, stamp_ns(message.header.stamp))


def image_from_frame(frame: Frame) -> Image:
    """An rgb8 image; its frame id is ``<camera>_optical_frame`` (z forward, REP-103)."""
    height, width, _ = frame.image.shape
    message = Image(
        header=header(frame.stamp_ns, f"{frame.camera}_optical_frame"),
        height=height,
        width=width,
        encoding="rgb8",
        step=3 * width,
    )
    message.data = _octets(frame.image)
    return message


def camera_info(camera: str, intrinsics: FloatArray, height: int, width: int, stamp: int) -> CameraInfo:
    """The calibration of an undistorted camera with matrix `intrinsics` (3, 3) in pixels, at `stamp` ns."""
    k = np.asarray(intrinsics, np.float64)
    return CameraInfo(
        header=header(stamp, f"{camera}_optical_frame"),
        height=height,
        width=width,
        distortion_model="plumb_bob",
        d=[0.0] * 5,
        k=k.reshape(-1),
        r=np.eye(3).reshape(-1),
        p=np.hstack([k, np.zeros((3, 1))]).reshape(-1),
    )


def image_from_features(features: StateFeatures) -> Image:
    """State features as a float image: one row a token, one column a channel, stamped with the capture time."""
    tokens, channels = features.tokens.shape
    message = Image(
        header=header(features.stamp_ns, f"{features.camera}_optical_frame"),
        height=tokens,
        width=channels,
        encoding=FEATURE_ENCODING,
        step=4 * channels,
    )
    message.data = _octets(features.tokens.astype("<f4", copy=False))
    return message


def features_from_image(message: Image, camera: str) -> StateFeatures:
    """The inverse of `image_from_features`, without a copy.

    Raises:
        SparkError: It is no such image.
    """
    data = np.frombuffer(message.data, np.uint8)
    if message.encoding != FEATURE_ENCODING or message.is_bigendian or data.size != 4 * message.height * message.width:
        raise SparkError(
            f"features of camera {camera} arrive as {message.encoding} {message.height}x{message.width} with "
            f"{data.size} bytes, expected little-endian {FEATURE_ENCODING}: is something else publishing on that topic?"
        )
    tokens = data.view("<f4").reshape(message.height, message.width)
    return StateFeatures(camera, tokens, stamp_ns(message.header.stamp))


def joints_from_message(message: JointStateMsg) -> JointState:
    """A joint state; velocities are zeros where the message has none.

    Raises:
        SparkError: Names and positions differ in number.
    """
    count = len(message.name)
    if len(message.position) != count:
        raise SparkError(
            f"a joint state names {count} joints but has {len(message.position)} positions: check its publisher"
        )
    velocity = np.asarray(message.velocity, np.float64) if len(message.velocity) == count else np.zeros(count)
    stamp = stamp_ns(message.header.stamp)
    return JointState(tuple(message.name), np.asarray(message.position, np.float64), velocity, stamp)


def message_from_joints(joints: JointState) -> JointStateMsg:
    """A `sensor_msgs/JointState` with positions and velocities."""
    return JointStateMsg(
        header=header(joints.stamp_ns),
        name=list(joints.names),
        position=np.asarray(joints.position, np.float64),
        velocity=np.asarray(joints.velocity, np.float64),
    )


def _octets(values: ImageArray | TokenArray) -> array[int]:
    """What a message keeps its ``uint8[]`` in; made here, it is copied once, while bytes are by rclpy once again."""
    octets = array("B")
    octets.frombytes(np.ascontiguousarray(values).reshape(-1).view(np.uint8).data)
    return octets


def header(stamp: int, frame_id: str = "") -> Header:
    """A header with this stamp in ns."""
    return Header(stamp=time_message(stamp), frame_id=frame_id)
