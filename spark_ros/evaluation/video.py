"""Short videos of what the cameras saw, as H.264 that every browser plays."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import av
import cv2
import numpy as np

from spark_ros.contracts import Frame, ImageArray, SparkError

ENCORE_S = 0.8  # filmed after success, so that one sees the object held and not only the moment that counts
VIDEO_HEIGHT = 288  # pixels; policies look at small images, and a browser's own enlargement is blurred
_QUALITY = "24"  # x264's constant rate factor: 18 is visually lossless, 28 is poor
_KEYFRAME_EVERY = 10  # so that a viewer can step through one second at a time


class Film:
    """Collects the frames of an episode, the cameras side by side."""

    def __init__(self, cameras: Sequence[str]) -> None:
        """Starts empty; `cameras` from left to right."""
        self._cameras = tuple(cameras)
        self._seen: dict[str, Frame] = {}
        self._images: list[ImageArray] = []
        self._stamps: list[int] = []

    def add(self, frame: Frame) -> None:
        """Takes a camera's frame; a picture is complete once every camera has sent one."""
        if frame.camera not in self._cameras:
            return
        self._seen[frame.camera] = frame
        if len(self._seen) == len(self._cameras):
            self._images.append(side_by_side(self._seen, self._cameras))
            self._stamps.append(min(frame.stamp_ns for frame in self._seen.values()))
            self._seen = {}

    def write(self, path: Path) -> bool:
        """Writes what was collected, at the cameras' own rate; False if there is nothing to write.

        A single picture is shown for a second: of an episode that ended at once, it is what one wants to see.

        Raises:
            SparkError: The file cannot be written.
        """
        if not self._images:
            return False
        seconds = (self._stamps[-1] - self._stamps[0]) * 1e-9
        rate = min(max(round((len(self._stamps) - 1) / max(seconds, 1e-3)), 1), 60)
        write_video(path, self._images, rate)
        return True


def side_by_side(frames: Mapping[str, Frame], cameras: Sequence[str]) -> ImageArray:
    """(`VIDEO_HEIGHT`, W, 3) RGB: the cameras' images from left to right, enlarged; W is even."""
    parts = []
    for camera in cameras:
        image = frames[camera].image
        width = 2 * round(image.shape[1] * VIDEO_HEIGHT / image.shape[0] / 2)
        parts.append(cv2.resize(image, (width, VIDEO_HEIGHT), interpolation=cv2.INTER_CUBIC))
    return np.hstack(parts)


def write_video(path: Path, images: Sequence[ImageArray], rate_hz: int) -> None:
    """Writes (H, W, 3) RGB images of one size, H and W even, as an MP4 that appears whole or not at all.

    Raises:
        SparkError: The file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    height, width, _ = images[0].shape
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with av.open(str(part), "w", format="mp4", options={"movflags": "faststart"}) as container:
            stream = container.add_stream("libx264", rate=rate_hz)
            stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
            stream.options = {"crf": _QUALITY, "preset": "veryfast", "g": str(_KEYFRAME_EVERY)}
            stream.codec_context.thread_count = 1
            for image in images:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")))
            container.mux(stream.encode())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise SparkError(f"cannot write {path}: {error.strerror}; make room or choose another folder") from error
