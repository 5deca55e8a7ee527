"""ROS 2 messages as CDR bytes, without rclpy.

Episodes are written by a node (which gets CDR bytes from a raw subscription), by the in-process recorder and by
tests, and are read by training on machines without ROS. All of them go through this file, so there is one
place that knows the wire format. Message types are named as ROS names them: ``sensor_msgs/msg/Image``.
"""

from __future__ import annotations

import struct
from functools import lru_cache
from typing import Any

from rosbags.serde import SerdeError
from rosbags.typesys import Stores, get_typestore
from rosbags.typesys.store import Typestore

from spark_ros.contracts import SparkError

NANOSECONDS = 1_000_000_000


@lru_cache(maxsize=1)
def typestore() -> Typestore:
    """The message definitions of ROS 2 Jazzy, shared because building the store costs 0.1 s."""
    return get_typestore(Stores.ROS2_JAZZY)


def message_class(msg_type: str) -> Any:
    """The plain dataclass that `serialize` takes for a type; all fields are constructor arguments.

    Raises:
        SparkError: The type is not among the stock messages of ROS 2 Jazzy.
    """
    return typestore().types[_known(msg_type)]


def serialize(msg_type: str, msg: object) -> bytes:
    """Little-endian CDR bytes of a message made of `message_class` objects.

    Raises:
        SparkError: The type is unknown.
    """
    return bytes(typestore().serialize_cdr(msg, _known(msg_type), little_endian=True))


def deserialize(cdr: bytes | memoryview, msg_type: str) -> Any:
    """The message in `cdr` as a `message_class` object, its number sequences as numpy arrays.

    Raises:
        SparkError: The type is unknown or the bytes are not a message of this type.
    """
    name = _known(msg_type)
    try:
        return typestore().deserialize_cdr(cdr, name)
    except SerdeError as error:
        raise SparkError(f"{len(cdr)} bytes are not a CDR message of type {name} ({error}); re-record them") from error


@lru_cache(maxsize=64)
def schema_text(msg_type: str) -> str:
    """The ``ros2msg`` schema of a type: its definition followed by those of its parts.

    Raises:
        SparkError: The type is unknown.
    """
    return typestore().generate_msgdef(_known(msg_type), ros_version=2)[0]


@lru_cache(maxsize=64)
def has_header(msg_type: str) -> bool:
    """Whether messages of this type begin with a ``std_msgs/Header`` and so carry their own stamp.

    Raises:
        SparkError: The type is unknown.
    """
    fields = typestore().fielddefs[_known(msg_type)][1]
    return bool(fields) and fields[0][1][1] == "std_msgs/msg/Header"


def header_stamp_ns(cdr: bytes | memoryview) -> int:
    """The header stamp in nanoseconds of a message whose type begins with a header, without deserializing it.

    CDR starts with 4 bytes that tell the byte order, then the stamp as int32 seconds and uint32 nanoseconds.

    Raises:
        SparkError: There are too few bytes for a header.
    """
    if len(cdr) < 12:
        raise SparkError(f"{len(cdr)} bytes hold no message header (at least 12 expected); check the publisher")
    seconds, nanoseconds = struct.unpack_from("<iI" if cdr[1] & 1 else ">iI", cdr, 4)
    return seconds * NANOSECONDS + nanoseconds


def time_message(stamp_ns: int) -> Any:
    """A ``builtin_interfaces/Time`` of a stamp in nanoseconds."""
    seconds, nanoseconds = divmod(int(stamp_ns), NANOSECONDS)
    return message_class("builtin_interfaces/msg/Time")(sec=seconds, nanosec=nanoseconds)


def header_message(stamp_ns: int, frame_id: str = "") -> Any:
    """A ``std_msgs/Header`` with this stamp (ns) and frame."""
    return message_class("std_msgs/msg/Header")(stamp=time_message(stamp_ns), frame_id=frame_id)


def stamp_ns(header: Any) -> int:
    """The stamp in nanoseconds of a deserialized header."""
    return header.stamp.sec * NANOSECONDS + header.stamp.nanosec


def _known(msg_type: str) -> str:
    if msg_type not in typestore().fielddefs:
        raise SparkError(
            f"message type {msg_type!r} is not known: expected a stock ROS 2 Jazzy type written like "
            "sensor_msgs/msg/Image; leave this topic out of the recording"
        )
    return msg_type
