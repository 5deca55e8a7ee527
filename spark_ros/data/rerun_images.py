"""A camera's frames in the forms that a Rerun recording takes: image files, or the samples of a video.

Images that were recorded as PNG or JPEG stay the bytes they are, whatever is asked for besides video.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from typing import Any

import cv2
import numpy as np

from spark_ros.contracts import ImageArray, SparkError
from spark_ros.data.episode_reader import CameraFrames

_JPEG_QUALITY = 90
_PNG_LEVEL = 1  # a higher one costs five times as long and saves a few percent of camera noise
_JPEG_MAGIC = b"\xff\xd8"
# No frame that refers to a later one, which Rerun's streams cannot hold; a key frame a second or so, where a viewer can
# begin. crf 18 is where a difference is hard to see.
_VIDEO = {"g": "30", "bf": "0", "crf": "18", "preset": "veryfast"}


class RerunImages(str, Enum):
    """What becomes of camera images in a Rerun recording."""

    JPEG = "jpeg"
    """A tenth of the bytes; pixels change by a few grey levels."""
    PNG = "png"
    """Lossless, about half the bytes of raw."""
    VIDEO = "video"
    """H.264, a fraction of the bytes of JPEG; a viewer needs FFmpeg to play it."""


@dataclass(frozen=True)
class ImageFile:
    """A frame as a file.

    Attributes:
        data: Its bytes.
        media_type: What they are.
    """

    data: bytes
    media_type: str


@dataclass(frozen=True)
class VideoSample:
    """A frame of a video, in H.264's Annex B form.

    Attributes:
        data: Its bytes.
        is_keyframe: Whether it can be shown without those before it.
    """

    data: bytes
    is_keyframe: bool


def image_files(frames: CameraFrames, images: RerunImages) -> Iterator[ImageFile]:
    """Every frame as a file, in order.

    Args:
        frames: The camera's.
        images: JPEG or PNG, for frames that were recorded as pixels.

    Raises:
        SparkError: A frame cannot be decoded.
    """
    for index in range(len(frames)):
        stored = frames.packed(index)
        if stored is not None:
            yield ImageFile(stored, "image/jpeg" if stored.startswith(_JPEG_MAGIC) else "image/png")
        elif images is RerunImages.PNG:
            yield ImageFile(_encoded(frames[index].image, ".png", cv2.IMWRITE_PNG_COMPRESSION, _PNG_LEVEL), "image/png")
        else:
            yield ImageFile(
                _encoded(frames[index].image, ".jpg", cv2.IMWRITE_JPEG_QUALITY, _JPEG_QUALITY), "image/jpeg"
            )


def video_samples(frames: CameraFrames) -> Iterator[VideoSample]:
    """Every frame as a sample of one video, in order.

    Raises:
        SparkError: A frame cannot be decoded, the frames differ in size, or their size is odd.
    """
    import av  # the only user of the extra `sim` here

    from spark_ros.data.pixel_format import PixelFormat

    if not len(frames):
        return
    height, width, _ = frames[0].image.shape
    if height % 2 or width % 2:
        raise SparkError(
            f"camera {frames.camera} has frames of {width}x{height} pixels, and video needs even numbers: export with "
            "--images jpeg"
        )
    codec: Any = av.CodecContext.create("libx264", "w")
    codec.width, codec.height, codec.pix_fmt, codec.options = width, height, "yuv420p", _VIDEO
    codec.time_base, codec.framerate = Fraction(1, 30), Fraction(30)  # only its rate control asks; stamps are apart
    codec.thread_count = 1  # the same bytes each time
    pixels = PixelFormat("yuv420p")
    for index in range(len(frames)):
        image = frames[index].image
        if image.shape[:2] != (height, width):
            raise SparkError(
                f"camera {frames.camera} changes its size from {width}x{height} to {image.shape[1]}x{image.shape[0]}: "
                "export with --images jpeg"
            )
        frame = pixels(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24"))
        frame.pts = index
        yield from _samples(codec.encode(frame))
    yield from _samples(codec.encode(None))


def _samples(packets: list[Any]) -> Iterator[VideoSample]:
    return (VideoSample(bytes(packet), bool(packet.is_keyframe)) for packet in packets)


def _encoded(image: ImageArray, suffix: str, option: int, value: int) -> bytes:
    done, data = cv2.imencode(suffix, cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [option, value])
    if not done:
        raise SparkError(f"a frame of {image.shape[1]}x{image.shape[0]} pixels could not be packed as {suffix[1:]}")
    return data.tobytes()
