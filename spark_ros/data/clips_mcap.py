"""Clips of recorded episodes, with the robot's state and, from a simulator, that of the objects."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Sequence
from functools import cached_property, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spark_ros import topics
from spark_ros.contracts import FloatArray, ImageArray, JointState, SparkError
from spark_ros.data.cdr import deserialize
from spark_ros.data.cdr_messages import STRING
from spark_ros.data.clips import Clip, missing_camera
from spark_ros.data.codec import Proprioception
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.episode_reader import Episode
from spark_ros.data.mcap_scan import McapScan
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot

_TOOL = ("ee_x", "ee_y", "ee_z")
_kinematics_lock = threading.Lock()  # pinocchio's work space serves one thread at a time


def episode_clips(folder: Path, cameras: Sequence[str] | None) -> list[Clip]:
    """The clips of a `DemoFolder`, successes and failures alike: both show how the world moves.

    Raises:
        SparkError: There is no episode, one is damaged or changed, or lacks a camera.
    """
    demos = DemoFolder(folder)
    entries = demos.episodes()
    if not entries:
        raise SparkError(
            f"{folder} lists no episode: record demonstrations first, or run `spark-ros data recover {folder}` if "
            "its files came without an index"
        )
    clips: list[Clip] = []
    for entry in entries:
        episode = demos.read(entry)
        found = [camera for camera, frames in episode.cameras.items() if len(frames)]
        for camera in found if cameras is None else cameras:
            if camera not in found:
                raise missing_camera(episode.path, camera, found)
            clips.append(EpisodeClip(episode, camera, f"{entry.sha256}/{camera}"))
    return clips


class EpisodeClip:
    """One camera of an episode, see `clips.Clip`.

    Args:
        episode: The episode.
        camera: The camera.
        fingerprint: Of its frames.

    Attributes:
        name: Folder and file of the episode.
        camera: The camera.
        fingerprint: As given.
        stamps_s: (T,) capture times in seconds since the camera's first frame.

    Raises:
        SparkError: The camera's stamps do not rise.
    """

    def __init__(self, episode: Episode, camera: str, fingerprint: str) -> None:
        self._episode, self._frames = episode, episode.cameras[camera]
        self.name = f"{episode.path.parent.name}/{episode.path.name}"
        self.camera, self.fingerprint = camera, fingerprint
        stamps_ns = self._frames.stamps_ns
        if (backwards := np.flatnonzero(np.diff(stamps_ns) <= 0)).size:
            raise SparkError(
                f"{episode.path}: frame {backwards[0] + 1} of camera {camera} is not later than the one before it; "
                "record the episode again or remove it from the folder"
            )
        self.stamps_s: FloatArray = (stamps_ns - stamps_ns[0]) * 1e-9

    def image(self, index: int) -> ImageArray:
        """See `clips.Clip`."""
        try:
            return self._frames[index].image
        except SparkError as error:
            raise SparkError(f"{self._episode.path}: frame {index} cannot be read: {error}") from error

    def images(self) -> Iterator[ImageArray]:
        """See `clips.Clip`."""
        return (self.image(index) for index in range(len(self._frames)))

    @cached_property
    def proprioception(self) -> NDArray[np.float32] | None:
        """See `clips.Clip`; joints are interpolated linearly and held before the first and after the last message.

        Raises:
            SparkError: A joint of the robot was not recorded.
        """
        codec, joints = self._codec, self._episode.joints
        if codec is None:
            return None
        position = _at(self._frames.stamps_ns, joints.stamps_ns, joints.position)
        at_rest = np.zeros(len(joints.names))
        try:
            with _kinematics_lock:
                return np.stack([codec.encode(JointState(joints.names, row, at_rest, 0)) for row in position])
        except SparkError as error:
            raise SparkError(f"{self._episode.path}: {error}") from error

    @cached_property
    def object_state(self) -> dict[str, FloatArray] | None:
        """See `clips.Clip`; every number and list of numbers in the simulator's messages, interpolated linearly."""
        stamps, messages = [], []
        for message in McapScan(self._episode.path):
            if message.topic == topics.SIM_STATE and message.msg_type == STRING:
                stamps.append(message.publish_time_ns)
                messages.append(json.loads(deserialize(message.cdr, STRING).data))
        if not messages:
            return None
        columns = {key: [message.get(key) for message in messages] for key in messages[0]}
        state = {
            key: _at(self._frames.stamps_ns, np.array(stamps, np.int64), np.array(values, np.float64))
            for key, values in columns.items()
            if all(_numeric(value) for value in values)
        }
        if self._codec is not None and self.proprioception is not None:
            columns_of_tool = [self._codec.names.index(name) for name in _TOOL]
            state["tool_position"] = self.proprioception[:, columns_of_tool].astype(np.float64)
        return state

    @cached_property
    def _codec(self) -> Proprioception | None:
        return _codec(self._episode.metadata.robot) if len(self._episode.joints) else None


@lru_cache
def _codec(robot: str) -> Proprioception | None:
    """How the state of a robot is written; None for a robot that is not ours, whose video serves all the same."""
    try:
        spec = load_robot(robot)
    except SparkError:
        return None
    return Proprioception(Kinematics(spec), spec.gripper)


def _at(wanted_ns: NDArray[np.int64], stamps_ns: NDArray[np.int64], values: FloatArray) -> FloatArray:
    """(T, ...) values (N, ...) at other times."""
    # Nanoseconds since 1970 do not fit a float64; differences do.
    x, xp = (wanted_ns - stamps_ns[0]) * 1e-9, (stamps_ns - stamps_ns[0]) * 1e-9
    columns = values.reshape(len(values), -1).T
    return np.stack([np.interp(x, xp, column) for column in columns], axis=1).reshape(len(x), *values.shape[1:])


def _numeric(value: object) -> bool:
    if isinstance(value, list):
        return bool(value) and all(isinstance(entry, float) for entry in value)
    return isinstance(value, float)
