"""When a leader arm may be followed: its joints are where the arm is, and the deadman is pressed by one who looks.

An arm that went to wherever the leader happens to lie would sweep across the table the moment somebody steps on the
pedal. So the following begins only with every joint near the arm's, closes what is left slowly, and ends where the
leader jumps.
"""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import FloatArray, SparkError
from spark_ros.control.config import GatewayConfig

APPROACH_RAD_S = 0.5  # of the fastest joint until the leader is reached: 30 cm/s at the tool of an arm stretched out


class Leader:
    """The joints of a leader arm, (J,) rad in the robot's order, from the engaging of teleoperation on."""

    def __init__(self, names: tuple[str, ...], config: GatewayConfig) -> None:
        """Call `begin` when teleoperation is engaged."""
        self._names = names
        self._tolerance, self._leash = config.teleop_align_rad, config.teleop_leash_rad
        self._approach = min(self._leash, APPROACH_RAD_S / config.tracking_gain)  # a gap g is closed at gain * g
        self.begin(press_anew=True)

    def begin(self, *, press_anew: bool) -> None:
        """Teleoperation is engaged.

        Args:
            press_anew: A deadman that was held already does not count: who engages need not be who holds it.
        """
        self._armed = not press_anew
        self.let_go()

    def let_go(self) -> None:
        """Nothing is followed any more; the next time begins with the alignment."""
        self._last: FloatArray | None = None
        self._reached = False

    def released(self) -> None:
        """The deadman is not held."""
        self._armed = True
        self.let_go()

    def obstacle(self, wanted: FloatArray, present: FloatArray) -> str | None:
        """Why the arm does not follow now, and what to do; None where it does. The deadman is held.

        Args:
            wanted: (J,) rad, the leader's joints.
            present: (J,) rad, the arm's setpoint.

        Raises:
            SparkError: There are too few or too many joints, or one is not finite.
        """
        if wanted.shape != present.shape or not np.isfinite(wanted).all():
            raise SparkError(
                f"the operator's joints have shape {wanted.shape} or are not finite: expected {len(present)} angles "
                "in rad"
            )
        if not self._armed:
            return "the deadman was held already when teleoperation was engaged: let go of it and press it again"
        jumped = self._last is not None and np.abs(wanted - self._last).max() > self._tolerance
        if jumped:
            self.let_go()
        gap = np.abs(wanted - present)
        joint = int(np.argmax(gap))
        if self._last is None and gap[joint] > self._tolerance:
            return (
                f"the leader's {self._names[joint]} is {gap[joint]:.2f} rad from the arm's, more than "
                f"{self._tolerance}: bring the leader to where the arm is (this joint to {present[joint]:.2f} rad), "
                "or follow its changes with leader_relative"
            )
        self._last = wanted
        return None

    def target(self, present: FloatArray) -> FloatArray:
        """(J,) rad to move to now: towards the leader, no joint further ahead of its setpoint than the leash."""
        assert self._last is not None
        gap = self._last - present
        self._reached = self._reached or bool(np.abs(gap).max() < self._approach)
        leash = self._leash if self._reached else self._approach
        return present + np.clip(gap, -leash, leash)
