"""Writes a camera's frames as the video files of a LeRobotDataset: many episodes in one file, frame by frame in step.

A file ends between two episodes, once it is large enough. Frame n of a file stands at n / fps, exactly; every second
frame is a key frame, as LeRobot has it, so that a frame anywhere is found at once, and every episode begins with one.
One thread and no dates in the file: the same frames give the same bytes with the same build of the encoder.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.video.frame import PictureType

from spark_ros.contracts import ImageArray, SparkError
from spark_ros.data.pixel_format import PixelFormat

VIDEO_PATH = "videos/{video_key}/chunk-{chunk_index:03d}/file-{file_index:03d}.mp4"
CODEC, PIXELS = "libx264", "yuv420p"
# Every second frame a key frame, none that refers to a later one. crf 18 is where a difference is hard to see;
# LeRobot's own 30 blurs what a small camera shows of a far object.
_OPTIONS = {"g": "2", "bf": "0", "crf": "18", "preset": "veryfast"}
_CHUNK_FILES = 1000


@dataclass
class Placement:
    """Where an episode lies in a camera's videos.

    Attributes:
        chunk_index: Folder.
        file_index: File in it.
        first: Number of its first frame in the file.
        length: Number of its frames.
    """

    chunk_index: int
    file_index: int
    first: int
    length: int = 0


class CameraVideo:
    """The videos of one camera.

    Args:
        folder: The dataset's.
        key: The camera's feature.
        fps: Frames per second.
        file_bytes: A file that has grown to this size is the last one's end; the next episode begins a new file.
    """

    def __init__(self, folder: Path, key: str, fps: int, file_bytes: int) -> None:
        self._folder, self._key, self._fps, self._limit = folder, key, fps, file_bytes
        self._container: Any = None
        self._stream: Any = None
        self._index, self._frames, self._bytes = -1, 0, 0
        self._episode: Placement | None = None
        self._pixels = PixelFormat(PIXELS)

    def begin_episode(self) -> Placement:
        """Where the coming frames will lie; its length grows with them."""
        if self._container is not None and self._bytes >= self._limit:
            self.close()
        if self._container is None:
            self._index, self._frames, self._bytes = self._index + 1, 0, 0
        chunk, file = divmod(max(self._index, 0), _CHUNK_FILES)
        self._episode = Placement(chunk, file, self._frames)
        return self._episode

    def add(self, image: ImageArray) -> None:
        """Append a frame, (H, W, 3) uint8 RGB, all of one even size.

        Raises:
            SparkError: The size is odd, which this kind of video cannot hold.
            OSError: The disk is full.
        """
        assert self._episode is not None
        if self._container is None:
            self._open(*image.shape[:2])
        frame = self._pixels(av.VideoFrame.from_ndarray(image, format="rgb24"))
        frame.pts, frame.time_base = self._frames, Fraction(1, self._fps)
        if not self._episode.length:
            frame.pict_type = PictureType.I
        self._write(self._stream.encode(frame))
        self._frames += 1
        self._episode.length += 1

    def close(self) -> None:
        """Finish the file at hand."""
        if self._container is not None:
            self._write(self._stream.encode())
            self._container.close()
            self._container = None

    def _open(self, height: int, width: int) -> None:
        if height % 2 or width % 2:
            raise SparkError(
                f"{self._key} has frames of {width}x{height} pixels, and video needs even numbers: export with --images"
            )
        assert self._episode is not None
        place = {"chunk_index": self._episode.chunk_index, "file_index": self._episode.file_index}
        path = self._folder / VIDEO_PATH.format(video_key=self._key, **place)
        path.parent.mkdir(parents=True, exist_ok=True)
        self._container = av.open(str(path), "w", options={"fflags": "+bitexact"})
        self._stream = self._container.add_stream(CODEC, rate=self._fps, options=_OPTIONS)
        self._stream.width, self._stream.height, self._stream.pix_fmt = width, height, PIXELS
        self._stream.codec_context.time_base = Fraction(1, self._fps)
        self._stream.codec_context.thread_count = 1

    def _write(self, packets: list[Any]) -> None:
        self._bytes += sum(packet.size for packet in packets)
        self._container.mux(packets)


def video_info(height: int, width: int, fps: int) -> dict[str, object]:
    """What LeRobot says of a video in meta/info.json."""
    return {
        "video.height": height,
        "video.width": width,
        "video.codec": "h264",
        "video.pix_fmt": PIXELS,
        "video.is_depth_map": False,
        "video.fps": fps,
        "video.channels": 3,
        "has_audio": False,
    }
