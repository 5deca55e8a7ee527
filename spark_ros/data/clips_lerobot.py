"""Clips of a LeRobotDataset v3.0: video or embedded images, and the robot's state where there is one.

Layout: meta/info.json, meta/episodes/*.parquet, data/*.parquet, videos/<key>/*.mp4; many episodes share a file.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from numpy.typing import NDArray

from spark_ros.contracts import ImageArray, SparkError
from spark_ros.data.clips import Clip
from spark_ros.data.clips_video import VideoClip, file_fingerprint
from spark_ros.data.video_reader import VideoReader

VERSION = "v3.0"
IMAGES = "observation.images."
STATE = "observation.state"


def is_lerobot(folder: Path) -> bool:
    """Whether a folder is a LeRobot dataset of any version."""
    return (folder / "meta" / "info.json").is_file()


def lerobot_clips(folder: Path, cameras: Sequence[str] | None) -> list[Clip]:
    """The clips of all episodes.

    Raises:
        SparkError: Another version, a missing or damaged file, a path that leaves the folder, a missing camera.
    """
    info = _info(folder)
    keys = {name.removeprefix(IMAGES): name for name in info["features"] if name.startswith(IMAGES)}
    if missing := [camera for camera in cameras or () if camera not in keys]:
        raise SparkError(f"{folder} has no camera {', '.join(missing)}: it has {', '.join(keys) or 'none'}")
    episodes = [
        row for path in sorted((folder / "meta" / "episodes").rglob("*.parquet")) for row in _table(path).to_pylist()
    ]
    if not episodes:
        raise SparkError(f"{folder} describes no episode (meta/episodes is empty): fetch the dataset again")
    clips: list[Clip] = []
    for row in episodes:
        try:
            rows = _rows(folder, info, row)
            name = f"{folder.name}/episode_{row['episode_index']:06d}"
            state = _matrix(rows, STATE)
            for camera in cameras or keys:
                key = keys[camera]
                if info["features"][key]["dtype"] == "video":
                    clips.append(_video_clip(folder, info, row, name, camera, key, state))
                else:
                    stamps = np.array(rows["timestamp"].to_pylist(), np.float64)
                    mark = f"{file_fingerprint(_data_file(folder, info, row))}/{row['episode_index']}/{key}"
                    clips.append(ImageClip(name, camera, stamps, mark, state, None, folder, key, rows))
        except KeyError as error:
            raise SparkError(
                f"{folder} is not a complete {VERSION} dataset: it lacks {error}; fetch it again"
            ) from error
    return clips


@dataclass(frozen=True)
class ImageClip:
    """See `clips.Clip`; the images lie in the table."""

    name: str
    camera: str
    stamps_s: NDArray[np.float64]
    fingerprint: str
    proprioception: NDArray[np.float32] | None
    object_state: Mapping[str, NDArray[np.float64]] | None
    folder: Path
    key: str
    rows: pa.Table

    def image(self, index: int) -> ImageArray:
        """See `clips.Clip.image`."""
        cell = self.rows[self.key][index].as_py()
        data = cell["bytes"] if cell.get("bytes") else _inside(self.folder, cell["path"]).read_bytes()
        image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR)
        if image is None:
            raise SparkError(f"{self.name}: image {index} of camera {self.camera} is damaged; fetch the dataset again")
        return np.ascontiguousarray(image[:, :, ::-1], np.uint8)

    def images(self) -> Iterator[ImageArray]:
        """See `clips.Clip.images`."""
        return (self.image(index) for index in range(len(self.stamps_s)))


def _video_clip(
    folder: Path,
    info: Mapping[str, Any],
    row: Mapping[str, Any],
    name: str,
    camera: str,
    key: str,
    state: NDArray[np.float32] | None,
) -> VideoClip:
    place = {part: row[f"videos/{key}/{part}"] for part in ("chunk_index", "file_index")}
    path = _inside(folder, info["video_path"].format(video_key=key, **place))
    reader = _reader(path)
    # The frames of an episode are counted from the one at its first timestamp: stamps in the table are synthetic.
    first = int(np.abs(reader.stamps_s - row[f"videos/{key}/from_timestamp"]).argmin())
    stamps = reader.stamps_s[first : first + row["length"]]
    if len(stamps) != row["length"]:
        raise SparkError(
            f"{path} holds {len(stamps)} of the {row['length']} frames of episode {row['episode_index']}: "
            "fetch the dataset again"
        )
    mark = f"{file_fingerprint(path)}/{first}"
    return VideoClip(name, camera, stamps - stamps[0], mark, reader, state, None, first)


def _info(folder: Path) -> dict[str, Any]:
    path = folder / "meta" / "info.json"
    try:
        info = json.loads(path.read_text(encoding="utf-8"))
        version, features = info["codebase_version"], info["features"]
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise SparkError(f"{path} is damaged ({error}): fetch the dataset again") from error
    if version != VERSION or not isinstance(features, dict):
        raise SparkError(
            f"{folder} is a LeRobot dataset {version}, expected {VERSION}: convert it with lerobot's tools"
        )
    return info


def _rows(folder: Path, info: Mapping[str, Any], row: Mapping[str, Any]) -> pa.Table:
    """The frames of an episode."""
    table = _table(_data_file(folder, info, row))
    index = table["episode_index"].to_numpy()
    begin, end = np.searchsorted(index, [row["episode_index"], row["episode_index"] + 1])
    if end - begin != row["length"]:
        raise SparkError(
            f"{folder}: episode {row['episode_index']} has {end - begin} rows, its description says {row['length']}: "
            "fetch the dataset again"
        )
    return table.slice(begin, end - begin)


def _data_file(folder: Path, info: Mapping[str, Any], row: Mapping[str, Any]) -> Path:
    place = {part: row[f"data/{part}"] for part in ("chunk_index", "file_index")}
    return _inside(folder, info["data_path"].format(**place))


def _matrix(rows: pa.Table, key: str) -> NDArray[np.float32] | None:
    return np.array(rows[key].to_pylist(), np.float32) if key in rows.column_names else None


def _inside(folder: Path, name: str) -> Path:
    path = (folder / name).resolve()
    if not path.is_relative_to(folder.resolve()):
        raise SparkError(f"{folder} names the file {name!r} outside itself: do not use this dataset")
    return path


@lru_cache(maxsize=4)
def _table(path: Path) -> pa.Table:
    try:
        return pq.read_table(path)
    except (OSError, pa.ArrowException) as error:
        reason = " ".join(str(error).split())[:120]
        raise SparkError(f"{path} is missing or damaged ({reason}): fetch the dataset again") from error


@lru_cache(maxsize=64)
def _reader(path: Path) -> VideoReader:
    return VideoReader(path)
