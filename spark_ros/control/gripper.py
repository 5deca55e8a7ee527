"""The gripper's side of the limiter: a width that changes no faster than the fingers can."""

from __future__ import annotations

import math

from spark_ros.contracts import SparkError
from spark_ros.robots.spec import GripperSpec


class WidthLimiter:
    """Follows a wanted opening at the gripper's speed, within 0 and its largest opening."""

    def __init__(self, spec: GripperSpec, period_s: float) -> None:
        """Starts closed; call `reset` with the measured opening before the first step.

        Args:
            spec: The gripper.
            period_s: Period of the steps; no step covers more than two of them, see `Limiter.track`.
        """
        self._spec = spec
        self._longest_s = 2 * period_s
        self._width = 0.0

    @property
    def width(self) -> float:
        """The present setpoint, m."""
        return self._width

    def reset(self, width: float) -> None:
        """Starts over at this opening, m."""
        self._width = self._checked(width)

    def track(self, width: float, elapsed_s: float) -> float:
        """Moves the setpoint on by `elapsed_s` towards `width`, m, and returns it.

        Raises:
            SparkError: The width is not finite; the setpoint has not moved.
        """
        target = self._checked(width)
        step = self._spec.max_speed * min(max(elapsed_s, 0.0), self._longest_s)
        self._width += min(max(target - self._width, -step), step)
        return self._width

    def _checked(self, width: float) -> float:
        if not math.isfinite(width):
            raise SparkError(f"gripper width is {width}: it must be finite, 0 to {self._spec.max_width} m")
        # A network's 2 mm below zero means closed; only what is not a number is refused.
        return min(max(float(width), 0.0), self._spec.max_width)
