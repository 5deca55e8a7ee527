"""A recorded episode as a policy that sees nothing: action chunks that lead the arm to its beginning and then along it.

What is replayed are the recorded setpoints, at their own pace. The arm need not stand where the recording began: the
way there starts at the measured state and takes as long as a quarter of the joints' speed asks for.
"""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import ActionChunk, ActionKind, JointState, SparkError
from spark_ros.data.episode_reader import Episode
from spark_ros.robots.spec import RobotSpec

PERIOD_S = 0.1  # between chunks
_STEP_S, _STEPS = 0.05, 12  # a chunk reaches half a second beyond the next one: that much delay is no interruption
_APPROACH = 0.25  # of the joints' velocity limits, at most, on the way to the beginning
_SHORTEST_S = 0.5  # that way takes, however short
_PEAK = 1.875  # a minimum-jerk way is this much faster in its middle than on average
_REST_S = 0.5  # at the end, where the arm catches up with its last setpoint


class Replay:
    """The plan of a replay.

    Args:
        episode: What to replay.
        spec: The arm.
        speed: 1 for the recorded pace, 0.5 for half of it.

    Raises:
        SparkError: The recording holds no setpoints of this arm, or the speed is not possible.
    """

    def __init__(self, episode: Episode, spec: RobotSpec, speed: float = 1.0) -> None:
        if not 0.0 < speed <= 1.0:
            raise SparkError(
                f"a speed of {speed:g} is not possible: expected more than 0 and at most 1, the recorded one"
            )
        if len(episode.setpoints) < 2:
            raise SparkError(f"{episode.path} holds no setpoints: nothing to replay")
        try:
            joints = episode.setpoints.columns(spec.joint_names)
            fingers = episode.setpoints.columns(spec.gripper.joint_names)
        except SparkError as error:
            raise SparkError(f"{episode.path} cannot be replayed on {spec.name}: {error}") from error
        self._spec = spec
        self._way = np.column_stack([joints, spec.gripper.widths(fingers)])  # (N, J + 1)
        if not np.isfinite(self._way).all():
            raise SparkError(f"{episode.path} holds setpoints that are not finite: do not replay it")
        stamps = episode.setpoints.stamps_ns
        if (np.diff(stamps) <= 0).any():
            raise SparkError(f"{episode.path} holds setpoints whose stamps do not rise: do not replay it")
        self._times_s = (stamps - stamps[0]) * 1e-9 / speed
        self._start = self._way[0]
        self._begin_ns = 0
        self.approach_s = 0.0

    def begin(self, joints: JointState) -> None:
        """Plan the way from the measured joints, arm and fingers, from their stamp on.

        Raises:
            SparkError: A joint is missing or not finite.
        """
        measured = joints.select(self._spec.joint_names).position
        self._start = np.append(measured, self._spec.gripper.width(joints))
        if not np.isfinite(self._start).all():
            raise SparkError("the measured joints are not finite: check the arm's driver")
        slowest = np.abs(measured - self._way[0, :-1]) / (_APPROACH * self._spec.limits.velocity)
        self.approach_s = max(_SHORTEST_S, _PEAK * float(slowest.max()))
        self._begin_ns = joints.stamp_ns

    @property
    def duration_s(self) -> float:
        """From `begin` to the end."""
        return self.approach_s + float(self._times_s[-1]) + _REST_S

    def elapsed_s(self, stamp_ns: int) -> float:
        """Since the recording's own beginning; negative on the way to it."""
        return (stamp_ns - self._begin_ns) * 1e-9 - self.approach_s

    def done(self, stamp_ns: int) -> bool:
        """Whether nothing is left to replay at this time."""
        return (stamp_ns - self._begin_ns) * 1e-9 >= self.duration_s

    def chunk(self, stamp_ns: int) -> ActionChunk:
        """What is to be done from this time on."""
        after = self.elapsed_s(stamp_ns) + (np.arange(_STEPS) + 1) * _STEP_S
        values = np.stack([np.interp(after, self._times_s, column) for column in self._way.T], axis=1)
        part = np.clip(after / self.approach_s + 1.0, 0.0, 1.0) if self.approach_s else np.ones(_STEPS)
        smooth = part**3 * (10.0 - 15.0 * part + 6.0 * part**2)
        on_the_way = self._start + smooth[:, None] * (self._way[0] - self._start)
        values = np.where(after[:, None] < 0.0, on_the_way, values)
        return ActionChunk(
            ActionKind.JOINT_POSITION, values[:, :-1], values[:, -1], tuple(self._spec.joint_names), _STEP_S, stamp_ns
        )
