from __future__ import annotations

import struct

import numpy as np
import pytest

from spark_ros.contracts import Frame, JointState, SparkError
from spark_ros.data.cdr import deserialize, has_header, header_stamp_ns, schema_text, serialize
from spark_ros.data.cdr_messages import (
    IMAGE,
    decode_frame,
    decode_joints,
    encode_camera_info,
    encode_frame,
    encode_joints,
)

STAMP = 1_700_000_000_123_456_789


def test_a_frame_survives_the_wire() -> None:
    image = np.random.default_rng(0).integers(0, 256, (5, 7, 3), np.uint8)
    msg_type, cdr = encode_frame(Frame("front", image, STAMP))
    frame = decode_frame(cdr, "front")
    assert msg_type == IMAGE
    assert frame.stamp_ns == STAMP == header_stamp_ns(cdr)
    np.testing.assert_array_equal(frame.image, image)


def test_bgr_and_padded_rows_become_rgb() -> None:
    image = np.arange(2 * 3 * 3, dtype=np.uint8).reshape(2, 3, 3)
    message = deserialize(encode_frame(Frame("front", image, STAMP))[1], IMAGE)
    padded = np.zeros((2, 16), np.uint8)
    padded[:, :9] = image[:, :, ::-1].reshape(2, 9)
    message.encoding, message.step, message.data = "bgr8", 16, padded.reshape(-1)
    np.testing.assert_array_equal(decode_frame(serialize(IMAGE, message), "front").image, image)


def test_another_encoding_is_refused_by_name() -> None:
    message = deserialize(encode_frame(Frame("front", np.zeros((2, 2, 3), np.uint8), STAMP))[1], IMAGE)
    message.encoding = "mono8"
    with pytest.raises(SparkError, match="camera front sent encoding 'mono8'"):
        decode_frame(serialize(IMAGE, message), "front")


def test_joints_survive_the_wire_and_missing_velocities_are_zero() -> None:
    joints = JointState(("a", "b"), np.array([0.1, -2.0]), np.array([1.0, 2.0]), STAMP)
    back = decode_joints(encode_joints(joints)[1])
    assert (back.names, back.stamp_ns) == (joints.names, STAMP)
    np.testing.assert_array_equal(back.position, joints.position)
    np.testing.assert_array_equal(back.velocity, joints.velocity)
    silent = JointState(("a", "b"), joints.position, np.zeros(0), STAMP)
    np.testing.assert_array_equal(decode_joints(encode_joints(silent)[1]).velocity, [0.0, 0.0])


def test_the_stamp_is_read_in_either_byte_order() -> None:
    assert header_stamp_ns(b"\x00\x00\x00\x00" + struct.pack(">iI", 3, 4)) == 3_000_000_004
    with pytest.raises(SparkError, match="no message header"):
        header_stamp_ns(b"\x00\x01\x00\x00\x00")


def test_types_with_a_header_are_known_and_unknown_types_refused() -> None:
    assert has_header(IMAGE) and not has_header("std_msgs/msg/String")
    assert "MSG: std_msgs/Header" in schema_text(IMAGE)
    with pytest.raises(SparkError, match="vendor_msgs/msg/Thing"):
        schema_text("vendor_msgs/msg/Thing")


def test_camera_info_serializes() -> None:
    k = np.array([[100.0, 0, 64], [0, 100, 48], [0, 0, 1]])
    msg_type, cdr = encode_camera_info("front", k, 96, 128, STAMP)
    message = deserialize(cdr, msg_type)
    np.testing.assert_array_equal(message.k.reshape(3, 3), k)
    assert (message.height, message.width, message.header.frame_id) == (96, 128, "front_optical_frame")
