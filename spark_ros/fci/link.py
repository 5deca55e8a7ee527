"""The arm as a driver sees it: connected or not, willing or not, and everything that went wrong until somebody looked.

What goes wrong is latched: a lost connection, a reflex, a pressed stop button. The arm holds by itself meanwhile, and
is told nothing until `recover` was asked for and has succeeded, even where the cause has gone away.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from spark_ros.contracts import FloatArray, SparkError
from spark_ros.control.vendor import FRANKA_ROBOT_MODES, VendorState
from spark_ros.fci.arm import ConnectionLost, MotionAborted, Reading
from spark_ros.fci.envelope import Movement
from spark_ros.fci.follower import Follower
from spark_ros.robots.spec import RobotSpec

STALE_S = 0.1  # libfranka notices a silent robot after a second; until then it hands out the last state
CLOSING_S = 2.0  # longest braking; whoever lets go of franky's robot before its end stops the arm hard


class Arm(Protocol):
    """What the link needs of `arm.FciArm`."""

    acceleration: FloatArray
    jerk: FloatArray

    def read(self) -> Reading:
        """See `FciArm.read`."""

    def drive(self, velocity: FloatArray, hold_s: float) -> None:
        """See `FciArm.drive`."""

    def brake(self) -> None:
        """See `FciArm.brake`."""

    def finished(self) -> bool:
        """See `FciArm.finished`."""

    def recover(self) -> None:
        """See `FciArm.recover`."""


@dataclass(frozen=True)
class Status:
    """What is published of the arm.

    Attributes:
        ready: Whether it obeys.
        reason: Why not, as a sentence; empty where it does.
        mode: Name of its robot mode; "not connected" without a connection.
        errors: Names of its current errors.
    """

    ready: bool
    reason: str
    mode: str
    errors: tuple[str, ...] = ()


class Link:
    """See the module's text; from one thread at a time."""

    def __init__(self, connect: Callable[[], Arm], spec: RobotSpec, largest_gap: float) -> None:
        """Connects.

        Args:
            connect: Makes a connection; called again to recover from a lost one.
            spec: The robot.
            largest_gap: rad between a joint and its setpoint beyond which nothing is followed.

        Raises:
            SparkError: No connection.
        """
        self._connect, self._spec, self._largest_gap = connect, spec, largest_gap
        arm = connect()
        self._arm: Arm | None = arm
        self._follower = Follower(spec.limits, arm.acceleration, arm.jerk)
        self._reading: Reading | None = None
        self._read_s = time.monotonic()  # when it was asked for
        self._heard_s = time.monotonic()  # when its clock last went on
        self._latched = ""
        self._following = False
        self.read()

    @property
    def status(self) -> Status:
        """As of the last `read`."""
        reading = self._reading
        if self._arm is None or reading is None:
            return Status(False, self._latched, "not connected")
        mode = FRANKA_ROBOT_MODES.get(reading.mode, f"unknown ({reading.mode})")
        return Status(not self._latched, self._latched, mode, reading.errors)

    @property
    def following(self) -> bool:
        """Whether the arm is being moved."""
        return self._following

    def read(self) -> Reading | None:
        """The newest state; None where there is no connection, or the robot has fallen silent."""
        if self._arm is None:
            return None
        before = self._reading
        self._read_s = time.monotonic()
        try:
            reading = self._reading = self._arm.read()
        except ConnectionLost as error:
            self._lose(str(error))
            return None
        if before is None or before.clock_ms != reading.clock_ms:
            self._heard_s = time.monotonic()
        try:
            if self._following and self._arm.finished():  # it was told nothing for too long: this program was held up
                self._following = False
        except ConnectionLost as error:
            self._lose(str(error))
            return None
        except MotionAborted as error:
            self._latch(str(error))
        self._look(reading)
        return reading if time.monotonic() - self._heard_s < STALE_S else None

    def follow(self, setpoint: FloatArray, elapsed_s: float) -> None:
        """Takes the arm along with this setpoint (J,), rad; nothing happens while something is latched.

        Args:
            setpoint: rad.
            elapsed_s: Since the last call.

        Raises:
            SparkError: The setpoint is far from the arm, or the robot's state is not finite; the arm now holds.
        """
        reading = self._reading
        if self._arm is None or reading is None or self._latched:
            return
        state = reading.position, reading.desired, reading.desired_velocity, reading.desired_acceleration
        if not np.isfinite(state).all():
            self.hold()
            raise SparkError(
                "the robot reports a joint state that is not finite: the arm holds; restart its control unit"
            )
        gap = np.abs(setpoint - reading.desired)
        if not math.isfinite(gap.sum()) or gap.max() > self._largest_gap:
            worst = int(np.argmax(gap))
            self.hold()
            raise SparkError(
                f"{self._spec.joint_names[worst]} is told to be {gap[worst]:.2f} rad from where it is, and no more "
                f"than {self._largest_gap} is believed: the arm holds; command it from where it stands"
            )
        if not self._following:
            self._follower.start(setpoint)  # a gap at the beginning is to be closed, not followed as if it were motion
        order = self._follower.step(setpoint, Movement(*state, age_s=time.monotonic() - self._read_s), elapsed_s)
        self._following = True
        self._tell(lambda arm: arm.drive(order.velocity, order.hold_s))

    def hold(self) -> None:
        """Brings the arm to rest where it is."""
        if self._following:
            self._following = False
            self._tell(lambda arm: arm.brake())

    def recover(self) -> Status:
        """Connects again if need be, lets the robot recover from its errors, and unlatches if it is ready then.

        Nothing happens to an arm that is ready, which may be in motion.
        """
        if self._arm is not None and not self._latched:
            return self.status
        self._following = False
        try:
            if self._arm is None:
                self._arm = self._connect()
            self._reading = self._arm.read()
            self._discard_abortion()
            self._arm.recover()
            self._reading = self._arm.read()
            self._latched = ""
            self._look(self._reading)
        except ConnectionLost as error:
            self._lose(str(error))
        except SparkError as error:  # no connection, or the robot refuses
            self._latched = str(error)
        return self.status

    def close(self) -> None:
        """Brings the arm to rest and lets go of it."""
        self.hold()
        deadline = time.monotonic() + CLOSING_S
        try:
            while self._arm is not None and not self._arm.finished() and time.monotonic() < deadline:
                time.sleep(0.005)
        except SparkError:  # it has stopped by itself
            pass
        self._arm = None

    def _discard_abortion(self) -> None:
        """Asks for the end of an aborted motion, which is told once, and known already."""
        assert self._arm is not None
        try:
            self._arm.finished()
        except MotionAborted:
            pass

    def _tell(self, order: Callable[[Arm], None]) -> None:
        assert self._arm is not None
        try:
            order(self._arm)
        except ConnectionLost as error:
            self._lose(str(error))
        except MotionAborted as error:
            self._latch(str(error))

    def _look(self, reading: Reading) -> None:
        judge = VendorState(0.0)
        judge.on_franka_state(reading.mode, reading.errors)
        if judge.complaint is not None:
            self._latch(judge.complaint.reason)

    def _latch(self, reason: str) -> None:
        self._following = False
        self._latched = self._latched or reason

    def _lose(self, reason: str) -> None:
        self._following = False
        self._latched = reason
        self._arm = None
