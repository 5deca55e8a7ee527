"""Camera images read where they lie, in the bytes that came through the middleware.

rclpy makes a `sensor_msgs/Image` of these bytes by copying the pixels once more, while the arm waits. `data/cdr.py`
reads every kind of message, by a library that a node which only sees images would have to load for this.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from std_msgs.msg import Header

from spark_ros.contracts import SparkError
from spark_ros.nodes.messages import header
from spark_ros.nodes.stamps import NANOSECONDS

# By the representation that the bytes begin with: CDR, and CDR of XTypes 1.2, in which an image is the same.
_BYTE_ORDER = {b"\x00\x00": ">", b"\x00\x01": "<", b"\x00\x06": ">", b"\x00\x07": "<"}


class WireImage(NamedTuple):
    """What a `sensor_msgs/Image` holds, by the same names; ``data`` is a view of the message's bytes."""

    header: Header
    height: int
    width: int
    encoding: str
    is_bigendian: int
    step: int
    data: memoryview


def read_image(cdr: bytes) -> WireImage:
    """The `sensor_msgs/Image` that these bytes are: DDS's CDR, where every number starts at a multiple of its size.

    Raises:
        SparkError: They are something else, or are cut off.
    """
    try:
        order = _BYTE_ORDER[bytes(cdr[:2])]
        seconds, nanoseconds = struct.unpack_from(f"{order}iI", cdr, 4)
        frame_id, end = _text(cdr, order, 12)
        at = _aligned(end)
        height, width = struct.unpack_from(f"{order}II", cdr, at)
        encoding, end = _text(cdr, order, at + 8)
        is_bigendian, at = cdr[end], _aligned(end + 1)
        step, size = struct.unpack_from(f"{order}II", cdr, at)
        begin = at + 8
        if begin + size > len(cdr):
            raise IndexError(f"it claims {size} bytes of pixels")
        stamp = seconds * NANOSECONDS + nanoseconds
        data = memoryview(cdr)[begin : begin + size]
        return WireImage(header(stamp, frame_id), height, width, encoding, is_bigendian, step, data)
    except (KeyError, IndexError, struct.error) as error:
        raise SparkError(
            f"a message of {len(cdr)} bytes is not a sensor_msgs/Image ({error}): look at its publisher and middleware"
        ) from error


def _text(cdr: bytes, order: str, at: int) -> tuple[str, int]:
    """A string and where it ends: its length, its letters and a zero, which counts as well."""
    (length,) = struct.unpack_from(f"{order}I", cdr, at)
    end = at + 4 + length
    if end > len(cdr):
        raise IndexError(f"it claims a text of {length} bytes")
    return cdr[at + 4 : end - 1].decode(errors="replace"), end


def _aligned(at: int) -> int:
    return (at + 3) // 4 * 4
