"""Frames of a video file by number, with their true times."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import FloatArray, ImageArray, SparkError
from spark_ros.data.pixel_format import PixelFormat

# Of each thread. A decoder of a large video holds tens of megabytes of reference frames; the two frames of a pair come
# from one file, and a robot has a few cameras.
OPEN_FILES = 2
# Reading on is cheaper than seeking, which goes back to a key frame, over about this time.
READ_ON_S = 1.0

_FAILURES = (av.error.FFmpegError, OSError, IndexError, ValueError)
_open = threading.local()


class VideoReader:
    """The first video stream of a file; nothing is read before it is asked for. Any number of threads may use it.

    Args:
        path: The file.

    Attributes:
        path: As given.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    @cached_property
    def stamps_s(self) -> FloatArray:
        """(T,) rising presentation times in seconds, as the file's packets say.

        Raises:
            SparkError: The file is no video, is damaged or empty.
        """
        return np.asarray(self._pts * self._time_base, np.float64)

    def frame(self, index: int) -> ImageArray:
        """Frame `index`, (H, W, 3) uint8 RGB; frames a little later than the one before are found quickly.

        Raises:
            SparkError: It cannot be decoded.
        """
        pts = int(self._pts[index])
        try:
            return self._cursor().image(pts, READ_ON_S / self._time_base)
        except _FAILURES as error:
            self._forget()
            raise self._undecodable(index, error) from error

    def frames(self, first: int, end: int) -> Iterator[ImageArray]:
        """Frames `first` to `end` - 1 in one pass.

        Raises:
            SparkError: One cannot be decoded.
        """
        index = first
        try:
            cursor = _Cursor(self.path)
            try:
                for index in range(first, end):
                    yield cursor.image(int(self._pts[index]), float("inf") if index > first else 0.0)
            finally:
                cursor.close()
        except _FAILURES as error:
            raise self._undecodable(index, error) from error

    @cached_property
    def _index(self) -> tuple[NDArray[np.int64], float]:
        """(T,) sorted time stamps of the packets, and the seconds of their unit."""
        try:
            with av.open(str(self.path)) as container:
                stream = container.streams.video[0]
                packets = [packet for packet in container.demux(stream) if packet.size and not packet.is_discard]
                pts = np.unique([packet.pts for packet in packets if packet.pts is not None]).astype(np.int64)
                if not len(pts) or len(pts) < len(packets):
                    raise ValueError(f"{len(packets)} frames with {len(pts)} different times")
                return pts, float(stream.time_base or 0)
        except _FAILURES as error:
            raise SparkError(
                f"{self.path} is not a readable video ({_short(error)}): restore it or remove it from the folder"
            ) from error

    @property
    def _pts(self) -> NDArray[np.int64]:
        return self._index[0]

    @property
    def _time_base(self) -> float:
        return self._index[1]

    def _cursor(self) -> _Cursor:
        """This thread's decoder of the file."""
        cursors: OrderedDict[Path, _Cursor] = _open.__dict__.setdefault("cursors", OrderedDict())
        if self.path not in cursors:
            cursors[self.path] = _Cursor(self.path)
            while len(cursors) > OPEN_FILES:
                cursors.popitem(last=False)[1].close()
        cursors.move_to_end(self.path)
        return cursors[self.path]

    def _forget(self) -> None:
        cursor = _open.__dict__.get("cursors", {}).pop(self.path, None)
        if cursor is not None:
            cursor.close()

    def _undecodable(self, index: int, error: Exception) -> SparkError:
        return SparkError(
            f"{self.path} is damaged: frame {index} of {len(self._pts)} cannot be decoded ({_short(error)}); restore "
            "it or remove it from the folder"
        )


class _Cursor:
    """A decoder somewhere in a file."""

    def __init__(self, path: Path) -> None:
        self._container = av.open(str(path))
        self._stream = self._container.streams.video[0]
        # Damage must not become training data: by default decoders paint over what they cannot read.
        self._stream.codec_context.options = {"err_detect": "explode"}
        # Frames are decoded side by side by the callers' threads already.
        self._stream.codec_context.thread_count = 1
        self._frames = self._container.decode(self._stream)
        self._rgb = PixelFormat("rgb24")
        self._at: int | None = None  # time stamp of the last decoded frame

    def image(self, pts: int, read_on: float) -> ImageArray:
        """The frame with this time stamp, read on to if it is at most `read_on` later than the last one.

        Raises:
            ValueError: There is no such frame.
        """
        if self._at is None or not 0 < pts - self._at <= read_on:
            self._container.seek(pts, stream=self._stream, backward=True)
            self._frames = self._container.decode(self._stream)
        for frame in self._frames:
            if frame.pts is not None and frame.pts >= pts:
                self._at = frame.pts
                if frame.pts > pts or frame.is_corrupt:
                    break
                return np.asarray(self._rgb(frame).to_ndarray(), np.uint8)
        raise ValueError("it is not there")

    def close(self) -> None:
        self._container.close()


def _short(error: Exception) -> str:
    return " ".join(str(error).split())[:120]
