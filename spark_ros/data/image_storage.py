"""How camera images lie in an episode: as they travelled, or packed as PNG (lossless) or JPEG.

A packed image is a stock `sensor_msgs/CompressedImage` on the topic that image_transport would use, so that any ROS
tool shows it. OpenCV packs and unpacks without Python's lock: threads share the work.
"""

from __future__ import annotations

from enum import Enum

import cv2
import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import Frame, ImageArray, SparkError
from spark_ros.data.cdr import deserialize, message_class, serialize, stamp_ns
from spark_ros.data.cdr_messages import IMAGE

COMPRESSED_IMAGE = "sensor_msgs/msg/CompressedImage"
COMPRESSED_SUFFIX = "/compressed"

# Level 1: on camera noise a higher one costs five times as long and saves 3 to 5 % of the bytes.
_PNG = [cv2.IMWRITE_PNG_COMPRESSION, 1]
_CHANNELS = {"rgb8": (np.uint8, 3), "bgr8": (np.uint8, 3), "mono8": (np.uint8, 1), "16UC1": (np.uint16, 1)}


class ImageStorage(str, Enum):
    """What becomes of an image on its way to the disk."""

    RAW = "raw"
    """Nothing; the chunk around it is compressed without loss."""
    PNG = "png"
    """Lossless, about half the bytes of raw, and ten times its work."""
    JPEG = "jpeg"
    """A tenth of the bytes; pixels change by a few grey levels."""

    @classmethod
    def of(cls, name: str) -> ImageStorage:
        """The one of this name.

        Raises:
            SparkError: There is none.
        """
        try:
            return cls(name)
        except ValueError:
            raise SparkError(f"images cannot be stored as {name!r}: choose raw, png or jpeg") from None


def pack_image(cdr: bytes, storage: ImageStorage, jpeg_quality: int) -> tuple[str, bytes] | None:
    """A ``sensor_msgs/Image`` as CompressedImage of the same header.

    Args:
        cdr: The image's CDR bytes.
        storage: PNG or JPEG. What JPEG cannot hold (16UC1 depth) becomes PNG.
        jpeg_quality: 1 to 100.

    Returns:
        (message type, CDR bytes); None for an encoding that neither holds (32FC1): such an image stays as it is.

    Raises:
        SparkError: The message is not an image, or its size does not match its data.
    """
    message = deserialize(cdr, IMAGE)
    if message.encoding not in _CHANNELS:
        return None
    dtype, channels = _CHANNELS[message.encoding]
    row = message.width * channels * np.dtype(dtype).itemsize
    if message.step < row or message.data.size != message.height * message.step:
        raise SparkError(
            f"an image of {message.width}x{message.height} {message.encoding} came with {message.data.size} bytes in "
            f"rows of {message.step}: check the camera's driver"
        )
    pixels = np.ascontiguousarray(message.data.reshape(message.height, message.step)[:, :row]).view(dtype)
    pixels = pixels.reshape(message.height, message.width, channels)
    if dtype is np.uint16 and bool(message.is_bigendian):
        pixels = pixels.byteswap()
    if message.encoding == "rgb8":
        pixels = cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    jpeg = storage is ImageStorage.JPEG and dtype is np.uint8
    done, data = cv2.imencode(
        ".jpg" if jpeg else ".png", pixels, [cv2.IMWRITE_JPEG_QUALITY, jpeg_quality] if jpeg else _PNG
    )
    if not done:
        raise SparkError(f"an image of {message.width}x{message.height} {message.encoding} could not be packed")
    inner = {3: "bgr8", 1: "16UC1" if dtype is np.uint16 else "mono8"}[channels]
    packed = message_class(COMPRESSED_IMAGE)(
        header=message.header,
        format=f"{message.encoding}; {'jpeg' if jpeg else 'png'} compressed {inner}",
        data=data.reshape(-1),
    )
    return COMPRESSED_IMAGE, serialize(COMPRESSED_IMAGE, packed)


def unpack_frame(cdr: bytes | memoryview, camera: str) -> Frame:
    """A ``sensor_msgs/CompressedImage`` as an RGB frame, grey images repeated in all three colours.

    Raises:
        SparkError: The data is no image, or a depth image.
    """
    message = deserialize(cdr, COMPRESSED_IMAGE)
    image = unpack_pixels(np.asarray(message.data, np.uint8), message.format, camera)
    return Frame(camera, image, stamp_ns(message.header))


def unpack_pixels(data: NDArray[np.uint8], packed_as: str, camera: str) -> ImageArray:
    """The RGB pixels of a PNG or JPEG file, (H, W, 3).

    Args:
        data: The file's bytes.
        packed_as: What the message says that it is.
        camera: Whose it is.

    Raises:
        SparkError: The data is no image, or a depth image.
    """
    pixels = cv2.imdecode(data, cv2.IMREAD_ANYDEPTH | cv2.IMREAD_COLOR) if data.size else None
    if pixels is None or pixels.dtype != np.uint8:
        found = "cannot be decoded" if pixels is None else f"has {pixels.dtype} pixels"
        raise SparkError(f"an image of camera {camera} ({packed_as!r}) {found}: expected 8-bit PNG or JPEG")
    return cv2.cvtColor(pixels, cv2.COLOR_BGR2RGB).astype(np.uint8, copy=False)


def packed_bytes(cdr: bytes | memoryview) -> bytes:
    """The image file, PNG or JPEG, that a ``sensor_msgs/CompressedImage`` carries."""
    return deserialize(cdr, COMPRESSED_IMAGE).data.tobytes()
