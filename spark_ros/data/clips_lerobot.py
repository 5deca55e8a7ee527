"""Clips of a LeRobotDataset v3.0: video, or images in its tables, and the robot's state where there is one.

Opening a dataset reads its meta/ alone, so that a large one costs no more than its description; what the files hold is
checked against it when it is first needed.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from spark_ros.contracts import FloatArray, ImageArray, SparkError
from spark_ros.data.clips import Clip, missing_camera
from spark_ros.data.lerobot_dataset import IMAGES, LerobotDataset
from spark_ros.data.video_reader import VideoReader

STATE = "observation.state"


def lerobot_clips(folder: Path, cameras: Sequence[str] | None) -> list[Clip]:
    """The clips of all episodes, in their order; cameras are called as in the dataset, less ``observation.images.``.

    Raises:
        SparkError: Another version, a missing or damaged file, a path that leaves the folder, a missing camera.
    """
    dataset = LerobotDataset(folder)
    if not dataset.cameras:
        raise SparkError(f"{folder} has no feature {IMAGES}*, so no video: choose another dataset")
    chosen = [camera.removeprefix(IMAGES) for camera in cameras or dataset.cameras]
    for camera in chosen:
        if camera not in dataset.cameras:
            raise missing_camera(folder, camera, list(dataset.cameras))
    return [episode_clip(dataset, row, camera) for row in dataset.episodes() for camera in chosen]


def episode_clip(dataset: LerobotDataset, row: Mapping[str, Any], camera: str) -> LerobotClip:
    """What one camera saw during one episode.

    Args:
        dataset: Whose.
        row: The episode, of `LerobotDataset.episodes`.
        camera: One of the dataset's.

    Raises:
        SparkError: A file is missing, or its path leaves the folder.
    """
    with dataset.understood():
        episode, length, key = int(row["episode_index"]), int(row["length"]), dataset.cameras[camera]
        if length < 1:
            raise ValueError(f"length {length}")
        table = dataset.file("data_path", row, "data")
        first_row = dataset.first_row(row, table)
        if dataset.features[key]["dtype"] == "video":
            path = dataset.file("video_path", row, f"videos/{key}", video_key=key)
            begin_s = float(row[f"videos/{key}/from_timestamp"])
            mark = f"{dataset.fingerprint(path)}/{begin_s}/{length}"
            return LerobotClip(dataset, episode, camera, length, mark, table, first_row, dataset.reader(path), begin_s)
        mark = f"{dataset.fingerprint(table)}/{key}/{first_row}"
        return LerobotClip(dataset, episode, camera, length, mark, table, first_row)


@dataclass(frozen=True, eq=False)
class LerobotClip:
    """One camera of an episode, see `clips.Clip`.

    Attributes:
        dataset: Whose it is.
        episode: Its number.
        camera: The camera.
        length: T.
        fingerprint: Of the camera's file, and where the episode lies in it.
        table: File of the episode's rows.
        first_row: The first of them.
        reader: Of the camera's video; None where the images lie in the table.
        begin_s: When the episode begins in that video.
    """

    dataset: LerobotDataset
    episode: int
    camera: str
    length: int
    fingerprint: str
    table: Path
    first_row: int
    reader: VideoReader | None = None
    begin_s: float = 0.0

    object_state = None

    @property
    def name(self) -> str:
        """See `clips.Clip`."""
        return f"{self.dataset.folder.name}/episode_{self.episode:06d}"

    @cached_property
    def stamps_s(self) -> FloatArray:
        """See `clips.Clip`; LeRobot spaces frames evenly, whatever the camera did."""
        return np.arange(self.length, dtype=np.float64) / self.dataset.fps

    @cached_property
    def proprioception(self) -> NDArray[np.float32] | None:
        """See `clips.Clip`; the feature ``observation.state``.

        Raises:
            SparkError: The table is missing, damaged, or does not hold the episode.
        """
        if STATE not in self.dataset.features:
            return None
        rows = self._rows(STATE)
        values = np.asarray(pa.compute.list_flatten(rows).to_numpy(zero_copy_only=False), np.float32)
        return values.reshape(self.length, -1)

    def image(self, index: int) -> ImageArray:
        """See `clips.Clip`."""
        if self.reader is not None:
            return self.reader.frame(self._first_frame + index)
        cell = self._rows(self.dataset.cameras[self.camera])[index].as_py()
        try:
            data = cell["bytes"] or self.dataset.inside(cell["path"]).read_bytes()
            image = cv2.imdecode(np.frombuffer(data, np.uint8), cv2.IMREAD_COLOR_RGB)
        except (OSError, TypeError, KeyError, cv2.error):
            image = None
        if image is None:
            raise SparkError(f"{self.table}: image {index} of {self.name} {self.camera} is damaged; fetch it again")
        return np.asarray(image, np.uint8)

    def images(self) -> Iterator[ImageArray]:
        """See `clips.Clip`."""
        if self.reader is not None:
            return self.reader.frames(self._first_frame, self._first_frame + self.length)
        return (self.image(index) for index in range(self.length))

    @cached_property
    def _first_frame(self) -> int:
        """Number, in its video, of the episode's first frame.

        Raises:
            SparkError: The video has not one frame for each row, where the description says that they are.
        """
        assert self.reader is not None
        found, half_s = self.reader.stamps_s, 0.5 / self.dataset.fps
        first = int(np.searchsorted(found, self.begin_s - half_s))
        wanted = self.begin_s + self.stamps_s
        there = found[first : first + self.length]
        if len(there) < self.length or np.abs(there - wanted).max() > half_s:
            raise SparkError(
                f"{self.reader.path} has no frame for each of the {self.length} rows of episode {self.episode} from "
                f"{self.begin_s:.3f} s at {self.dataset.fps:g} frames/s: fetch the dataset again, or leave it out"
            )
        return first

    def _rows(self, key: str) -> pa.Array:
        """The episode's part of a column."""
        return self.dataset.span(self.table, self.first_row, self.length, self.episode, key)
