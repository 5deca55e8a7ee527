"""What a LeRobotDataset v3.0 says about itself, and where in its files what lies.

Many episodes share a file: meta/episodes/*.parquet says where each lies in data/*.parquet and videos/<key>/*.mp4. Paths
in a dataset are patterns that it brings along, so none is followed out of its folder.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import lru_cache
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from spark_ros.contracts import SparkError
from spark_ros.data.clips_video import file_fingerprint
from spark_ros.data.video_reader import VideoReader

VERSION = "v3.0"
IMAGES = "observation.images."


class LerobotDataset:
    """The description of a dataset.

    Attributes:
        folder: Where it lies.
        features: Of meta/info.json.
        fps: Rows per second.
        cameras: Feature of every camera.
        robot: Which robot it is of, in the dataset's own words; empty if it does not say.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        path = folder / "meta" / "info.json"
        try:
            info = json.loads(path.read_text(encoding="utf-8"))
            version = info["codebase_version"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise SparkError(f"{path} is damaged ({error}): fetch the dataset again") from error
        if version != VERSION:
            raise SparkError(
                f"{folder} is a LeRobot dataset {version}, expected {VERSION}: convert it with LeRobot's own tools"
            )
        try:
            self.features, self.fps = dict(info["features"]), float(info["fps"])
            self._patterns = {key: str(info[key]) for key in ("data_path", "video_path") if info.get(key)}
            keys = [key for key in self.features if key.startswith(IMAGES)]
            if not self.fps > 0.0 or not all(self.features[key]["dtype"] in ("video", "image") for key in keys):
                raise ValueError(f"fps {self.fps}, {len(keys)} cameras")
        except (KeyError, TypeError, ValueError) as error:
            raise SparkError(f"{path} is incomplete ({error}): fetch the dataset again") from error
        self.cameras = {key.removeprefix(IMAGES): key for key in keys}
        self.robot = str(info.get("robot_type") or "")
        self._first_rows: dict[Path, int] = {}
        self._readers: dict[Path, VideoReader] = {}
        self._fingerprints: dict[Path, str] = {}

    def episodes(self) -> list[dict[str, Any]]:
        """The description of every episode, by number.

        Raises:
            SparkError: There is none, or a table is damaged.
        """
        rows: list[dict[str, Any]] = []
        for path in sorted((self.folder / "meta" / "episodes").rglob("*.parquet")):
            with _reading(path):
                file = pq.ParquetFile(path)
                # Statistics of every feature lie there too, many times as much as what is needed.
                columns = [name for name in file.schema_arrow.names if not name.startswith("stats/")]
                rows += file.read(columns).to_pylist()
        if not rows:
            raise SparkError(f"{self.folder} describes no episode (meta/episodes is empty): fetch the dataset again")
        with self.understood():
            for row in rows:  # rows of a file are counted from the first episode in it
                place, start = self._place("data_path", row, "data"), int(row["dataset_from_index"])
                self._first_rows[place] = min(start, self._first_rows.get(place, start))
            return sorted(rows, key=lambda row: int(row["episode_index"]))

    @contextmanager
    def understood(self) -> Iterator[None]:
        """Turns what a description without what is expected in it raises into a `SparkError`."""
        try:
            yield
        except (KeyError, TypeError, ValueError, IndexError) as error:
            raise SparkError(
                f"{self.folder} describes its episodes incompletely ({type(error).__name__}: {error}): expected what "
                f"LeRobot {VERSION} writes; fetch the dataset again"
            ) from error

    def first_row(self, row: Mapping[str, Any], table: Path) -> int:
        """Number of an episode's first row in its table."""
        return int(row["dataset_from_index"]) - self._first_rows[table]

    def file(self, pattern: str, row: Mapping[str, Any], group: str, **names: str) -> Path:
        """A file of an episode.

        Raises:
            SparkError: It lies outside the folder, or is missing.
        """
        path = self._place(pattern, row, group, **names)
        if not path.is_file():
            raise SparkError(f"{path} is missing, episode {row['episode_index']} lies in it: fetch the dataset again")
        return path

    def inside(self, name: str) -> Path:
        """A path that the dataset names.

        Raises:
            SparkError: It lies outside the folder.
        """
        # By its words alone: download caches are made of links that lead out of the folder, rightly.
        if Path(name).is_absolute() or ".." in Path(name).parts:
            raise SparkError(f"{self.folder} names the file {name!r}, expected one inside: do not use this dataset")
        return self.folder / name

    def column(self, table: Path, name: str) -> pa.Array:
        """A column of a table; the last few stay in memory for the next episode.

        Raises:
            SparkError: The table is missing or damaged, or has no such column.
        """
        with _reading(table):
            return _read_column(table, table.stat().st_mtime_ns, name)

    def span(self, table: Path, first_row: int, length: int, episode: int, name: str) -> pa.Array:
        """An episode's part of a column.

        Args:
            table: File of its rows.
            first_row: Number of the first of them in it, see `first_row`.
            length: Their number.
            episode: The episode's number.
            name: Of the column.

        Raises:
            SparkError: As for `column`, or other episodes' rows lie there.
        """
        episodes, column = self.column(table, "episode_index"), self.column(table, name)
        span = slice(first_row, first_row + length)
        numbers = episodes[span].to_numpy()
        if len(numbers) != length or (numbers != episode).any():
            raise SparkError(
                f"{table} does not hold the {length} rows of episode {episode} where its description says: fetch the "
                "dataset again"
            )
        return column[span]

    def cells(self, row: Mapping[str, Any], name: str) -> pa.Array:
        """The part of a column that belongs to an episode of `episodes`; raises as `span` does."""
        table = self.file("data_path", row, "data")
        return self.span(table, self.first_row(row, table), int(row["length"]), int(row["episode_index"]), name)

    def reader(self, path: Path) -> VideoReader:
        """Of a video; the episodes in it share one."""
        return self._readers.setdefault(path, VideoReader(path))

    def fingerprint(self, path: Path) -> str:
        """Of a file, see `clips_video.file_fingerprint`."""
        if path not in self._fingerprints:
            self._fingerprints[path] = file_fingerprint(path)
        return self._fingerprints[path]

    def _place(self, pattern: str, row: Mapping[str, Any], group: str, **names: str) -> Path:
        indices = {part: int(row[f"{group}/{part}"]) for part in ("chunk_index", "file_index")}
        return self.inside(self._patterns[pattern].format(**names, **indices))


@contextmanager
def _reading(path: Path) -> Iterator[None]:
    """Turns what pyarrow raises within the block into a `SparkError` that names the file."""
    try:
        yield
    except (OSError, pa.ArrowException, KeyError) as error:
        reason = " ".join(str(error).split())[:120]
        raise SparkError(f"{path} is missing or damaged ({reason}): fetch the dataset again") from error


@lru_cache(maxsize=4)  # a table has about 100 MB at most, nearly all of it images where there are any
def _read_column(path: Path, changed_ns: int, name: str) -> pa.Array:
    return pq.read_table(path, columns=[name])[name].combine_chunks()
