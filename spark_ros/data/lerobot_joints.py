"""Which numbers of a foreign dataset are an arm's joints and its gripper, and in what unit.

Datasets name their numbers as they like, in radians or degrees, with grippers in metres, in percent or as a fraction.
What is not plain from the names must be said, and what was said is held against the arm's limits: a dataset in degrees
that is read as radians must not become a demonstration.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import FloatArray, SparkError
from spark_ros.robots.spec import RobotSpec

_GRIPPERS = ("gripper_width", "gripper", "gripper.pos", "gripper_position")
_SUFFIXES = ("", ".pos", "_pos", ".position")
_BEYOND = 0.1  # rad that a measured or commanded joint may lie beyond a limit: calibration, not another unit
_BEYOND_M = 0.005
# Median distance, rad, between what was commanded and where the joint was a period later: an arm that lags by a
# second at usual speeds stays below, actions that are no absolute positions do not.
_FAR = 0.5


@dataclass(frozen=True)
class JointOptions:
    """What the names of a dataset do not tell.

    Attributes:
        joints: Names or numbers of the columns that are the arm's joints, from base to tool; empty to go by the names.
        gripper: Name or number of the gripper's column; empty to go by the names.
        gripper_range: Values of that column where the gripper is closed and open; None where it is the opening in m.
        degrees: Whether joints are in degrees.
    """

    joints: tuple[str, ...] = ()
    gripper: str = ""
    gripper_range: tuple[float, float] | None = None
    degrees: bool = False


class JointColumns:
    """Reads joints and gripper from the rows of one feature.

    Args:
        spec: The arm.
        feature: The feature's name, for errors.
        description: Of the feature, from meta/info.json.
        options: What the names do not tell.

    Raises:
        SparkError: A column is not there, or the names do not tell.
    """

    def __init__(self, spec: RobotSpec, feature: str, description: dict[str, Any], options: JointOptions) -> None:
        self._spec, self._feature, self._options = spec, feature, options
        size = int(np.prod(description["shape"]))
        self._names = column_names(description.get("names"), size)
        wanted = options.joints or spec.joint_names
        if len(wanted) != len(spec.joint_names):
            raise SparkError(
                f"{len(wanted)} joints were named, {spec.name} has {len(spec.joint_names)}: name them from base to tool"
            )
        suffixes = _SUFFIXES if not options.joints else ("",)
        self._joints = [self._column([f"{name}{suffix}" for suffix in suffixes], "--joints") for name in wanted]
        self._gripper = self._column([options.gripper] if options.gripper else _GRIPPERS, "--gripper")

    def read(self, rows: NDArray[np.floating], where: object) -> tuple[FloatArray, FloatArray]:
        """Joints and gripper of rows (T, n).

        Args:
            rows: Of the feature.
            where: Names the episode, in errors.

        Returns:
            (T, J) rad and (T,) m.

        Raises:
            SparkError: A value is not finite, or beyond what this arm can do.
        """
        if not np.isfinite(rows).all():
            raise SparkError(f"{where}: {self._feature} holds NaN or infinite values: leave this episode out")
        joints = np.asarray(rows[:, self._joints], np.float64)
        joints = np.deg2rad(joints) if self._options.degrees else joints
        limits = self._spec.limits
        beyond = np.maximum(joints - limits.position_upper, limits.position_lower - joints).max(axis=0)
        if beyond.max() > _BEYOND:
            worst = int(beyond.argmax())
            low, high = limits.position_lower[worst], limits.position_upper[worst]
            raise SparkError(
                f"{where}: {self._feature} has joint {self._spec.joint_names[worst]} between "
                f"{joints[:, worst].min():.2f} and {joints[:, worst].max():.2f} rad, {self._spec.name} reaches "
                f"{low:.2f} to {high:.2f}: check --robot, --joints and --degrees"
            )
        width = np.asarray(rows[:, self._gripper], np.float64)
        if self._options.gripper_range is not None:
            closed, opened = self._options.gripper_range
            width = (width - closed) / (opened - closed) * self._spec.gripper.max_width
        if width.min() < -_BEYOND_M or width.max() > self._spec.gripper.max_width + _BEYOND_M:
            raise SparkError(
                f"{where}: {self._feature} has the gripper between {width.min():.3f} and {width.max():.3f} m, "
                f"{self._spec.name} opens 0 to {self._spec.gripper.max_width} m: say with --gripper-range which values "
                "are closed and open"
            )
        return joints, np.clip(width, 0.0, self._spec.gripper.max_width)

    def _column(self, candidates: Sequence[str], option: str) -> int:
        for name in candidates:
            if name in self._names:
                return self._names.index(name)
            if name.isdigit() and int(name) < len(self._names):
                return int(name)
        raise SparkError(
            f"{self._feature} has no number called {candidates[0]}, it has {', '.join(self._names)}: say with {option} "
            "which it is, by name or counted from 0"
        )


def column_names(names: Any, size: int) -> list[str]:
    """What a feature's numbers are called; LeRobot's datasets have a list, a list under a heading, or nothing."""
    if isinstance(names, dict) and len(names) == 1:
        names = next(iter(names.values()))
    if isinstance(names, list) and len(names) == size and all(isinstance(name, str) for name in names):
        return names
    return [str(number) for number in range(size)]


def check_absolute(state: FloatArray, action: FloatArray, where: object) -> None:
    """Refuse actions that are no joint positions: where the arm goes must have to do with where it is sent.

    Args:
        state: (T, J) measured joints, rad.
        action: (T, J) commanded ones, rad.
        where: Names the episode, in errors.

    Raises:
        SparkError: They are far apart for most of the time.
    """
    far = np.median(np.abs(state[1:] - action[:-1]), axis=0)
    if far.max() > _FAR:
        raise SparkError(
            f"{where}: joint {int(far.argmax())} is usually {far.max():.2f} rad away from where its action sends it: "
            "expected actions that are absolute joint positions; changes, velocities and tool poses cannot be imported"
        )
