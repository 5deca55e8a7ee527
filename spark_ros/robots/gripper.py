"""What is known about a gripper: which joints it reports, and how they and its opening belong together.

Policies, recordings and the gateway know the opening in metres only; drivers know joints. The two kinds of parallel
gripper differ in nothing but that conversion, which therefore stands here once, in both directions.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from spark_ros.contracts import FloatArray, JointState


@dataclass(frozen=True)
class GripperSpec(ABC):
    """A parallel gripper. F is the number of its joints.

    Attributes:
        joint_names: (F) its joints, as `/joint_states` names them; commands name the first.
        max_width: Largest opening, m.
        max_speed: Fastest change of the opening, m/s.
    """

    joint_names: tuple[str, ...]
    max_width: float
    max_speed: float

    def width(self, joints: JointState) -> float:
        """Opening between the fingers in m.

        Raises:
            SparkError: A joint of the gripper is missing.
        """
        return float(self.widths(joints.select(self.joint_names).position))

    @abstractmethod
    def widths(self, positions: FloatArray) -> FloatArray:
        """(...) m: the openings at joint positions (..., F), in the order of `joint_names`."""

    @abstractmethod
    def joint_positions(self, width: float) -> FloatArray:
        """(F,) joint positions at this opening, m."""


@dataclass(frozen=True)
class FingerGripper(GripperSpec):
    """Prismatic fingers, m, whose sum is the opening, as the Franka Hand has them."""

    def widths(self, positions: FloatArray) -> FloatArray:
        """See the base class."""
        return positions.sum(axis=-1)

    def joint_positions(self, width: float) -> FloatArray:
        """See the base class; all fingers share the opening equally."""
        return np.full(len(self.joint_names), width / len(self.joint_names))


@dataclass(frozen=True)
class KnuckleGripper(GripperSpec):
    """One revolute joint, rad, that swings both pads inwards on parallel cranks, as in the Robotiq 2F-85.

    Such a pad moves on a circle and stays upright. With cranks of length l in the direction a, which turns with the
    joint, the opening is ``2 l (cos(a) - cos(a_closed))``; that it is `max_width` at `open` and zero at `closed` fixes
    the direction.

    Attributes:
        open: rad of the joint at the largest opening.
        closed: rad of the joint where the pads touch.
        crank: Length of the cranks, m.
    """

    open: float
    closed: float
    crank: float

    def __post_init__(self) -> None:
        """Raises ValueError where the numbers contradict each other."""
        if not self.open < self.closed or not 0.0 < self._chord() < 1.0:
            raise ValueError("gripper's open, closed, crank and max_width do not fit together")

    def widths(self, positions: FloatArray) -> FloatArray:
        """See the base class."""
        angles = self._direction() + (positions[..., 0] - self.open)
        return 2 * self.crank * (np.cos(angles) - self._cosine_closed())

    def joint_positions(self, width: float) -> FloatArray:
        """See the base class; an opening beyond 0 or `max_width` counts as that."""
        within = min(max(width, 0.0), self.max_width)
        angle = np.arccos(within / (2 * self.crank) + self._cosine_closed())
        return np.array([self.open + angle - self._direction()])

    def _chord(self) -> float:
        return self.max_width / (4 * self.crank * float(np.sin((self.closed - self.open) / 2)))

    def _direction(self) -> float:
        """Of the cranks at `open`, rad from the direction in which the pads open."""
        return float(np.arcsin(self._chord())) - (self.closed - self.open) / 2

    def _cosine_closed(self) -> float:
        return float(np.cos(self._direction() + self.closed - self.open))


def gripper_from(doc: Mapping[str, Any]) -> GripperSpec:
    """The gripper that a robot description's `gripper` describes.

    Raises:
        KeyError: Something is missing.
        ValueError: There is no such kind, or its numbers make no sense.
    """
    kind = str(doc["kind"])
    if kind not in _KINDS:
        raise ValueError(f"gripper kind is '{kind}', expected one of {', '.join(_KINDS)}")
    names = tuple(str(name) for name in doc["joint_names"])
    return _KINDS[kind](doc, names, float(doc["max_width"]), float(doc["max_speed"]))


def _fingers(_: Mapping[str, Any], names: tuple[str, ...], max_width: float, max_speed: float) -> GripperSpec:
    return FingerGripper(names, max_width, max_speed)


def _knuckle(doc: Mapping[str, Any], names: tuple[str, ...], max_width: float, max_speed: float) -> GripperSpec:
    return KnuckleGripper(names, max_width, max_speed, *(float(doc[key]) for key in ("open", "closed", "crank")))


_KINDS: dict[str, Callable[[Mapping[str, Any], tuple[str, ...], float, float], GripperSpec]] = {
    "fingers": _fingers,
    "knuckle": _knuckle,
}
