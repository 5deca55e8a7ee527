"""What is known about the real arm, and whether it does what it is told."""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import FloatArray, JointState, SparkError
from spark_ros.control.config import GatewayConfig
from spark_ros.control.watchdog import Watchdog
from spark_ros.robots.spec import RobotSpec

_VELOCITY_SLACK = 1.5  # measured differences of positions overshoot the true velocity by their noise


class NotFinite(SparkError):
    """A joint state carried NaN or infinity: its source is broken, not merely late."""


class MeasuredArm:
    """The last joint state, arm and fingers; they may come in one message or, as some drivers do it, in two."""

    def __init__(self, spec: RobotSpec, config: GatewayConfig) -> None:
        """Knows nothing yet."""
        self._spec = spec
        self._config = config
        self._freshness = Watchdog(config.joint_timeout_s)
        self._arm: JointState | None = None
        self._width: float | None = None
        self._width_freshness = Watchdog(config.gripper_timeout_s)
        self._jumped: tuple[str, float] | None = None

    @property
    def position(self) -> FloatArray | None:
        """(J,) rad; None before the first state."""
        return None if self._arm is None else self._arm.position

    @property
    def velocity(self) -> FloatArray | None:
        """(J,) rad/s; None before the first state."""
        return None if self._arm is None else self._arm.velocity

    @property
    def width(self) -> float | None:
        """Opening of the gripper, m; None before the first state of the fingers."""
        return self._width

    def width_stale(self, now: float) -> bool:
        """True where the opening is too old to start from."""
        return self._width_freshness.expired(now)

    def jumped(self, now: float) -> str | None:
        """Whether it seems to have been in two places within the last `joint_timeout_s`: a sentence; else None."""
        if self._jumped is None or now - self._jumped[1] > self._config.joint_timeout_s:
            return None
        return self._jumped[0]

    def stale(self, now: float) -> bool:
        """True where the arm has not been heard of within the timeout."""
        return self._freshness.expired(now)

    def age(self, now: float) -> float:
        """Seconds since the last state of the arm."""
        return self._freshness.age(now)

    def accept(self, joints: JointState, now: float, in_order: bool) -> str | None:
        """Takes over a joint state.

        Args:
            joints: Any order; other joints than the arm's and the fingers' are ignored.
            now: Time of receipt, monotonic seconds.
            in_order: Refuse a state that is older than the last one.

        Returns:
            What is implausible about the motion since the last state, else None.

        Raises:
            SparkError: The state cannot be used; `NotFinite` where its values are none.
        """
        fingers = set(self._spec.gripper.joint_names) <= set(joints.names)
        if not fingers or set(joints.names) & set(self._spec.joint_names):
            arm = joints.select(self._spec.joint_names)
            if in_order and self._arm is not None and arm.stamp_ns < self._arm.stamp_ns:
                raise SparkError("joint state is older than the one before it: dropped; check for a second publisher")
        else:
            arm = None
        for state in (arm, joints.select(self._spec.gripper.joint_names) if fingers else None):
            if state is not None and not (np.all(np.isfinite(state.position)) and np.all(np.isfinite(state.velocity))):
                raise NotFinite("joint state carries values that are not finite: the arm's driver is broken")
        if fingers:
            self._width = self._spec.gripper.width(joints)
            self._width_freshness.feed(now)
        if arm is None:
            return None
        passed = max(self._freshness.age(now), 0.0)
        measured = 0.0 if self._arm is None else (arm.stamp_ns - self._arm.stamp_ns) * 1e-9
        # A burst of late messages was measured further apart than it arrives, but stamps that claim much more are of
        # two clocks, thus of two drivers.
        jump = self._jump(arm, max(passed, min(measured, passed + self._config.joint_timeout_s)))
        # For an arm at rest, which is where everything starts, a burst explains nothing.
        restless = self._jump(arm, passed)
        if restless is not None:
            self._jumped = (restless, now)
        self._arm = arm
        self._freshness.feed(now)
        return jump

    def _jump(self, arm: JointState, between_s: float) -> str | None:
        if self._arm is None:
            return None
        moved = np.abs(arm.position - self._arm.position)
        allowed = self._config.joint_jump_rad + _VELOCITY_SLACK * self._spec.limits.velocity * between_s
        joint = int(np.argmax(moved - allowed))
        if moved[joint] <= allowed[joint]:
            return None
        return f"{self._spec.joint_names[joint]} moved {moved[joint]:.2f} rad between two joint states"


class SetpointHistory:
    """What the arm was told within the last second or so, and when."""

    def __init__(self, length: int, size: int) -> None:
        """Remembers `length` setpoints of `size` joints."""
        self._positions = np.zeros((length, size))
        self._widths = np.zeros(length)
        self._stamps = np.zeros(length, dtype=np.int64)
        self._count = 0

    def clear(self) -> None:
        """Forgets everything."""
        self._count = 0

    def append(self, stamp_ns: int, position: FloatArray, width: float) -> None:
        """Adds the setpoint sent at this time of the stamp clock."""
        row = self._count % len(self._stamps)
        self._positions[row], self._widths[row], self._stamps[row] = position, width, stamp_ns
        self._count += 1

    def at(self, stamp_ns: int) -> tuple[FloatArray, float] | None:
        """The setpoint that was in force at this time (else the oldest known): (J,) rad and m; None if empty."""
        rows = np.arange(max(0, self._count - len(self._stamps)), self._count) % len(self._stamps)
        if rows.size == 0:
            return None
        later = int(np.searchsorted(self._stamps[rows], stamp_ns, side="right"))
        row = rows[max(later - 1, 0)]
        return self._positions[row].copy(), float(self._widths[row])

    def off_track(self, measured: FloatArray, recent: int, tolerance: float) -> FloatArray | None:
        """How far (J,) the arm is outside of the band of the `recent` last setpoints; None within the tolerance.

        An arm that follows with a lag is inside the band; one that is blocked or moved by somebody leaves it.
        """
        if self._count == 0:
            return None
        last = self._positions[(self._count - 1) % len(self._stamps)]
        if np.abs(measured - last).max() <= tolerance:
            return None
        rows = np.arange(max(0, self._count - min(recent, len(self._stamps))), self._count) % len(self._stamps)
        band = self._positions[rows]
        outside = np.maximum(np.maximum(band.min(axis=0) - measured, measured - band.max(axis=0)), 0.0)
        return outside if outside.max() > tolerance else None
