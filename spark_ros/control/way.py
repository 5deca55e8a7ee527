"""The way to rest that follows a step, as the guards see it: bounds, and what it passes where they leave doubts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

from spark_ros.contracts import Numbers
from spark_ros.control.joint_law import JointLaw
from spark_ros.control.ramps import Ramps, State

# What it passes is seen this far apart, but in no more than so many parts.
STEP_S = 0.01
MOST_PARTS = 16


class WayToRest:
    """A stop of the whole arm. To be used before the ramps are planned anew.

    Attributes:
        position: (J) rad where it begins.
        velocity: (J) rad/s there.
        speed: Highest speed of every joint on this way, rad/s.
        reach: How far every joint ever is from where it begins, rad.
    """

    def __init__(self, ramps: Ramps, laws: Sequence[JointLaw], state: State) -> None:
        """Takes the planned stop, and what it begins with."""
        self._ramps = ramps
        self.position, self.velocity, acceleration = state
        self.speed: Numbers = []
        self.reach: Numbers = []
        for joint in range(len(self.velocity)):
            law: JointLaw = laws[joint]
            speed, reach = law.stopping.stop(self.velocity[joint], acceleration[joint])
            self.speed.append(speed)
            self.reach.append(reach)

    @cached_property
    def passed(self) -> list[tuple[Numbers, Numbers]]:
        """The positions (J), rad, and velocities (J), rad/s, that it passes one after the other, both ends included."""
        parts = round(self._ramps.duration / STEP_S)
        return self._ramps.passed(min(max(parts, 1), MOST_PARTS))
