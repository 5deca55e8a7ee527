"""From joint setpoints, which arrive a hundred times a second, to the velocities that bring the arm along with them.

The planned velocity is the setpoint's own, smoothed over the moments between messages; a gentle pull closes what is
left. Positions could be streamed too, but the FCI refuses a position that jumps, and a message that comes late is one.

Setpoints hold the arm's limits, but an arm that is behind them or catches up is elsewhere at another speed. What it is
told is therefore held to the arm's limits again, where the arm is (`envelope`).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_ros.contracts import FloatArray
from spark_ros.fci.envelope import Envelope, Movement
from spark_ros.robots.spec import JointLimits

PULL_RAD_S = 0.5  # most that the pull adds: what the arm lags behind is closed gently, whoever commands what
GAIN = 10.0  # 1/s: how fast a gap closes; the robot answers within about 20 ms, so that 30 would begin to swing
SMOOTHING_S = 0.03  # three messages: two may fall between the same two ticks, or none
AT_REST = 1e-4  # rad: a smaller gap is left alone, so that an arm that stands still is told zero
# How long a velocity is held where no other follows. Near a position limit that is shorter than elsewhere, but always
# three ticks: a tick that comes late on a busy machine must not make the arm brake.
HOLDS_S = (0.2, 0.1, 0.05, 0.03)


@dataclass(frozen=True)
class Order:
    """What the arm is told.

    Attributes:
        velocity: (J,) rad/s.
        hold_s: For how long, unless told otherwise before; it brakes then.
    """

    velocity: FloatArray
    hold_s: float


class Follower:
    """See the module's text; every array is (J,), in the robot's joint order."""

    def __init__(self, limits: JointLimits, acceleration: FloatArray, jerk: FloatArray) -> None:
        """For an arm with these limits that moves with this acceleration and jerk; call `start` before the first step.

        Args:
            limits: Of its joints.
            acceleration: rad/s^2 of every joint, whatever the others do.
            jerk: rad/s^3.
        """
        self._envelope = Envelope(limits, acceleration, jerk)

    def start(self, setpoint: FloatArray) -> None:
        """Begins at rest with this setpoint, rad."""
        self._before, self._planned = setpoint, np.zeros_like(setpoint)

    def step(self, setpoint: FloatArray, now: Movement, elapsed_s: float) -> Order:
        """What to tell the arm.

        Args:
            setpoint: rad, now.
            now: How the arm moves.
            elapsed_s: Since the last call.
        """
        if elapsed_s > 0:
            moved = (setpoint - self._before) / elapsed_s
            self._planned = self._planned + min(1.0, elapsed_s / SMOOTHING_S) * (moved - self._planned)
        self._before = setpoint
        gap = setpoint - now.desired
        gap[np.abs(gap) < AT_REST] = 0.0
        wanted = self._planned + np.clip(GAIN * gap, -PULL_RAD_S, PULL_RAD_S)
        velocity = self._envelope.nearest(now, wanted, HOLDS_S[-1])
        *longer, shortest = HOLDS_S
        held = (hold_s for hold_s in longer if self._envelope.permits(now, velocity, hold_s))
        return Order(velocity, next(held, shortest))
