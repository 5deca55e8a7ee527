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
MARGIN = 0.98  # of the joints' velocity limits


class Follower:
    """See the module's text; every array is (J,), in the robot's joint order."""

    def __init__(self, limits: JointLimits) -> None:
        """For joints with these limits; call `start` before the first step."""
        self._limits = limits

    def start(self, setpoint: FloatArray) -> None:
        """Begins at rest with this setpoint, rad."""
        self._before, self._planned = setpoint, np.zeros_like(setpoint)

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
        lowest, highest = self._limits.velocity_bounds(desired)
        return np.clip(self._planned + np.clip(GAIN * gap, -PULL_RAD_S, PULL_RAD_S), MARGIN * lowest, MARGIN * highest)
