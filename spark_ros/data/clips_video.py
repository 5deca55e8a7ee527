"""Clips of plain video files."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import ImageArray
from spark_ros.data.clips import Clip
from spark_ros.data.video_reader import VideoReader

SUFFIXES = (".mp4", ".mkv", ".webm", ".avi", ".mov")
CAMERA = "video"


def video_files(folder: Path) -> list[Path]:
    """All video files of a tree, sorted."""
    return sorted(path for path in folder.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file())


@dataclass(frozen=True)
class VideoClip:
    """See `clips.Clip`."""

    name: str
    camera: str
    stamps_s: NDArray[np.float64]
    fingerprint: str
    reader: VideoReader
    proprioception: NDArray[np.float32] | None = None
    object_state: Mapping[str, NDArray[np.float64]] | None = None
    first: int = 0  # number of its first frame in the file

    def image(self, index: int) -> ImageArray:
        """See `clips.Clip.image`."""
        return self.reader.frame(self.first + index)

    def images(self) -> Iterator[ImageArray]:
        """See `clips.Clip.images`."""
        return self.reader.frames(self.first, self.first + len(self.stamps_s))


def video_clips(folder: Path) -> list[Clip]:
    """A clip per file.

    Raises:
        SparkError: A file is no video, or is damaged.
    """
    clips: list[Clip] = []
    for path in video_files(folder):
        reader = VideoReader(path)
        name = f"{folder.name}/{path.relative_to(folder)}"
        clips.append(VideoClip(name, CAMERA, reader.stamps_s, file_fingerprint(path), reader))
    return clips


def file_fingerprint(path: Path) -> str:
    """Path, size and time of change: hashing days of video would take longer than decoding it."""
    status = path.stat()
    return f"{path.resolve()}:{status.st_size}:{status.st_mtime_ns}"
