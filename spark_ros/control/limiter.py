"""Turns any stream of joint targets into setpoints that hold position, velocity, acceleration and jerk limits.

The one limiter behind teleoperation, policies and every stop, so that nothing reaches an arm around it.

How it tracks. Ruckig's position interface plans the fastest way to a target that stands still; replanned against a
moving one it either lags (45 ms measured at 0.25 m/s, without a target velocity) or swings around it (with one: a
state slightly ahead of the target must turn back to meet it at speed). So the loop over position is closed here: the
wanted velocity is the target's own velocity plus a correction proportional to the gap, bounded for large gaps by what
can still be braked; `Ramps` then take the joints there, with exact jerk-limited profiles. A target that moves at
constant speed is tracked without lag.

How it stops. With all the acceleration that the arm has, whatever `acceleration_scale` says: who lowers it to be
careful must not get an arm that takes longer to stop.

How it stays inside. Every step is taken only if the arm could, from where it ends, brake to rest without leaving the
position limits or the velocity taper near them; otherwise those joints brake now, which the step before had checked.
The same way the `guard`, if there is one, is asked about what concerns the whole arm; there the whole arm brakes.

How it stays fast. What a step runs through is compiled where there is a compiler (`COMPILED` in setup.py), with C types
in the `.pxd` beside each source; the same sources run uncompiled, to the same bits. Looking along a plan takes most of
a step. So whatever asks about a way to rest first asks for bounds of it that are proven (`Dynamics.stop`), and looks
only where these do not settle the matter: near a limit.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, isfinite

import numpy as np

from spark_ros.contracts import FloatArray, Numbers, SparkError
from spark_ros.control.config import GatewayConfig
from spark_ros.control.joint_law import Dynamics, JointLaw
from spark_ros.control.ramps import Ramps, State
from spark_ros.control.way import WayToRest
from spark_ros.robots.spec import RobotSpec

VelocityCap = Callable[[Numbers, Numbers], Numbers]
"""From joint positions (J) and wanted joint velocities (J) to permitted ones, for limits that are not per joint."""

Guard = Callable[[Numbers, WayToRest], bool]
"""From joint positions (J) and a way to rest that begins a step later: whether it may be taken."""

# How often braking is looked at: between two looks a joint that turns round moves by less than POSITION_MARGIN.
LOOK_S = 0.005
# Of the wanted velocity where the guard refuses it: slowing down before something looks better than braking at it.
SLOWER = 0.5


@dataclass(frozen=True)
class JointSetpoint:
    """Where the joints are told to be; every array is (J,).

    Attributes:
        position: rad.
        velocity: rad/s.
        acceleration: rad/s^2.
    """

    position: FloatArray
    velocity: FloatArray
    acceleration: FloatArray


class Limiter:
    """Follows joint targets within the limits of one arm; its `setpoint` is always safe to send."""

    def __init__(
        self,
        spec: RobotSpec,
        config: GatewayConfig,
        velocity_cap: VelocityCap | None = None,
        guard: Guard | None = None,
    ) -> None:
        """Starts at the robot's home; call `reset` with the measured position before the first step.

        Args:
            spec: The arm.
            config: `rate_hz`, the two scales and `tracking_gain` matter here.
            velocity_cap: Is asked about every wanted velocity; the joints' own limits come after it.
            guard: Is asked before every step whether the arm may end up on the way to rest that follows it.
        """
        size = len(spec.joint_names)
        self._cap = velocity_cap
        self._guard = guard
        self._period = config.period_s
        self._laws = [JointLaw(spec.limits, joint, config) for joint in range(size)]
        self._stops_harder = config.acceleration_scale < 1
        self._brakes_hard = False  # as `stop` does where it stops harder than motion may brake

        self._ramps = Ramps(size)
        self._moving = [law.moving for law in self._laws]
        self._stopping = [law.stopping for law in self._laws]
        self._rest = [0.0] * size
        self.reset(spec.home)

    @property
    def setpoint(self) -> JointSetpoint:
        """The present setpoint."""
        return self._now

    @property
    def at_rest(self) -> bool:
        """True where the setpoint neither moves nor is about to."""
        _, velocity, acceleration = self._state
        return max(map(abs, velocity)) < 1e-6 and max(map(abs, acceleration)) < 1e-4

    def reset(self, position: FloatArray) -> None:
        """Starts over, at rest, at this position (J,), rad, clamped to the limits.

        Raises:
            SparkError: The position has another length, or is not finite.
        """
        checked = self._checked("position", position)
        self._brakes_hard = False
        self._be_at_rest([min(max(q, law.lower), law.upper) for q, law in zip(checked, self._laws, strict=True)])

    def track(self, target: FloatArray, target_velocity: FloatArray, elapsed_s: float) -> JointSetpoint:
        """Moves the setpoint on by `elapsed_s` towards a moving target.

        Args:
            target: (J,) rad where the setpoint should be now; clamped to the position limits.
            target_velocity: (J,) rad/s of the target; zero where it jumps or is unknown.
            elapsed_s: Time since the last step. More than two periods count as two: after a pause the setpoint must
                not jump to where it would have been.

        Raises:
            SparkError: A target has another length, or is not finite; the setpoint has not moved.
        """
        goal = self._checked("target", target)
        goal_velocity = self._checked("target velocity", target_velocity)
        if self._brakes_hard and self._must_go_on_stopping():
            return self.stop(elapsed_s)
        self._brakes_hard = False
        elapsed = self._bounded(elapsed_s)
        wanted = self._approach(goal, goal_velocity, elapsed)
        if self._cap is not None:
            wanted = self._cap(self._state[0], wanted)
        return self._advance(self._aims(wanted, 2 * elapsed), elapsed)

    def stop(self, elapsed_s: float) -> JointSetpoint:
        """Moves the setpoint on by `elapsed_s` (at most two periods), braking as hard as the arm's limits allow."""
        if self.at_rest:  # exactly, without what rounding leaves
            return self._be_at_rest(self._state[0])
        return self._take(self._braked(self._bounded(elapsed_s)))

    def _be_at_rest(self, position: Numbers) -> JointSetpoint:
        return self._take((position, self._rest, self._rest))

    def _take(self, state: State) -> JointSetpoint:
        self._state = state
        self._now = JointSetpoint(np.array(state[0]), np.array(state[1]), np.array(state[2]))
        return self._now

    def _approach(self, goal: Numbers, goal_velocity: Numbers, elapsed: float) -> Numbers:
        """The velocity of every joint, rad/s, that follows its target."""
        position, _, _ = self._state
        wanted: Numbers = []
        for joint in range(len(goal)):
            law: JointLaw = self._laws[joint]
            wanted.append(law.approach(position[joint], goal[joint], goal_velocity[joint], elapsed))
        return wanted

    def _aims(self, wanted: Numbers, ahead_s: float) -> Numbers:
        """The same within what position limits permit, seen from where the joints are so much later, rad/s."""
        position, velocity, _ = self._state
        aims: Numbers = []
        for joint in range(len(wanted)):
            law: JointLaw = self._laws[joint]
            speed: float = velocity[joint]
            at: float = position[joint]
            aims.append(law.aim(wanted[joint], at + ahead_s * speed))
        return aims

    def _braked(self, elapsed: float) -> State:
        self._brakes_hard = self._stops_harder
        return self._step(self._rest, elapsed, self._stopping)

    def _must_go_on_stopping(self) -> bool:
        """True where motion's own acceleration and jerk would take over too late to keep a joint from turning round."""
        _, velocity, acceleration = self._state
        for joint in range(len(velocity)):
            law: JointLaw = self._laws[joint]
            if law.must_go_on_stopping(velocity[joint], acceleration[joint]):
                return True
        return False

    def _advance(self, aims: Numbers, elapsed: float) -> JointSetpoint:
        """Takes the step if braking stays possible after it, else a smaller one, else brakes.

        What single joints cannot brake for, these joints brake for; what the guard refuses, the whole arm does.
        """
        candidate = self._step(aims, elapsed, self._moving)
        late = self._too_late_to_brake(candidate)
        if late:
            braking = self._step(self._rest, elapsed, self._moving)
            for joint in late:
                for values, braked in zip(candidate, braking, strict=True):
                    values[joint] = braked[joint]
        if not self._guarded(candidate):
            candidate = self._step([SLOWER * speed for speed in aims], elapsed, self._moving)
            if not self._guarded(candidate) or self._too_late_to_brake(candidate):
                candidate = self._braked(elapsed)
        return self._take(candidate)

    def _guarded(self, candidate: State) -> bool:
        if self._guard is None:
            return True
        self._ramps.plan(candidate, self._rest, self._stopping)
        return self._guard(self._state[0], WayToRest(self._ramps, self._laws, candidate))

    def _too_late_to_brake(self, state: State) -> list[int]:
        """The joints that could not be brought to rest inside their limits from here."""
        doubtful = self._in_doubt(state)
        if not doubtful:
            return doubtful
        ramps: Ramps = self._ramps
        ramps.plan(state, self._rest, self._moving)
        late: list[int] = []
        # To the end: braking of less acceleration than the velocity limit falls with does not gain on it.
        looks = ceil(ramps.duration / LOOK_S)
        for look in range(looks + 1):
            position, velocity, _ = ramps.at(min(look * LOOK_S, ramps.duration))
            for joint in doubtful:
                law: JointLaw = self._laws[joint]
                if joint not in late and not law.permits(position[joint], velocity[joint]):
                    late.append(joint)
            if len(late) == len(doubtful):
                break
        return late

    def _in_doubt(self, state: State) -> list[int]:
        """The joints whose way to rest takes a look."""
        position, velocity, acceleration = state
        doubtful: list[int] = []
        for joint in range(len(position)):
            law: JointLaw = self._laws[joint]
            if not law.surely_stops_inside(position[joint], velocity[joint], acceleration[joint]):
                doubtful.append(joint)
        return doubtful

    def _step(self, wanted: Numbers, elapsed: float, dynamics: list[Dynamics]) -> State:
        """Where the joints are after `elapsed` on the fastest way to the wanted velocity."""
        ramps: Ramps = self._ramps
        ramps.plan(self._state, wanted, dynamics)
        return ramps.at(elapsed)

    def _bounded(self, elapsed_s: float) -> float:
        return min(max(elapsed_s, 0.0), 2 * self._period)

    def _checked(self, what: str, values: FloatArray) -> Numbers:
        array = np.asarray(values, dtype=np.float64)
        expected = (len(self._laws),)
        if array.shape != expected:
            raise SparkError(f"joint {what} has shape {array.shape}: expected {expected}, one value per joint")
        numbers: Numbers = array.tolist()
        if not all(map(isfinite, numbers)):
            raise SparkError(f"joint {what} is {numbers}: every value must be finite")
        return numbers
