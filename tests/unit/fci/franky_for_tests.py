"""A MODEL of franky 2.0.0, libfranka and an arm that obeys exactly, a millisecond at a time: velocity motions only.

As in franky's sources: a motion begins at the velocity that was commanded last with the acceleration that the robot
reports, is planned by Ruckig with limited acceleration and jerk, and brakes by itself after its time. As in
libfranka's: a low-pass filter of 100 Hz and the rate limiter come between plan and arm. Every array is (J,).
"""

from __future__ import annotations

import numpy as np
import ruckig

from spark_ros.contracts import FloatArray
from spark_ros.fci.arm import ACCELERATION_PART, JERK_PART
from spark_ros.fci.pace import FRANKY_VELOCITY
from spark_ros.robots.spec import JointLimits

FRANKY_ACCELERATION = np.array([15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0])  # rad/s^2, most that franky 2.0.0 plans with
CYCLE_S = 0.001
LATE = 2  # cycles from a state that is read until the motion that was made of it begins
FILTER = CYCLE_S / (CYCLE_S + 1 / (2 * np.pi * 100.0))


class FrankyForTests:
    """An arm at rest.

    Attributes:
        position: rad.
        velocity: rad/s.
        acceleration: rad/s^2.
        motion_acceleration: rad/s^2 that motions are planned with.
        motion_jerk: rad/s^3 that they are planned with.
    """

    def __init__(self, limits: JointLimits, position: FloatArray, together: bool = False, late: int = LATE) -> None:
        """`together` plans all joints to arrive at the same time, as franky does unless it is told otherwise."""
        self._limits, self._late = limits, late
        self.motion_acceleration = np.minimum(ACCELERATION_PART * limits.acceleration, FRANKY_ACCELERATION)
        self.motion_jerk = JERK_PART * limits.jerk
        size = limits.velocity.size
        self.position, self.velocity, self.acceleration = position.copy(), np.zeros(size), np.zeros(size)
        self._planned = np.zeros(size)
        self._planner, self._output = ruckig.Ruckig(size, CYCLE_S), ruckig.OutputParameter(size)
        # A velocity for Ruckig's position, so its velocity is an acceleration, and so on.
        task = self._task = ruckig.InputParameter(size)
        task.max_velocity = self.motion_acceleration
        task.max_acceleration = self.motion_jerk
        task.max_jerk = [np.inf] * size
        task.synchronization = ruckig.Synchronization.Time if together else ruckig.Synchronization.TimeIfNecessary
        self._left, self._until_next = 0, -1
        self._next = (self._planned, 0.0)

    def drive(self, velocity: FloatArray, seconds: float) -> None:
        """A new motion, some cycles later."""
        self._next, self._until_next = (velocity, seconds), self._late

    def _begin(self, velocity: FloatArray, seconds: float) -> None:
        self._left = round(seconds / CYCLE_S)
        task = self._task
        task.current_position, task.current_velocity = self._planned, self.acceleration
        task.current_acceleration = np.zeros_like(velocity)
        task.target_position = np.clip(velocity, -FRANKY_VELOCITY, FRANKY_VELOCITY)

    def cycle(self) -> None:
        """A millisecond."""
        if self._until_next == 0:
            self._begin(*self._next)
        self._until_next -= 1
        if self._left == 0:
            self._task.target_position = np.zeros_like(self.position)
        self._left -= 1
        result = self._planner.update(self._task, self._output)
        assert result in (ruckig.Result.Working, ruckig.Result.Finished), result
        self._output.pass_to_input(self._task)
        self._planned = np.array(self._output.new_position)
        filtered = FILTER * self._planned + (1 - FILTER) * self.velocity
        before = self.velocity
        self.velocity = self._limited(filtered)
        self.acceleration = (self.velocity - before) / CYCLE_S
        self.position = self.position + CYCLE_S * self.velocity

    def _limited(self, velocity: FloatArray) -> FloatArray:
        """libfranka's rate limiter for joint velocities."""
        most, jerk = self._limits.acceleration, self._limits.jerk
        lowest, highest = self._limits.velocity_bounds(self.position)
        change = (velocity - self.velocity) / CYCLE_S
        wanted = self.acceleration + np.clip((change - self.acceleration) / CYCLE_S, -jerk, jerk) * CYCLE_S
        up = np.minimum(jerk / most * (highest - self.velocity), most)
        down = np.maximum(jerk / most * (lowest - self.velocity), -most)
        return self.velocity + CYCLE_S * np.maximum(np.minimum(wanted, up), down)
