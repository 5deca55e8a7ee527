"""The way to rest that follows a step, as the guards see it: bounds, and what it passes where they leave doubts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import numpy as np
import ruckig

from spark_ros.contracts import FloatArray
from spark_ros.control.joint_law import JointLaw

State = tuple[list[float], list[float], list[float]]
"""Position, rad, velocity, rad/s, and acceleration, rad/s^2, of every joint."""

# What it passes is seen this far apart, but in no more than so many parts.
STEP_S = 0.01
MOST_PARTS = 16


class WayToRest:
    """A stop of the whole arm. To be used before the trajectory is planned anew.

    Attributes:
        position: (J) rad where it begins.
        velocity: (J) rad/s there.
    """

    def __init__(self, trajectory: ruckig.Trajectory, laws: Sequence[JointLaw], state: State) -> None:
        """Takes the planned stop, and what it begins with."""
        self._trajectory, self._laws, self._state = trajectory, laws, state
        self.position, self.velocity, _ = state

    @cached_property
    def bounds(self) -> tuple[list[float], list[float]]:
        """Highest speed of every joint on this way, rad/s, and how far it ever is from where it begins, rad."""
        _, velocity, acceleration = self._state
        stops = [law.stopping.stop(v, a) for law, v, a in zip(self._laws, velocity, acceleration, strict=True)]
        return [speed for speed, _ in stops], [reach for _, reach in stops]

    @cached_property
    def passed(self) -> FloatArray:
        """(T, 2, J): the positions and velocities that it passes, both ends among them."""
        duration, at = self._trajectory.duration, self._trajectory.at_time
        parts = min(max(round(duration / STEP_S), 1), MOST_PARTS)
        numbers: list[float] = []  # in one row: an array from nested lists takes twice as long
        for part in range(parts + 1):
            position, velocity = at(duration * part / parts)[:2]
            numbers += position
            numbers += velocity
        return np.array(numbers).reshape(parts + 1, 2, -1)
