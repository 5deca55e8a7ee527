"""From a folder of episodes to what a policy is trained on.

For every observation the aligner forms: proprioception at its stamp, the frames it chose, and the action label of
the codec (what the gateway commanded afterwards, relative to what was measured). Observations before the first or
after the last commanded setpoint are left out.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import ImageArray, SparkError
from spark_ros.data.align import DEFAULT_TOLERANCE_S, AlignedSet, align_stamps
from spark_ros.data.codec import ActionCodec, Proprioception
from spark_ros.data.dataset_folder import DemoFolder, EpisodeEntry
from spark_ros.data.episode_reader import CameraFrames, Episode
from spark_ros.data.statistics import VectorStatistics
from spark_ros.data.validate import DEFAULT_LIMITS, StreamLimits, check_episode


@dataclass(frozen=True)
class EpisodeSamples:
    """The T samples of one episode.

    Attributes:
        entry: The episode's line in the folder's index; its hash names the episode in caches.
        stamps_ns: (T,) int64 stamps of the observations in nanoseconds.
        frames: All frames of the episode by camera.
        frame_index: (T,) int64 per camera, which frame belongs to which observation.
        proprioception: (T, P) float32, see `codec.Proprioception`.
        action: (T, H, A) float32, see `codec.ActionCodec`.
        valid: (T, H) bool, which steps may be imitated; once False it stays False within a chunk.
        intervention: (T,) bool, where a person corrected a policy (see `episode_reader.ModeSeries`).
    """

    entry: EpisodeEntry
    stamps_ns: NDArray[np.int64]
    frames: Mapping[str, CameraFrames]
    frame_index: Mapping[str, NDArray[np.int64]]
    proprioception: NDArray[np.float32]
    action: NDArray[np.float32]
    valid: NDArray[np.bool_]
    intervention: NDArray[np.bool_]

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def image(self, camera: str, sample: int) -> ImageArray:
        """(height, width, 3) uint8 image of a camera for a sample, as recorded."""
        return self.frames[camera][int(self.frame_index[camera][sample])].image


@dataclass(frozen=True)
class PolicySamples:
    """The samples of a folder.

    Attributes:
        cameras: Camera names, in the order the policy gets them.
        proprioception_names: What each of the P numbers is.
        action_names: What each of the A numbers is.
        episodes: Samples by episode, in order of recording.
    """

    cameras: tuple[str, ...]
    proprioception_names: tuple[str, ...]
    action_names: tuple[str, ...]
    episodes: tuple[EpisodeSamples, ...]

    def __len__(self) -> int:
        return sum(len(episode) for episode in self.episodes)

    def proprioception_statistics(self) -> VectorStatistics:
        """Statistics of the (P,) vectors of samples that have something to imitate."""
        rows = np.concatenate([episode.proprioception for episode in self.episodes])
        return VectorStatistics.of(rows, np.concatenate([episode.valid[:, 0] for episode in self.episodes]))

    def action_statistics(self) -> VectorStatistics:
        """Statistics of the (A,) vectors of all valid steps."""
        rows = np.concatenate([episode.action for episode in self.episodes])
        return VectorStatistics.of(rows, np.concatenate([episode.valid for episode in self.episodes]))


def load_samples(
    folder: DemoFolder,
    cameras: Sequence[str],
    proprioception: Proprioception,
    codec: ActionCodec,
    tolerance_s: float = DEFAULT_TOLERANCE_S,
    only_successes: bool = True,
    limits: StreamLimits = DEFAULT_LIMITS,
) -> PolicySamples:
    """Align and encode every episode of a folder.

    Args:
        folder: The demonstrations.
        cameras: Cameras the policy is to see.
        proprioception: Encodes the robot's state.
        codec: Encodes the labels.
        tolerance_s: Largest time between frames of one observation.
        only_successes: Leave out episodes that are not marked as successful.
        limits: Pauses beyond which an episode is refused.

    Raises:
        SparkError: The folder has no such episode, or an episode is damaged, incomplete or of another robot.
    """
    entries = [entry for entry in folder.episodes() if entry.success or not only_successes]
    if not entries:
        kind = "successful episode" if only_successes else "episode"
        raise SparkError(f"{folder.path} holds no {kind}: record demonstrations first")
    load = partial(_episode_samples, folder, tuple(cameras), proprioception, codec, tolerance_s, limits)
    return PolicySamples(tuple(cameras), proprioception.names, codec.names, tuple(load(entry) for entry in entries))


def _episode_samples(
    folder: DemoFolder,
    cameras: tuple[str, ...],
    proprioception: Proprioception,
    codec: ActionCodec,
    tolerance_s: float,
    limits: StreamLimits,
    entry: EpisodeEntry,
) -> EpisodeSamples:
    spec = proprioception.spec
    if entry.robot != spec.name:
        raise SparkError(f"{folder.file(entry)} was recorded with robot {entry.robot!r}, expected {spec.name!r}")
    episode = folder.read(entry)
    joint_names = (*spec.joint_names, *spec.gripper.joint_names)
    check_episode(episode, cameras, joint_names, limits)
    stamps = {camera: episode.cameras[camera].stamps_ns for camera in cameras}
    begin, end = episode.setpoints.stamps_ns[[0, -1]]
    sets = [
        aligned
        for aligned in align_stamps(stamps, episode.joints.states(), joint_names, tolerance_s)
        if begin <= aligned.stamp_ns <= end
    ]
    if not sets:
        raise SparkError(
            f"{episode.path}: no observation could be formed of cameras {', '.join(cameras)} within {tolerance_s} s "
            "while the arm was commanded; check the cameras' clocks and rates, or remove the episode"
        )
    action, valid = _labels(episode, sets, proprioception, codec)
    stamps_ns = np.array([aligned.stamp_ns for aligned in sets], np.int64)
    return EpisodeSamples(
        entry,
        stamps_ns,
        episode.cameras,
        {camera: np.array([aligned.items[camera] for aligned in sets], np.int64) for camera in cameras},
        np.stack([proprioception.encode(aligned.joints) for aligned in sets]),
        action,
        valid,
        episode.modes.interventions(stamps_ns),
    )


def _labels(
    episode: Episode, sets: Sequence[AlignedSet[int]], proprioception: Proprioception, codec: ActionCodec
) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
    spec = proprioception.spec
    setpoint_q = episode.setpoints.columns(spec.joint_names)
    setpoint_width = spec.gripper.widths(episode.setpoints.columns(spec.gripper.joint_names))
    excluded = episode.teleop.excluded_spans() if episode.teleop is not None else np.zeros((0, 2), np.int64)
    labels = [
        codec.encode(
            episode.setpoints.stamps_ns,
            setpoint_q,
            setpoint_width,
            aligned.stamp_ns,
            aligned.joints.select(spec.joint_names).position,
            excluded,
        )
        for aligned in sets
    ]
    actions, valid = zip(*labels, strict=True)
    return np.stack(actions), np.stack(valid)
