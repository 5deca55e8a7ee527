"""From joint setpoints, which arrive a hundred times a second, to the velocities that bring the arm along with them.

The planned velocity is the setpoint's own, smoothed over the moments between messages; a gentle pull closes what is
left. Positions could be streamed too, but the FCI refuses a position that jumps, and a message that comes late is one.
"""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import FloatArray
from spark_ros.robots.spec import JointLimits

PULL_RAD_S = 0.5  # most that the pull adds: what the arm lags behind is closed gently, whoever commands what
GAIN = 10.0  # 1/s: how fast a gap closes; the robot answers within about 20 ms, so that 30 would begin to swing
SMOOTHING_S = 0.03  # three messages: two may fall between the same two ticks, or none
AT_REST = 1e-4  # rad: a smaller gap is left alone, so that an arm that stands still is told zero
MARGIN = 0.9  # of the joints' velocity limits; setpoints keep to 0.8 of them where they fall, and this is to catch up
# Near a joint's position limit the permitted velocity falls faster than the arm answers: what is told now must still be
# permitted where the joint is when it obeys, and may not need all of its acceleration to stop at the curve's end.
AHEAD_S = 0.07  # smoothing, the plan's jerk and the filters on its way
SHORT = 0.015  # rad: how far from the curve's end it comes to rest, so that an overshoot is permitted too
BRAKING = 0.5  # of the joints' acceleration limits
# franky plans all joints to their new velocities in the same time: where one is told to change a lot, the others are
# late too. So nobody is told more than the arm manages until the next tick; this part of its acceleration limits.
RATE = 0.85


class Follower:
    """See the module's text; every array is (J,), in the robot's joint order."""

    def __init__(self, limits: JointLimits) -> None:
        """For joints with these limits; call `start` before the first step."""
        self._limits = limits
        taper, braking = limits.taper, BRAKING * limits.acceleration
        self._twice_braking, self._fastest_change = 2 * braking, RATE * limits.acceleration
        self._lowest, self._highest = limits.position_lower, limits.position_upper
        if taper is not None:  # it permits no velocity beyond
            knee = taper.offset**2 / taper.gain
            self._lowest, self._highest = taper.lower + knee, taper.upper - knee

    def start(self, setpoint: FloatArray) -> None:
        """Begins at rest with this setpoint, rad."""
        self._before, self._planned, self._told = setpoint, np.zeros_like(setpoint), np.zeros_like(setpoint)

    def velocity(self, setpoint: FloatArray, desired: FloatArray, elapsed_s: float) -> FloatArray:
        """rad/s, within what the arm permits at its position.

        Args:
            setpoint: rad, now.
            desired: rad, where the arm's own controller wants it to be.
            elapsed_s: Since the last call.
        """
        if elapsed_s > 0:
            moved = (setpoint - self._before) / elapsed_s
            self._planned = self._planned + min(1.0, elapsed_s / SMOOTHING_S) * (moved - self._planned)
        self._before = setpoint
        gap = setpoint - desired
        gap[np.abs(gap) < AT_REST] = 0.0
        lowest, highest = self._bounds(desired)
        change = elapsed_s * self._fastest_change
        wanted = self._planned + np.clip(GAIN * gap, -PULL_RAD_S, PULL_RAD_S)
        self._told = np.clip(np.clip(wanted, self._told - change, self._told + change), lowest, highest)
        return self._told

    def _bounds(self, desired: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Lowest (<= 0) and highest (>= 0) velocity (J,), rad/s, that is still permitted when the arm has it."""
        down = desired + AHEAD_S * np.minimum(self._told, 0.0) - SHORT
        up = desired + AHEAD_S * np.maximum(self._told, 0.0) + SHORT
        lowest, highest = self._limits.velocity_bounds(down)[0], self._limits.velocity_bounds(up)[1]
        stops_below = np.sqrt(self._twice_braking * np.maximum(down - self._lowest, 0.0))
        stops_above = np.sqrt(self._twice_braking * np.maximum(self._highest - up, 0.0))
        return MARGIN * np.maximum(lowest, -stops_below), MARGIN * np.minimum(highest, stops_above)
