"""The kept episodes as a list with small pictures, made when they are looked at and kept in memory."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spark_ros.console.pictures import to_jpeg
from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import INDEX_FILE, DemoFolder, EpisodeEntry
from spark_ros.data.episode_picture import episode_picture

WIDTH = 192  # pixels of a thumbnail
KEPT = 1000  # thumbnails in memory, some 6 kB each


@dataclass(frozen=True)
class Page:
    """A part of the list, newest first.

    Attributes:
        folder: Where they lie.
        total: How many there are in all.
        successes: How many of them show the task done.
        flagged: How many were recorded with something wrong.
        episodes: This part.
    """

    folder: str
    total: int
    successes: int
    flagged: int
    episodes: tuple[EpisodeEntry, ...]

    def to_values(self) -> dict[str, Any]:
        """As JSON has it."""
        return asdict(self)


class Shelf:
    """The episodes of a folder that may change at any time; to be used from one thread."""

    def __init__(self) -> None:
        self._read: tuple[tuple[str, int, int], tuple[EpisodeEntry, ...]] | None = None
        self._thumbnails: OrderedDict[tuple[str, bool], bytes] = OrderedDict()

    def page(self, folder: str, begin: int, count: int) -> Page:
        """Some episodes of the list.

        Args:
            folder: Where they lie.
            begin: How many of the newest are left out.
            count: How many are wanted.

        Raises:
            SparkError: The folder or its index cannot be read.
        """
        entries = self._entries(folder)
        newest = tuple(reversed(entries))[begin : begin + count]
        successes, flagged = (
            sum(entry.success is True for entry in entries),
            sum(bool(entry.flags) for entry in entries),
        )
        return Page(folder, len(entries), successes, flagged, newest)

    def thumbnail(self, folder: str, file: str, *, last: bool) -> bytes:
        """The first or last picture of an episode that the index lists, as JPEG.

        Raises:
            SparkError: It does not, or the episode has no picture.
        """
        entry = next((entry for entry in self._entries(folder) if entry.file == file), None)
        if entry is None:
            raise SparkError(f"{folder} lists no episode {file[:100]!r}")
        key = entry.sha256, last
        if key in self._thumbnails:
            self._thumbnails.move_to_end(key)
            return self._thumbnails[key]
        picture = to_jpeg(episode_picture(DemoFolder(folder).file(entry), last=last).image, WIDTH)
        self._thumbnails[key] = picture
        if len(self._thumbnails) > KEPT:
            self._thumbnails.popitem(last=False)
        return picture

    def _entries(self, folder: str) -> tuple[EpisodeEntry, ...]:
        """Read again when the index has been replaced."""
        try:
            about = (Path(folder) / INDEX_FILE).stat()
            version = folder, about.st_mtime_ns, about.st_ino
        except OSError:
            version = folder, 0, 0
        if self._read is None or self._read[0] != version or not version[1]:
            self._read = version, tuple(DemoFolder(folder).episodes())
        return self._read[1]
