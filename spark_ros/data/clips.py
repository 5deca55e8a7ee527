"""Video to learn from, whatever it is stored in: episodes, LeRobot datasets, folders of video files.

A clip is what one camera saw during one recording. It knows when each of its frames was taken and decodes a frame when
it is asked for one, so thousands of clips are held in little memory.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import FloatArray, ImageArray, SparkError

DAMAGED = ("refuse", "skip")


class Clip(Protocol):
    """What one camera saw during one recording: T frames.

    Several threads may read one clip at the same time.
    """

    @property
    def name(self) -> str:
        """Of the recording, with its folder's; the clips of a recording's cameras share it."""

    @property
    def camera(self) -> str:
        """Of the camera."""

    @property
    def stamps_s(self) -> FloatArray:
        """(T,) rising times of the frames in seconds, from any origin."""

    @property
    def fingerprint(self) -> str:
        """Changes with the pixels: clips that share it have the same frames."""

    @property
    def proprioception(self) -> NDArray[np.float32] | None:
        """(T, P) the robot's state when each frame was taken; None if it was not recorded."""

    @property
    def object_state(self) -> Mapping[str, FloatArray] | None:
        """(T,) or (T, n) of what a simulator knew, by name, such as `cube_position` (m); None if it was not recorded.

        `tool_position` (m, base frame) stands beside it.
        """

    def image(self, index: int) -> ImageArray:
        """(H, W, 3) uint8 RGB of a frame, in its recorded size.

        Raises:
            SparkError: It cannot be decoded.
        """

    def images(self) -> Iterator[ImageArray]:
        """All frames in order, the fastest way to see every one of them.

        Raises:
            SparkError: One cannot be decoded.
        """


def open_clips(folder: str | Path, cameras: Sequence[str] | None = None, damaged: str = "refuse") -> list[Clip]:
    """The clips of a folder, in the order of its recordings.

    Args:
        folder: Episodes with their index (`DemoFolder`), a LeRobot v3.0 dataset, or a folder, at any depth, of video
            files.
        cameras: Which cameras; None for all. Video files have no named cameras, so all of them are taken.
        damaged: What to do with a video file that cannot be opened: ``refuse`` it, or ``skip`` it with a warning.

    Raises:
        SparkError: The folder is missing or empty, damaged, of another version, or lacks a camera.
    """
    folder = Path(folder).expanduser()
    if damaged not in DAMAGED:
        raise SparkError(f"damaged is {damaged!r}: expected one of {', '.join(DAMAGED)}")
    if cameras is not None and not cameras:
        raise SparkError("the list of cameras is empty: name at least one, or leave it out for all")
    if not folder.is_dir():
        raise SparkError(f"there is no folder {folder}: give one of episodes, a LeRobot dataset or video files")
    try:
        # Each source only when it is needed: not every machine that reads episodes has pyarrow and PyAV.
        if (folder / "meta" / "info.json").is_file():
            from spark_ros.data.clips_lerobot import lerobot_clips

            return lerobot_clips(folder, cameras)
        if (folder / "index.json").is_file() or next(folder.glob("*.mcap"), None) is not None:
            from spark_ros.data.clips_mcap import episode_clips

            return episode_clips(folder, cameras)
        from spark_ros.data.clips_video import video_clips

        clips = video_clips(folder, damaged)
    except ModuleNotFoundError as error:
        raise SparkError(f"reading {folder} needs {error.name}: pip install 'spark_ros[train]'") from error
    if not clips:
        raise SparkError(
            f"{folder} holds neither episodes (index.json) nor a LeRobot dataset (meta/info.json) nor video files: "
            "give a folder that does"
        )
    return clips


def missing_camera(where: object, asked: str, found: Sequence[str]) -> SparkError:
    """The error for a camera that was asked for and is not there."""
    return SparkError(
        f"{where} has no camera {asked!r}, it has {', '.join(found) or 'none'}: choose among these, or leave cameras "
        "out for all"
    )
