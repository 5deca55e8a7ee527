"""Frames of a video file by number, with their true times."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np

from spark_ros.contracts import ImageArray, SparkError


class VideoReader:
    """One video stream.

    Args:
        path: The file.

    Attributes:
        path: As given.
        stamps_s: (T,) presentation times in seconds, increasing.

    Raises:
        SparkError: The file is no video, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            with av.open(str(path)) as container:
                stream = container.streams.video[0]
                pts = [packet.pts for packet in container.demux(stream) if packet.pts is not None and packet.size]
                self._pts = np.array(sorted(pts), np.int64)
                self.stamps_s = np.asarray(self._pts * float(stream.time_base or 0), np.float64)
        except (av.error.FFmpegError, OSError, IndexError, ValueError) as error:
            raise self._damaged(error) from error

    def frame(self, index: int) -> ImageArray:
        """Frame `index`, (H, W, 3) uint8 RGB, found from the key frame before it.

        Raises:
            SparkError: It cannot be decoded.
        """
        return next(self.frames(index, index + 1))

    def frames(self, first: int, end: int) -> Iterator[ImageArray]:
        """Frames `first` to `end` - 1 in one pass.

        Raises:
            SparkError: One cannot be decoded.
        """
        wanted = first
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                container.seek(int(self._pts[first]), stream=stream, backward=True)
                for frame in container.decode(stream):
                    if wanted >= end:
                        return
                    if frame.pts is None or frame.pts < self._pts[wanted]:
                        continue
                    if frame.pts != self._pts[wanted]:
                        break
                    yield np.asarray(frame.to_ndarray(format="rgb24"), np.uint8)
                    wanted += 1
        except (av.error.FFmpegError, OSError, IndexError) as error:
            raise self._damaged(error) from error
        if wanted < end:
            raise SparkError(
                f"{self.path} is damaged: frame {wanted} of {len(self._pts)} cannot be decoded; restore it"
            )

    def _damaged(self, error: Exception) -> SparkError:
        reason = " ".join(str(error).split())[:120]
        return SparkError(f"{self.path} is not a readable video ({reason}): restore it or remove it from the folder")
