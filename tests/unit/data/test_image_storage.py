"""Packed images: what comes back, and that readers do not care how a camera was stored."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from synthetic_episode import METADATA

from spark_ros import topics
from spark_ros.contracts import Frame, SparkError
from spark_ros.data.cdr import deserialize, header_message, message_class, serialize
from spark_ros.data.cdr_messages import IMAGE, encode_frame
from spark_ros.data.episode_reader import read_cameras
from spark_ros.data.episode_writer import EpisodeWriter
from spark_ros.data.image_storage import COMPRESSED_IMAGE, ImageStorage, pack_image, unpack_frame

PICTURE = np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8)
FRAME = Frame("front", PICTURE, 1_700_000_000_123_456_789)


def image(encoding: str, pixels: np.ndarray, padding: int = 0) -> bytes:
    height, width = pixels.shape[:2]
    rows = pixels.reshape(height, -1).view(np.uint8)
    data = np.pad(rows, ((0, 0), (0, padding))).reshape(-1)
    return serialize(
        IMAGE,
        message_class(IMAGE)(
            header=header_message(7), height=height, width=width, encoding=encoding, is_bigendian=0,
            step=rows.shape[1] + padding, data=data,
        ),
    )  # fmt: skip


def test_png_gives_back_every_pixel_and_the_stamp() -> None:
    packed = pack_image(encode_frame(FRAME)[1], ImageStorage.PNG, 90)
    assert packed is not None and packed[0] == COMPRESSED_IMAGE
    assert deserialize(packed[1], COMPRESSED_IMAGE).format == "rgb8; png compressed bgr8"
    frame = unpack_frame(packed[1], "front")
    assert frame.stamp_ns == FRAME.stamp_ns
    np.testing.assert_array_equal(frame.image, PICTURE)


@pytest.mark.parametrize("padding", [0, 5])
@pytest.mark.parametrize(("encoding", "colours"), [("bgr8", 3), ("mono8", 1)])
def test_other_encodings_and_padded_rows_keep_their_pixels(encoding: str, colours: int, padding: int) -> None:
    pixels = PICTURE if colours == 3 else np.ascontiguousarray(PICTURE[:, :, :1])
    packed = pack_image(image(encoding, pixels, padding), ImageStorage.PNG, 90)
    assert packed is not None
    expected = pixels[:, :, ::-1] if colours == 3 else np.repeat(pixels, 3, axis=2)
    np.testing.assert_array_equal(unpack_frame(packed[1], "front").image, expected)


def test_jpeg_stays_close_and_depth_becomes_png() -> None:
    smooth = np.repeat(np.linspace(0, 255, 32, dtype=np.uint8)[None, :, None], 3, axis=2).repeat(24, axis=0)
    packed = pack_image(image("rgb8", smooth), ImageStorage.JPEG, 95)
    assert packed is not None and "jpeg" in deserialize(packed[1], COMPRESSED_IMAGE).format
    assert np.abs(unpack_frame(packed[1], "front").image.astype(int) - smooth).max() < 8
    depth = pack_image(image("16UC1", np.full((4, 6), 1234, np.uint16)), ImageStorage.JPEG, 95)
    assert depth is not None and deserialize(depth[1], COMPRESSED_IMAGE).format == "16UC1; png compressed 16UC1"
    assert pack_image(image("32FC1", np.zeros((4, 6), np.float32)), ImageStorage.PNG, 90) is None


def test_a_broken_image_is_named() -> None:
    with pytest.raises(SparkError, match="check the camera's driver"):
        pack_image(image("rgb8", np.zeros((4, 6), np.uint8)), ImageStorage.PNG, 90)
    with pytest.raises(SparkError, match="choose raw, png or jpeg"):
        ImageStorage.of("gif")


def test_a_reader_sees_packed_and_raw_cameras_alike(tmp_path: Path) -> None:
    kind, cdr = encode_frame(FRAME)
    packed = pack_image(cdr, ImageStorage.PNG, 90)
    assert packed is not None
    writer = EpisodeWriter(tmp_path / "one.mcap", METADATA)
    writer.write(topics.camera_image("front"), kind, cdr, 5, FRAME.stamp_ns)
    writer.write(topics.camera_image("wrist") + "/compressed", *packed, 5, FRAME.stamp_ns)
    cameras = read_cameras(writer.close())
    assert list(cameras) == ["front", "wrist"]
    for frames in cameras.values():
        np.testing.assert_array_equal(frames[0].image, PICTURE)
        assert frames.stamps_ns.tolist() == [FRAME.stamp_ns]
