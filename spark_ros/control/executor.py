"""Reads the action chunks that a policy sends as one continuous plan over time.

A chunk says where to be at ``stamp + (i + 1) * dt``; when it arrives, part of that is already past. The plan is read
at the clock's time, so late steps are skipped by themselves and a slow policy is late, never slow. A new chunk simply
replaces the plan: where the two disagree, the limiter glides from one to the other. Or the two are mixed, by temporal
ensembling or by the soft mask of `blend`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from spark_ros.contracts import ActionChunk, ActionKind, FloatArray
from spark_ros.control.blend import blended, soft_mask
from spark_ros.robots.pose import multiply_quaternions, rotvec_from_quaternion, slerp

_NS = 1_000_000_000


@dataclass(frozen=True)
class Target:
    """Where a plan wants the arm at one instant.

    Attributes:
        kind: Meaning of `value`.
        value: (J,) rad, or (7,) tool pose in the base frame, x y z qx qy qz qw.
        rate: (J,) rad/s, or (6,) tool twist in the base frame; how `value` changes right now.
        gripper_width: m.
    """

    kind: ActionKind
    value: FloatArray
    rate: FloatArray
    gripper_width: float


class ChunkExecutor:
    """Follows the newest chunk, or the weighted mean of all that are still under way, or one drawn towards the last.

    Chunks must have been validated (`chunk_check`), come in the order of their stamps and be of one kind.
    """

    def __init__(self, temporal_ensemble: float | None, blend_execution_s: float | None = None) -> None:
        """Follows only the newest chunk, unless told otherwise.

        Args:
            temporal_ensemble: m of the weights exp(-m i), i = 0 the oldest chunk; None not to average.
            blend_execution_s: Time from one observation to the next, s; None not to blend (see `blend`).
        """
        self._ensemble = temporal_ensemble
        self._execution_s = blend_execution_s
        self._plans: list[_Plan] = []

    @property
    def stamp_ns(self) -> int | None:
        """Capture stamp of the newest chunk; None without one."""
        return self._plans[-1].chunk.stamp_ns if self._plans else None

    def clear(self) -> None:
        """Forgets every chunk."""
        self._plans = []

    def accept(self, chunk: ActionChunk, start: FloatArray, start_width: float, now_ns: int | None = None) -> None:
        """Takes over a new chunk.

        Args:
            chunk: Steps of the same kind as before.
            start: (J,) or (7,) where the arm was told to be at the chunk's stamp; the plan leads from there to the
                first step.
            start_width: m, the same for the gripper.
            now_ns: The stamp clock; what is due until then is not blended but kept. The chunk's stamp if not given.
        """
        if self._execution_s is not None and self._plans and self._plans[-1].chunk.kind is chunk.kind:
            chunk = self._blended(chunk, self._plans[-1], chunk.stamp_ns if now_ns is None else now_ns)
        plan = _Plan(chunk, start, start_width)
        if self._ensemble is None or (self._plans and self._plans[-1].chunk.kind is not chunk.kind):
            self._plans = [plan]
        else:
            self._plans = [*(old for old in self._plans if old.end_ns > chunk.stamp_ns), plan]

    def _blended(self, chunk: ActionChunk, plan: _Plan, now_ns: int) -> ActionChunk:
        dt_ns, horizon = chunk.dt_s * _NS, len(chunk.values)
        delay = max(math.ceil((now_ns - chunk.stamp_ns) / dt_ns), 0)
        execution = max(round((self._execution_s or 0.0) / chunk.dt_s), 1)
        due = [chunk.stamp_ns + round((step + 1) * dt_ns) for step in range(horizon)]
        targets = [plan.at(time) for time in due]
        under_way = replace(
            chunk,
            values=np.array([target.value for target in targets]),
            gripper_width=np.array([target.gripper_width for target in targets]),
        )
        reached = np.array([time <= plan.end_ns for time in due])
        return blended(chunk, under_way, np.where(reached, soft_mask(horizon, delay, execution), 0.0))

    def sample(self, now_ns: int) -> Target | None:
        """The plan at this instant of the stamp clock; None without a chunk.

        Never beyond the last step: from its due time on the plan rests there.
        """
        if not self._plans:
            return None
        targets = [plan.at(now_ns) for plan in self._plans if plan.end_ns > now_ns] or [self._plans[-1].at(now_ns)]
        return targets[-1] if len(targets) == 1 else _mean(targets, self._ensemble or 0.0)

    def exhausted_for(self, now_ns: int) -> float:
        """Seconds since the last step of the newest chunk was due; negative while steps are left, inf without one."""
        return (now_ns - self._plans[-1].end_ns) / _NS if self._plans else math.inf


class _Plan:
    """One chunk as a path that is linear between its knots: knot 0 at the stamp, knot i + 1 is step i."""

    def __init__(self, chunk: ActionChunk, start: FloatArray, start_width: float) -> None:
        self.chunk = chunk
        self._values = np.vstack([start, chunk.values])
        self._widths = [start_width, *chunk.gripper_width.tolist()]
        self._rates = _rates(chunk.kind, self._values) / chunk.dt_s
        self.end_ns = chunk.stamp_ns + round(len(chunk.values) * chunk.dt_s * _NS)

    def at(self, now_ns: int) -> Target:
        kind = self.chunk.kind
        progress = max((now_ns - self.chunk.stamp_ns) / (self.chunk.dt_s * _NS), 0.0)
        segment = min(int(progress), len(self._rates) - 1)
        fraction = min(progress - segment, 1.0)
        start, end = self._values[segment], self._values[segment + 1]
        value = start + fraction * (end - start)
        if kind is ActionKind.EE_POSE:
            value[3:] = slerp(start[3:], end[3:], fraction)
        rate = self._rates[segment] if now_ns < self.end_ns else np.zeros_like(self._rates[segment])
        width = self._widths[segment] + fraction * (self._widths[segment + 1] - self._widths[segment])
        return Target(kind, value, rate, width)


def _rates(kind: ActionKind, values: FloatArray) -> FloatArray:
    """(H, J) or (H, 6): change along each of the H segments between H + 1 knots."""
    if kind is ActionKind.JOINT_POSITION:
        return np.diff(values, axis=0)
    inverse = values[:-1, 3:] * np.array([-1.0, -1.0, -1.0, 1.0])
    turns = rotvec_from_quaternion(multiply_quaternions(values[1:, 3:], inverse))
    return np.hstack([np.diff(values[:, :3], axis=0), turns])


def _mean(targets: Sequence[Target], m: float) -> Target:
    """Weighted mean of targets, oldest first, with weights exp(-m i)."""
    weights = np.exp(-m * np.arange(len(targets)))
    weights /= weights.sum()
    values = np.array([target.value for target in targets])
    if targets[0].kind is ActionKind.EE_POSE:
        # The normalised mean of quaternions on one side of the sphere is the mean rotation for small differences.
        same_side = np.where(values[:, 3:] @ values[-1, 3:] < 0, -1.0, 1.0)
        values[:, 3:] *= same_side[:, None]
    value = weights @ values
    if targets[0].kind is ActionKind.EE_POSE:
        value[3:] /= np.linalg.norm(value[3:])
    rate = weights @ np.array([target.rate for target in targets])
    width = float(weights @ np.array([target.gripper_width for target in targets]))
    return Target(targets[0].kind, value, rate, width)
