"""Demonstrations as a LeRobotDataset v3.0, that LeRobot's own loader opens.

One row per observation as the policy node would form it (`rows`). LeRobot spaces rows evenly, whatever the cameras did;
the true stamps stand beside that in features of their own, ``time.stamp_ns`` and ``time.<camera>_ns``.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import ActionKind, ImageArray, SparkError
from spark_ros.data.dataset_folder import DemoFolder, EpisodeEntry
from spark_ros.data.lerobot_dataset import IMAGES, VERSION
from spark_ros.data.lerobot_stats import PixelCounts, Statistics, flat, vector_statistics
from spark_ros.data.lerobot_tables import (
    CHUNK_FILES,
    DATA_PATH,
    RowTables,
    write_episodes,
    write_json,
    write_tasks,
)
from spark_ros.data.lerobot_video import VIDEO_PATH, CameraVideo, Placement, video_info
from spark_ros.data.progress import data_bar
from spark_ros.data.rows import AlignedEpisode, RowMaker
from spark_ros.data.staging import staged_folder

STATE, ACTION, STAMP = "observation.state", "action", "time.stamp_ns"
IMITATE, INTERVENTION = "imitate", "intervention"
_DATA_MB, _VIDEO_MB = 100, 200  # LeRobot's own
_NUMBERS = ("frame_index", "episode_index", "index", "task_index")
# An episode whose rate differs by more from the others' would be played too fast or too slow by that much.
_RATE_TOLERANCE = 0.05


def camera_stamp(camera: str) -> str:
    """The feature that holds the true capture times of a camera, ns."""
    return f"time.{camera}_ns"


@dataclass(frozen=True)
class ExportOptions:
    """How to export.

    Attributes:
        cameras: Which cameras, in order; empty for all of the first episode.
        action: What the actions are, one of `rows.ACTIONS`.
        images: Whether frames are stored as PNG in the tables, without loss, instead of as video.
        failures: Whether episodes that are not marked as successful are exported, too.
        fps: Rows per second; None to measure it.
        video_mb: Size at which a video file ends.
        data_mb: Size at which a table ends.
        progress: Whether to show a bar.
    """

    cameras: tuple[str, ...] = ()
    action: ActionKind = ActionKind.JOINT_POSITION
    images: bool = False
    failures: bool = False
    fps: int | None = None
    video_mb: float = _VIDEO_MB
    data_mb: float = _DATA_MB
    progress: bool = True


@dataclass(frozen=True)
class Exported:
    """What was written.

    Attributes:
        episodes: Number of episodes.
        rows: Number of rows.
        fps: Rows per second.
        uneven: Rows that came over one and a half periods after the one before, where LeRobot's even times are wrong.
    """

    episodes: int
    rows: int
    fps: int
    uneven: int


def export_lerobot(folder: DemoFolder, out: Path, options: ExportOptions | None = None) -> Exported:
    """Write the episodes of a folder as a dataset.

    Args:
        folder: The demonstrations; nothing in it is changed.
        out: Folder of the dataset; must not exist.
        options: How.

    Raises:
        SparkError: No episode, one that cannot be learned from, other cameras or frame sizes than in the first, another
            rate, `out` exists, the disk is full.
    """
    options = options or ExportOptions()
    entries = [entry for entry in folder.episodes() if entry.success or options.failures]
    if not entries:
        raise SparkError(
            f"{folder.path} holds no {'' if options.failures else 'successful '}episode: record demonstrations first"
            + ("" if options.failures else ", or export the others, too, with --failures")
        )
    with staged_folder(out) as staging:
        rows = RowMaker(entries[0].robot)
        episodes = _align(folder, entries, rows, options)
        fps = options.fps or max(1, round(1.0 / float(np.median([episode.period_s for episode in episodes]))))
        _check_rates(episodes, fps)
        writer = _Writer(staging, rows, episodes, fps, options)
        with data_bar("writing", writer.total, shown=options.progress) as bar:
            for episode in episodes:
                writer.add(episode, bar)
        writer.finish()
    uneven = sum(int((np.diff(episode.stamps_ns) * 1e-9 > 1.5 / fps).sum()) for episode in episodes)
    return Exported(len(episodes), writer.total, fps, uneven)


def _align(
    folder: DemoFolder, entries: Sequence[EpisodeEntry], rows: RowMaker, options: ExportOptions
) -> list[AlignedEpisode]:
    cameras, episodes = options.cameras, []
    with data_bar("reading", len(entries), "episode", options.progress) as bar:
        for entry in entries:
            episode = folder.read(entry)
            if not cameras:
                cameras = tuple(episode.cameras)
            elif not options.cameras and set(episode.cameras) != set(cameras):
                raise SparkError(
                    f"{episode.path} has the cameras {', '.join(episode.cameras) or 'none'}, the episodes before it "
                    f"have {', '.join(cameras)}: name those that all have with --cameras"
                )
            episodes.append(rows.align(entry, episode, cameras))
            bar.update()
    return episodes


def _check_rates(episodes: Sequence[AlignedEpisode], fps: int) -> None:
    for aligned in episodes:
        if abs(aligned.period_s * fps - 1.0) > _RATE_TOLERANCE:
            raise SparkError(
                f"{aligned.episode.path} has {1.0 / aligned.period_s:.2f} observations per second, expected {fps}: a "
                "dataset has one whole number; export episodes of one rate, and name it with --fps if it is not this"
            )


class _Writer:
    """The dataset being written, episode by episode; what describes it all comes last."""

    def __init__(
        self, folder: Path, rows: RowMaker, episodes: Sequence[AlignedEpisode], fps: int, options: ExportOptions
    ) -> None:
        self._folder, self._rows, self._fps, self._options = folder, rows, fps, options
        self.total = sum(map(len, episodes))
        first = episodes[0]
        self._cameras = {camera: f"{IMAGES}{camera}" for camera in first.frame_index}
        self._sizes = {camera: first.frames[camera][0].image.shape[:2] for camera in self._cameras}
        self._tasks: dict[str, int] = {}
        for aligned in episodes:
            self._tasks.setdefault(aligned.entry.task, len(self._tasks))
        self._features = self._describe(first)
        self._videos = {
            camera: CameraVideo(folder, key, fps, round(options.video_mb * 1e6))
            for camera, key in self._cameras.items()
            if not options.images
        }
        self._tables = RowTables(folder, round(options.data_mb * 1e6))
        self._described: list[dict[str, Any]] = []
        self._vectors: dict[str, list[NDArray[Any]]] = {}
        self._pixels: dict[str, PixelCounts] = {key: PixelCounts() for key in self._cameras.values()}
        self._index = 0

    def add(self, aligned: AlignedEpisode, bar: Any) -> None:
        """Write an episode; `bar` is updated frame by frame."""
        number, length = len(self._described), len(aligned)
        vectors = self._columns(aligned, number)
        statistics = {key: vector_statistics(values) for key, values in vectors.items()}
        images: dict[str, list[dict[str, Any]]] = {}
        row: dict[str, Any] = {
            "episode_index": number,
            "tasks": [aligned.entry.task],
            "length": length,
            "dataset_from_index": self._index,
            "dataset_to_index": self._index + length,
        }
        for camera, key in self._cameras.items():
            counts, placement = PixelCounts(), None
            if camera in self._videos:
                placement = self._videos[camera].begin_episode()
            for step in range(length):
                image = self._image(aligned, camera, step)
                counts.add(image)
                if placement is not None:
                    self._videos[camera].add(image)
                else:
                    images.setdefault(key, []).append({"bytes": _png(image), "path": f"frame-{step:06d}.png"})
                bar.update(1 / len(self._cameras))
            if placement is not None:
                row |= self._placed(key, placement)
            statistics[key] = counts.statistics()
            self._pixels[key].add_all([counts])
        row["data/chunk_index"], row["data/file_index"] = self._tables.add(
            {name: vectors.get(name, images.get(name, [])) for name in self._features if name in {*vectors, *images}}
        )
        row |= {"meta/episodes/chunk_index": 0, "meta/episodes/file_index": 0, **flat(statistics)}
        entry = aligned.entry  # where it comes from, beyond what LeRobot asks for
        row |= {"success": entry.success, "seed": entry.seed, "source_file": entry.file, "source_sha256": entry.sha256}
        self._described.append(row)
        self._index += length
        for key, values in vectors.items():
            self._vectors.setdefault(key, []).append(values)

    def finish(self) -> None:
        """Close the files and write what describes them."""
        for video in self._videos.values():
            video.close()
        self._tables.close()
        statistics: dict[str, Statistics] = {
            key: vector_statistics(np.concatenate(values)) for key, values in self._vectors.items()
        }
        statistics |= {key: counts.statistics() for key, counts in self._pixels.items()}
        write_tasks(self._folder, list(self._tasks))
        write_episodes(self._folder, self._described)
        write_json(self._folder / "meta/stats.json", statistics)
        write_json(self._folder / "meta/info.json", self._info())

    def _describe(self, first: AlignedEpisode) -> dict[str, dict[str, Any]]:
        features: dict[str, dict[str, Any]] = {
            STATE: {"dtype": "float32", "shape": [first.state.shape[1]], "names": list(self._rows.state_names)}
        }
        for camera, key in self._cameras.items():
            height, width = self._sizes[camera]
            names = ["height", "width", "channels"]
            features[key] = {"dtype": "image", "shape": [height, width, 3], "names": names}
            if not self._options.images:
                features[key] |= {"dtype": "video", "info": video_info(height, width, self._fps)}
        actions = list(self._rows.action_names(self._options.action))
        features[ACTION] = {"dtype": "float32", "shape": [len(actions)], "names": actions}
        numbers = [STAMP, *(camera_stamp(camera) for camera in self._cameras)]
        single: dict[str, str] = {
            **dict.fromkeys((IMITATE, INTERVENTION), "bool"),
            **dict.fromkeys(numbers, "int64"),
            "timestamp": "float32",
        }
        single |= dict.fromkeys(_NUMBERS, "int64")
        return features | {name: {"dtype": kind, "shape": [1], "names": None} for name, kind in single.items()}

    def _columns(self, aligned: AlignedEpisode, number: int) -> dict[str, NDArray[Any]]:
        """(T, n) values of every feature that is no image, in the order of the features."""
        length = len(aligned)
        action, imitate = self._rows.actions(aligned, self._options.action, 1.0 / self._fps)
        steps = np.arange(length, dtype=np.int64)
        values: dict[str, NDArray[Any]] = {
            STATE: aligned.state,
            ACTION: action,
            IMITATE: imitate,
            INTERVENTION: aligned.episode.modes.interventions(aligned.stamps_ns),
            STAMP: aligned.stamps_ns,
            "timestamp": (steps / self._fps).astype(np.float32),
            "frame_index": steps,
            "episode_index": np.full(length, number, np.int64),
            "index": self._index + steps,
            "task_index": np.full(length, self._tasks[aligned.entry.task], np.int64),
        }
        values |= {camera_stamp(camera): stamps for camera, stamps in aligned.camera_stamps_ns.items()}
        return {name: values[name].reshape(length, -1) for name in self._features if name in values}

    def _image(self, aligned: AlignedEpisode, camera: str, step: int) -> ImageArray:
        image = aligned.frames[camera][int(aligned.frame_index[camera][step])].image
        if image.shape[:2] != self._sizes[camera]:
            (height, width), found = self._sizes[camera], image.shape
            raise SparkError(
                f"{aligned.episode.path}: camera {camera} has {found[1]}x{found[0]} pixels, the first episode has "
                f"{width}x{height}: export episodes of one size"
            )
        return image

    def _placed(self, key: str, placement: Placement) -> dict[str, Any]:
        begin, end = placement.first, placement.first + placement.length
        return {
            f"videos/{key}/chunk_index": placement.chunk_index,
            f"videos/{key}/file_index": placement.file_index,
            f"videos/{key}/from_timestamp": begin / self._fps,
            f"videos/{key}/to_timestamp": end / self._fps,
        }

    def _info(self) -> dict[str, Any]:
        return {
            "codebase_version": VERSION,
            "robot_type": self._rows.spec.name,
            "total_episodes": len(self._described),
            "total_frames": self._index,
            "total_tasks": len(self._tasks),
            "chunks_size": CHUNK_FILES,
            "data_files_size_in_mb": _DATA_MB,
            "video_files_size_in_mb": _VIDEO_MB,
            "fps": self._fps,
            "splits": {"train": f"0:{len(self._described)}"},
            "data_path": DATA_PATH,
            "video_path": None if self._options.images else VIDEO_PATH,
            "features": self._features,
        }


def _png(image: ImageArray) -> bytes:
    return cv2.imencode(".png", image[:, :, ::-1])[1].tobytes()
