"""Judges what an arm was told by the limits of its description, and by nothing that the limiter computes.

Kinematics, velocity taper, workspace and differences are written out here a second time, over whole runs at once: what
the limiter gets wrong must not be wrong here in the same way. Only the numbers come from the `RobotSpec`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from spark_ros.contracts import FloatArray
from spark_ros.robots.spec import Origin, RobotSpec

KINDS = (
    "not finite",
    "position",
    "velocity",
    "velocity taper",
    "moved faster than the velocity limit",
    "acceleration",
    "jerk",
    "velocity is not that of the position",
    "tool speed",
    "tool turning speed",
    "workspace",
    "gripper opening",
    "gripper speed",
)
SLACK = 1e-6  # relative, rounding
POINT_SLACK = 1e-9  # rad/s, m: absolute rounding
# What the tool's limits are kept to: aimed at is the limit itself, never exceeded is this much more.
TOOL_SPEED_TOLERANCE = 1.05
WALL_TOLERANCE = 0.005  # m
STOP_STEPS = 100  # longest stop


@dataclass(frozen=True)
class Run:
    """What an arm was told from one start on; T commands.

    Attributes:
        counted_s: (T,) time that each step may have used; the first row, the start, uses none.
        position: (T, J) rad.
        velocity: (T, J) rad/s.
        width: (T,) m.
    """

    counted_s: FloatArray
    position: FloatArray
    velocity: FloatArray
    width: FloatArray


@dataclass(frozen=True)
class Verdict:
    """What was found.

    Attributes:
        violations: Steps by kind, of `KINDS`.
        largest: By kind, the largest part (1 = all) of a limit that was used; for the workspace the furthest
            excess, m.
    """

    violations: dict[str, int]
    largest: dict[str, float]


def judge(run: Run, spec: RobotSpec) -> Verdict:
    """Checks every step of a run."""
    q, v, width, dt = run.position, run.velocity, run.width, run.counted_s[1:, None]
    limits, found = spec.limits, _Findings()
    finite = np.isfinite(q).all(axis=1) & np.isfinite(v).all(axis=1) & np.isfinite(width)
    found.note("not finite", ~finite)
    if not finite.all():
        return found.verdict()

    middle, half = (
        (limits.position_upper + limits.position_lower) / 2,
        (limits.position_upper - limits.position_lower) / 2,
    )
    found.share("position", np.abs(q - middle) / half)
    found.share("velocity", np.abs(v) / limits.velocity)
    if limits.taper is not None:
        taper = limits.taper
        up = np.maximum(np.sqrt(np.maximum(taper.gain * (taper.upper - q), 0.0)) - taper.offset, 0.0)
        down = np.maximum(np.sqrt(np.maximum(taper.gain * (q - taper.lower), 0.0)) - taper.offset, 0.0)
        found.note("velocity taper", ((v > up + POINT_SLACK) | (v < -down - POINT_SLACK)).any(axis=1))

    moved, sped = np.diff(q, axis=0), np.diff(v, axis=0)
    found.share("moved faster than the velocity limit", _over(moved, limits.velocity * dt))
    found.share("acceleration", _over(sped, limits.acceleration * dt))
    # Between two steps the acceleration is within its mean -+ jerk * dt / 2: means may differ by jerk * half of both.
    timed = np.flatnonzero(dt[:, 0] > 1e-6)
    mean, spans = sped[timed] / dt[timed], (dt[timed][1:] + dt[timed][:-1]) / 2
    found.share("jerk", _over(np.diff(mean, axis=0), limits.jerk * spans, slack=1e-6))
    # The trapezoid is exact up to jerk * dt^3 / 12.
    drift = moved - (v[1:] + v[:-1]) / 2 * dt
    found.share("velocity is not that of the position", _over(drift, limits.jerk * dt**3 / 12, slack=1e-11))

    tool, turned = _tool_velocity(spec, q, v)
    linear = np.linalg.norm(tool.velocity, axis=1) / spec.ee_max_linear_speed
    angular = np.linalg.norm(turned, axis=1) / spec.ee_max_angular_speed
    found.note("tool speed", linear > TOOL_SPEED_TOLERANCE, linear)
    found.note("tool turning speed", angular > TOOL_SPEED_TOLERANCE, angular)
    # A tool that starts beyond a wall may come in, but goes no further out than it was within the time of a stop.
    box = spec.workspace
    outside = np.maximum(np.maximum(box.lower - tool.position, tool.position - box.upper), 0.0)
    before = np.vstack([np.repeat(outside[:1], STOP_STEPS, axis=0), outside[:-1]])
    furthest = sliding_window_view(before, STOP_STEPS, axis=0).max(axis=2)
    excess = (outside - furthest).max(axis=1)
    found.note("workspace", excess > WALL_TOLERANCE, excess)

    found.share("gripper opening", (np.abs(width - spec.gripper.max_width / 2) / (spec.gripper.max_width / 2))[:, None])
    found.share("gripper speed", _over(np.diff(width)[:, None], spec.gripper.max_speed * dt))
    return found.verdict()


def add(verdicts: Sequence[Verdict]) -> Verdict:
    """Violations summed, extremes of all."""
    violations = {kind: sum(verdict.violations[kind] for verdict in verdicts) for kind in KINDS}
    largest = {
        kind: max(verdict.largest[kind] for verdict in verdicts if kind in verdict.largest)
        for kind in KINDS
        if any(kind in verdict.largest for verdict in verdicts)
    }
    return Verdict(violations, largest)


class _Findings:
    def __init__(self) -> None:
        self._violations = dict.fromkeys(KINDS, 0)
        self._largest: dict[str, float] = {}

    def note(self, kind: str, bad: np.ndarray, amount: FloatArray | None = None) -> None:
        self._violations[kind] += int(np.count_nonzero(bad))
        if amount is not None:
            self._largest[kind] = round(float(np.max(amount, initial=0.0)), 7)

    def share(self, kind: str, part: FloatArray) -> None:
        """`part` (T, any) of a limit that was used: a violation where it is beyond 1."""
        self.note(kind, (part > 1 + SLACK).any(axis=1), part)

    def verdict(self) -> Verdict:
        return Verdict(self._violations, self._largest)


@dataclass(frozen=True)
class _Moving:
    position: FloatArray
    velocity: FloatArray


def _over(change: FloatArray, allowed: FloatArray, slack: float = POINT_SLACK) -> FloatArray:
    """Part of what is allowed, where nothing is allowed: 0 or far too much."""
    return np.maximum(np.abs(change) - slack, 0.0) / np.maximum(allowed, 1e-15)


def _tool_velocity(spec: RobotSpec, q: FloatArray, v: FloatArray) -> tuple[_Moving, FloatArray]:
    """The tool's position and velocity (T, 3), and its angular velocity (T, 3), joint by joint along the chain."""
    count = len(q)
    rotation, position = np.tile(np.eye(3), (count, 1, 1)), np.zeros((count, 3))
    velocity, turning = np.zeros((count, 3)), np.zeros((count, 3))
    for joint, origin in enumerate(spec.joint_origins):
        rotation, position, velocity = _along(origin, rotation, position, velocity, turning)
        cosine, sine = np.cos(q[:, joint]), np.sin(q[:, joint])
        turn = np.zeros((count, 3, 3))
        turn[:, 0, 0], turn[:, 0, 1], turn[:, 1, 0], turn[:, 1, 1], turn[:, 2, 2] = cosine, -sine, sine, cosine, 1.0
        turning = turning + rotation[:, :, 2] * v[:, joint, None]
        rotation = rotation @ turn
    _, position, velocity = _along(spec.tool, rotation, position, velocity, turning)
    return _Moving(position, velocity), turning


def _along(
    origin: Origin, rotation: FloatArray, position: FloatArray, velocity: FloatArray, turning: FloatArray
) -> tuple[FloatArray, FloatArray, FloatArray]:
    """From a frame to one that is fixed in it."""
    arm = rotation @ origin.xyz
    return rotation @ _from_rpy(origin.rpy), position + arm, velocity + np.cross(turning, arm)


def _from_rpy(rpy: FloatArray) -> FloatArray:
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    about_x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    about_y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    about_z = np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]])
    return about_z @ about_y @ about_x
