"""The fastest way of every joint from how it moves now to a wanted velocity, within acceleration and jerk.

Each joint takes its own time. What Ruckig's velocity interface plans without synchronisation, which tests hold this to;
in our own words because looking along a plan is what a step of the limiter spends its time on, and to ask Ruckig from
Python costs a hundred times what it computes. The method: L. Berscheid, T. Kroeger, "Jerk-limited Real-time Trajectory
Generation with Arbitrary Target States" (RSS 2021), section on the velocity interface.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence

from spark_ros.contracts import Numbers
from spark_ros.control.joint_law import Dynamics

State = tuple[Numbers, Numbers, Numbers]
"""Position, rad, velocity, rad/s, and acceleration, rad/s^2, of every joint."""

Index = int  # by another name, since `int` would keep the compiled code from using C's
PARTS = 4  # of a way, each of constant jerk: to a permitted acceleration, then up, along and down a ramp of it


class Ramps:
    """Plans of all joints; `plan` first, then look at them.

    Attributes:
        duration: s until the last joint has its velocity.
    """

    def __init__(self, joints: int) -> None:
        """Takes the number of joints, which stand still at zero until they are planned for."""
        self._size = joints
        self._start = array("d", [0.0] * (3 * joints))  # position, velocity and acceleration of each
        self._aims = array("d", [0.0] * joints)
        self._times = array("d", [0.0] * (PARTS * joints))
        self._jerks = array("d", [0.0] * (PARTS * joints))
        self._q = self._v = self._a = 0.0
        self.duration = 0.0

    def plan(self, state: State, velocity: Numbers, dynamics: Sequence[Dynamics]) -> None:
        """From a state to these velocities (J), rad/s, without acceleration there.

        A joint that begins with more acceleration than `dynamics` permit loses the excess first.
        """
        positions, velocities, accelerations = state
        self.duration = 0.0
        for joint in range(self._size):
            limits: Dynamics = dynamics[joint]
            position: float = positions[joint]
            speed: float = velocities[joint]
            acceleration: float = accelerations[joint]
            aim: float = velocity[joint]
            self._start[3 * joint] = position
            self._start[3 * joint + 1] = speed
            self._start[3 * joint + 2] = acceleration
            self._aims[joint] = aim
            lasts = self._plan_joint(joint, speed, acceleration, aim, limits)
            self.duration = max(self.duration, lasts)

    def _plan_joint(self, joint: Index, v: float, a: float, aim: float, limits: Dynamics) -> float:
        """Sets the parts of one joint's way; returns how long it takes, s."""
        highest, jerk = limits.acceleration, limits.jerk
        times, jerks, part = self._times, self._jerks, PARTS * joint
        excess = abs(a) - highest
        times[part] = jerks[part] = 0.0
        if excess > 0.0:
            fading = -jerk if a > 0.0 else jerk
            times[part], jerks[part] = excess / jerk, fading
            v += times[part] * (a + 0.5 * fading * times[part])
            a = highest if a > 0.0 else -highest
        # Up where the aim is above the velocity that is left once the acceleration is gone; down mirrored.
        way = 1.0 if aim >= v + 0.5 * a * abs(a) / jerk else -1.0
        gain, begin = way * (aim - v), way * a
        peak = math.sqrt(max(jerk * gain + 0.5 * begin * begin, 0.0))
        along = 0.0
        if peak > highest:
            peak = highest
            along = (gain - (peak * peak - 0.5 * begin * begin) / jerk) / peak
        times[part + 1], jerks[part + 1] = max((peak - begin) / jerk, 0.0), way * jerk
        times[part + 2], jerks[part + 2] = max(along, 0.0), 0.0
        times[part + 3], jerks[part + 3] = peak / jerk, -way * jerk
        return times[part] + times[part + 1] + times[part + 2] + times[part + 3]

    def at(self, time_s: float) -> State:
        """Where the joints are after so long, and how they move; after `duration` they go on at the aims."""
        positions: Numbers = []
        velocities: Numbers = []
        accelerations: Numbers = []
        for joint in range(self._size):
            self._look(joint, time_s)
            positions.append(self._q)
            velocities.append(self._v)
            accelerations.append(self._a)
        return positions, velocities, accelerations

    def passed(self, parts: Index) -> list[tuple[Numbers, Numbers]]:
        """Positions and velocities (J) on the way, at both ends and at what divides it in so many equal parts."""
        rows: list[tuple[Numbers, Numbers]] = []
        for row in range(parts + 1):
            positions: Numbers = []
            velocities: Numbers = []
            for joint in range(self._size):
                self._look(joint, self.duration * row / parts)
                positions.append(self._q)
                velocities.append(self._v)
            rows.append((positions, velocities))
        return rows

    def _look(self, joint: Index, time_s: float) -> None:
        """Sets `_q`, `_v` and `_a` to where a joint is after so long, and how it moves."""
        q, v, a, left = self._start[3 * joint], self._start[3 * joint + 1], self._start[3 * joint + 2], time_s
        for part in range(PARTS * joint, PARTS * joint + PARTS):
            lasts, jerk = min(self._times[part], left), self._jerks[part]
            q += lasts * (v + lasts * (0.5 * a + lasts * jerk / 6.0))
            v += lasts * (a + 0.5 * lasts * jerk)
            a += lasts * jerk
            left -= lasts
        if left > 0.0:  # there, without what rounding left
            v, a = self._aims[joint], 0.0
            q += left * v
        self._q, self._v, self._a = q, v, a
