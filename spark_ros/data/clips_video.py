"""Clips of plain video files."""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spark_ros.contracts import FloatArray, ImageArray, SparkError
from spark_ros.data.clips import Clip
from spark_ros.data.video_reader import VideoReader

SUFFIXES = (".mp4", ".m4v", ".mkv", ".webm", ".avi", ".mov")
CAMERA = "video"

_SAMPLE_BYTES = 1 << 20


def video_clips(folder: Path, damaged: str = "refuse") -> list[Clip]:
    """A clip per file of the tree, in the order of their paths.

    Args:
        folder: The tree; files and folders whose names begin with a dot are left out.
        damaged: ``refuse`` or ``skip`` a file that cannot be opened or whose first frame cannot be decoded. One that
            is damaged further in is refused, always, when that frame is reached.

    Raises:
        SparkError: A file is no video, or is damaged.
    """
    clips: list[Clip] = []
    for path in sorted(folder.rglob("*")):
        inner = path.relative_to(folder)
        if path.suffix.lower() not in SUFFIXES or any(part.startswith(".") for part in inner.parts):
            continue
        reader = VideoReader(path)
        try:
            next(reader.frames(0, 1))
        except SparkError as error:
            if damaged == "refuse":
                raise
            warnings.warn(f"left out: {error}", stacklevel=3)
            continue
        clips.append(VideoClip(f"{folder.name}/{inner}", reader, file_fingerprint(path)))
    return clips


@dataclass(frozen=True, eq=False)
class VideoClip:
    """One file, see `clips.Clip`; its stamps are the true presentation times.

    Attributes:
        name: Path within the folder, and the folder's name before it.
        reader: Of the file.
        fingerprint: Of the file.
    """

    name: str
    reader: VideoReader
    fingerprint: str
    camera: str = CAMERA
    proprioception: None = None
    object_state: None = None

    @property
    def stamps_s(self) -> FloatArray:
        """See `clips.Clip`."""
        return self.reader.stamps_s

    def image(self, index: int) -> ImageArray:
        """See `clips.Clip`."""
        return self.reader.frame(index)

    def images(self) -> Iterator[ImageArray]:
        """See `clips.Clip`."""
        return self.reader.frames(0, len(self.stamps_s))


def file_fingerprint(path: Path) -> str:
    """SHA-256 of a file's size and of its beginning, middle and end: all of it would take long for days of video.

    Raises:
        SparkError: The file cannot be read.
    """
    try:
        size = path.stat().st_size
        digest = hashlib.sha256(str(size).encode())
        with path.open("rb") as file:
            for start in sorted({0, max(0, size // 2), max(0, size - _SAMPLE_BYTES)}):
                file.seek(start)
                digest.update(file.read(_SAMPLE_BYTES))
    except OSError as error:
        raise SparkError(f"cannot read {path}: {error.strerror}") from error
    return digest.hexdigest()
