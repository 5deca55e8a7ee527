"""An episode as a table: one row for each observation that the aligner forms, with what was commanded next.

What leaves this package for others' tools (`lerobot_export`) and what is counted in statistics goes through here, and
here through `align` and `codec`, which run on the robot: a row holds what the policy node would have seen.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import ActionKind, FloatArray, SparkError
from spark_ros.data.align import DEFAULT_TOLERANCE_S, align_stamps
from spark_ros.data.codec import ActionCodec, Proprioception
from spark_ros.data.dataset_folder import EpisodeEntry
from spark_ros.data.episode_reader import CameraFrames, Episode
from spark_ros.data.validate import check_episode
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot

ACTIONS = (ActionKind.JOINT_POSITION, ActionKind.EE_POSE)
_POSE_NAMES = ("ee_x", "ee_y", "ee_z", "ee_qx", "ee_qy", "ee_qz", "ee_qw")


@dataclass(frozen=True)
class AlignedEpisode:
    """The T observations of an episode.

    Attributes:
        entry: Its line in the index.
        episode: The episode.
        stamps_ns: (T,) int64 stamps of the observations, ns.
        camera_stamps_ns: (T,) int64 for each camera, when its frame was taken, ns.
        frame_index: (T,) int64 for each camera, which of its frames belongs to which observation.
        state: (T, P) float32, see `codec.Proprioception`.
        period_s: Median time between observations, s.
    """

    entry: EpisodeEntry
    episode: Episode
    stamps_ns: NDArray[np.int64]
    camera_stamps_ns: Mapping[str, NDArray[np.int64]]
    frame_index: Mapping[str, NDArray[np.int64]]
    state: NDArray[np.float32]
    period_s: float

    def __len__(self) -> int:
        return len(self.stamps_ns)

    @property
    def frames(self) -> Mapping[str, CameraFrames]:
        """All frames of the episode by camera."""
        return self.episode.cameras


class RowMaker:
    """Makes rows of the episodes of one robot.

    Args:
        robot: Its name.
        tolerance_s: Largest time between the frames of one observation.

    Attributes:
        spec: The robot.
        state_names: What each number of the state is.
    """

    def __init__(self, robot: str, tolerance_s: float = DEFAULT_TOLERANCE_S) -> None:
        self.spec = load_robot(robot)
        self._tolerance_s = tolerance_s
        self._kinematics = Kinematics(self.spec)
        self._proprioception = Proprioception(self._kinematics, self.spec.gripper)
        self.state_names = self._proprioception.names

    def action_names(self, kind: ActionKind) -> tuple[str, ...]:
        """What each number of `actions` is."""
        return (*(self.spec.joint_names if kind.is_joint else _POSE_NAMES), "gripper_width")

    def align(self, entry: EpisodeEntry, episode: Episode, cameras: Sequence[str]) -> AlignedEpisode:
        """The observations of an episode, while the arm was commanded.

        Raises:
            SparkError: The episode is of another robot, cannot be learned from, or has fewer than two observations.
        """
        if entry.robot != self.spec.name:
            raise SparkError(
                f"{episode.path} was recorded with robot {entry.robot!r}, the episodes before it with "
                f"{self.spec.name!r}: keep one robot per folder"
            )
        joint_names = (*self.spec.joint_names, *self.spec.gripper.joint_names)
        check_episode(episode, cameras, joint_names)
        begin, end = episode.setpoints.stamps_ns[[0, -1]]
        stamps = {camera: episode.cameras[camera].stamps_ns for camera in cameras}
        sets = [
            aligned
            for aligned in align_stamps(stamps, episode.joints.states(), joint_names, self._tolerance_s)
            if begin <= aligned.stamp_ns <= end
        ]
        if len(sets) < 2:
            raise SparkError(
                f"{episode.path}: {len(sets)} observations of cameras {', '.join(cameras)} within {self._tolerance_s} "
                "s while the arm was commanded, expected at least 2; check the cameras' clocks and rates"
            )
        times = np.array([aligned.stamp_ns for aligned in sets], np.int64)
        return AlignedEpisode(
            entry,
            episode,
            times,
            {camera: np.array([aligned.stamps[camera] for aligned in sets], np.int64) for camera in cameras},
            {camera: np.array([aligned.items[camera] for aligned in sets], np.int64) for camera in cameras},
            np.stack([self._proprioception.encode(aligned.joints) for aligned in sets]),
            float(np.median(np.diff(times))) * 1e-9,
        )

    def actions(
        self, aligned: AlignedEpisode, kind: ActionKind, dt_s: float
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """What was commanded one period after each observation, absolute.

        Args:
            aligned: The observations.
            kind: One of `ACTIONS`.
            dt_s: The period, s.

        Returns:
            (T, A) float32, see `action_names`: joints (rad) or tool pose in the base frame (m, quaternion), and the
            gripper's width (m); (T,) bool, whether the way there may be imitated.
        """
        setpoints, spec = aligned.episode.setpoints, self.spec
        codec = ActionCodec(ActionKind.JOINT_POSITION, 1, dt_s, self._kinematics)
        teleop = aligned.episode.teleop
        excluded = teleop.excluded_spans() if teleop is not None else np.zeros((0, 2), np.int64)
        q = setpoints.columns(spec.joint_names)
        width = spec.gripper.widths(setpoints.columns(spec.gripper.joint_names))
        zero = np.zeros(len(spec.joint_names))  # joints relative to zero are absolute
        labels = [
            codec.encode(setpoints.stamps_ns, q, width, int(stamp), zero, excluded) for stamp in aligned.stamps_ns
        ]
        joints = np.concatenate([label for label, _ in labels])
        valid = np.concatenate([step for _, step in labels])
        return joints if kind.is_joint else self._poses(joints), valid

    def _poses(self, joints: NDArray[np.float32]) -> NDArray[np.float32]:
        rows: list[FloatArray] = []
        for row in np.asarray(joints, np.float64):
            pose = self._kinematics.forward(row[:-1])
            rows.append(np.concatenate([pose.position, pose.quaternion, row[-1:]]))
        return np.stack(rows).astype(np.float32)
