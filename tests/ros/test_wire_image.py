"""Images read where they lie: the same as rclpy reads, in either byte order; anything else is refused in a sentence."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rclpy.serialization import deserialize_message, serialize_message
from rosbags.typesys import Stores, get_typestore
from sensor_msgs.msg import Image

from spark_ros.contracts import Frame, SparkError
from spark_ros.data.cdr_messages import encode_frame
from spark_ros.nodes.messages import frame_from_image, header
from spark_ros.nodes.wire_image import read_image

pytestmark = pytest.mark.ros
FRAME = Frame("front", np.random.default_rng(0).integers(0, 256, (3, 5, 3), np.uint8), 1_800_000_000_000_000_007)
CDR = encode_frame(FRAME)[1]


@given(
    frame_id=st.text(st.characters(blacklist_categories=["Cs"], blacklist_characters="\0"), max_size=9),
    encoding=st.text(st.characters(codec="ascii", blacklist_characters="\0"), max_size=9),
    stamp=st.integers(0, 2**31 * 10**9 - 1),
    numbers=st.tuples(*[st.integers(0, 2**32 - 1)] * 3, st.integers(0, 255)),
    data=st.binary(max_size=40),
)
def test_every_field_is_what_rclpy_reads(
    frame_id: str, encoding: str, stamp: int, numbers: tuple[int, int, int, int], data: bytes
) -> None:
    height, width, step, is_bigendian = numbers
    sent = Image(header=header(stamp, frame_id), height=height, width=width, encoding=encoding, step=step)
    sent.is_bigendian, sent.data = is_bigendian, data
    cdr = serialize_message(sent)
    read, expected = read_image(cdr), deserialize_message(cdr, Image)
    for name in ("header", "height", "width", "encoding", "is_bigendian", "step"):
        assert getattr(read, name) == getattr(expected, name), name
    assert bytes(read.data) == data


def test_the_pixels_are_not_copied() -> None:
    frame = frame_from_image(read_image(CDR), "front")
    assert np.shares_memory(frame.image, np.frombuffer(CDR, np.uint8))
    np.testing.assert_array_equal(frame.image, FRAME.image)
    assert frame.stamp_ns == FRAME.stamp_ns


def test_a_machine_of_the_other_byte_order_is_understood() -> None:
    types = get_typestore(Stores.ROS2_JAZZY)
    message = types.deserialize_cdr(CDR, "sensor_msgs/msg/Image")
    swapped = bytes(types.serialize_cdr(message, "sensor_msgs/msg/Image", little_endian=False))
    assert swapped[:2] != CDR[:2]
    np.testing.assert_array_equal(frame_from_image(read_image(swapped), "front").image, FRAME.image)


@pytest.mark.parametrize("length", range(len(CDR)))
def test_a_message_that_is_cut_off_is_refused(length: int) -> None:
    with pytest.raises(SparkError, match=f"a message of {length} bytes is not a sensor_msgs/Image"):
        read_image(CDR[:length])


@given(st.binary(max_size=120), st.integers(0, 60))
def test_bytes_of_something_else_are_refused_or_harmless(noise: bytes, kept: int) -> None:
    try:
        image = read_image(CDR[:kept] + noise)
    except SparkError:
        return
    assert len(image.data) <= len(noise) + kept


def test_letters_that_are_no_utf8_and_the_newer_representation_are_read_as_rclpy_does() -> None:
    latin = CDR.replace(b"front_", b"fr\xf6nt_")
    assert read_image(latin).header.frame_id == "fr\N{REPLACEMENT CHARACTER}nt_optical_frame"
    assert read_image(b"\x00\x07" + CDR[2:]).width == 5
