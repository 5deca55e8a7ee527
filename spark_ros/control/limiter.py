"""Turns any stream of joint targets into setpoints that hold position, velocity, acceleration and jerk limits.

The one limiter behind teleoperation, policies and every stop, so that nothing reaches an arm around it.

How it tracks. Ruckig's position interface plans the fastest way to a target that stands still; replanned against a
moving one it either lags (45 ms measured at 0.25 m/s, without a target velocity) or swings around it (with one: a
state slightly ahead of the target must turn back to meet it at speed). So the loop over position is closed here: the
wanted velocity is the target's own velocity plus a correction proportional to the gap, bounded for large gaps by what
can still be braked; Ruckig's velocity interface then takes the joints there, with exact jerk-limited profiles. A
target that moves at constant speed is tracked without lag.

How it stops. With all the acceleration that the arm has, whatever `acceleration_scale` says: who lowers it to be
careful must not get an arm that takes longer to stop.

How it stays inside. Every step is taken only if the arm could, from where it ends, brake to rest without leaving the
position limits or the velocity taper near them; otherwise those joints brake now, which the step before had checked.
The same way the `guard`, if there is one, is asked about what concerns the whole arm; there the whole arm brakes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import ruckig
from numpy.typing import NDArray

from spark_ros.contracts import FloatArray, SparkError
from spark_ros.control.config import GatewayConfig
from spark_ros.robots.spec import RobotSpec

VelocityCap = Callable[[FloatArray, FloatArray], FloatArray]
"""From joint position (J,) and wanted joint velocity (J,) to a permitted one, for limits that are not per joint."""

Guard = Callable[[FloatArray, FloatArray], bool]
"""From joint position (J,) and a way to rest (T, 2, J), positions and velocities: whether it may be taken."""

# Inside the limits by a little more than rounding, so that a check of the published numbers passes too.
POSITION_MARGIN = 1e-4  # rad
DYNAMICS_MARGIN = 0.999
# Of the permitted velocity near a position limit: what is aimed at, and what is never exceeded. The gap keeps the
# hard check, which brakes with full acceleration, from taking turns with the tracking.
TAPER_AIM = 0.8
TAPER_MARGIN = 0.98
# Part of the acceleration that the correction of a large gap counts on for braking; the rest is for the jerk limit.
BRAKING_SHARE = 0.5
# When braking is looked at: by 80 ms it is at full strength and only gains on the limits, and between two looks 5 ms
# apart a joint that turns round moves by less than POSITION_MARGIN.
BRAKING_CHECKS = [0.005 * i for i in range(17)]  # s
# The way to rest as the guard sees it: this far apart, but in no more than so many parts.
GUARD_STEP_S = 0.01
GUARD_PARTS = 16
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
        limits = spec.limits
        self._limits = limits
        self._cap = velocity_cap
        self._guard = guard
        self._gain = config.tracking_gain
        self._period = config.period_s
        self._lower = limits.position_lower + POSITION_MARGIN
        self._upper = limits.position_upper - POSITION_MARGIN
        self._velocity = limits.velocity * (config.velocity_scale * DYNAMICS_MARGIN)
        self._acceleration = limits.acceleration * (config.acceleration_scale * DYNAMICS_MARGIN)
        self._stops_harder = config.acceleration_scale < 1
        self._brakes_hard = False  # as `stop` does where it stops harder than motion may brake
        self._braking = self._acceleration * BRAKING_SHARE
        self._braking_twice = 2 * self._braking
        self._knee = self._braking / self._gain**2  # of a gap, where both laws have the same value and slope
        taper = limits.taper
        self._weakest_twice = 2 * (self._braking if taper is None else np.minimum(self._braking, taper.gain / 4))

        size = len(spec.joint_names)
        self._jerk = self._jerk_for(self._acceleration)
        self._ruckig = ruckig.Ruckig(size)
        self._moving = self._task(self._acceleration)
        self._stopping = self._task(limits.acceleration * DYNAMICS_MARGIN)
        self._trajectory = ruckig.Trajectory(size)
        self._rest = [0.0] * size
        self._all_safe = np.ones(size, dtype=np.bool_)
        self.reset(spec.home)

    @property
    def setpoint(self) -> JointSetpoint:
        """The present setpoint."""
        return self._now

    @property
    def at_rest(self) -> bool:
        """True where the setpoint neither moves nor is about to."""
        return bool(np.abs(self._now.velocity).max() < 1e-6 and np.abs(self._now.acceleration).max() < 1e-4)

    def reset(self, position: FloatArray) -> None:
        """Starts over, at rest, at this position (J,), rad, clamped to the limits.

        Raises:
            SparkError: The position has another length, or is not finite.
        """
        position = self._checked("position", position)
        zeros = np.zeros_like(position)
        self._brakes_hard = False
        self._now = JointSetpoint(np.clip(position, self._lower, self._upper), zeros, zeros)

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
        target = self._checked("target", target)
        target_velocity = self._checked("target velocity", target_velocity)
        if self._brakes_hard and self._must_go_on_braking():
            return self.stop(elapsed_s)
        self._brakes_hard = False
        elapsed = self._bounded(elapsed_s)
        within = np.clip(target, self._lower, self._upper)
        feed_forward = np.where(within == target, target_velocity, 0.0)
        position, velocity = self._now.position, self._now.velocity
        # `target` is where to be after this step, the setpoint is from before it: compare the two at the same time.
        gap = within - feed_forward * elapsed - position
        wanted = feed_forward + self._closing_velocity(gap)
        if self._cap is not None:
            wanted = self._cap(position, wanted)
        lowest, highest = self._velocity_window(position + 2 * elapsed * velocity)
        return self._advance(np.minimum(np.maximum(wanted, lowest), highest).tolist(), elapsed)

    def stop(self, elapsed_s: float) -> JointSetpoint:
        """Moves the setpoint on by `elapsed_s` (at most two periods), braking as hard as the arm's limits allow."""
        if self.at_rest:  # exactly, without what rounding leaves
            self._now = JointSetpoint(self._now.position, np.zeros_like(self._lower), np.zeros_like(self._lower))
        else:
            self._now = self._braked(self._bounded(elapsed_s))
        return self._now

    def _braked(self, elapsed: float) -> JointSetpoint:
        self._brakes_hard = self._stops_harder
        return self._step(self._rest, elapsed, self._stopping)

    def _must_go_on_braking(self) -> bool:
        """True where motion's own acceleration and jerk would take over too late to keep a joint from turning round."""
        velocity, acceleration = self._now.velocity, self._now.acceleration
        too_hard = np.abs(acceleration) > self._acceleration * (1 + 1e-6)  # by more than rounding
        turns = (velocity * acceleration < 0) & (acceleration**2 > 2 * self._jerk * np.abs(velocity))
        return bool(np.any(too_hard | turns))

    def _task(self, acceleration: FloatArray) -> ruckig.InputParameter:
        """What Ruckig is asked, but for where from and where to."""
        task = ruckig.InputParameter(len(acceleration))
        task.control_interface = ruckig.ControlInterface.Velocity
        task.synchronization = ruckig.Synchronization.No
        task.max_velocity = self._velocity.tolist()
        task.max_acceleration = acceleration.tolist()
        task.max_jerk = self._jerk_for(acceleration).tolist()
        return task

    def _jerk_for(self, acceleration: FloatArray) -> FloatArray:
        """(J,) A jerk that reaches full acceleration within a period is no limit at this rate: two periods at least."""
        return np.minimum(self._limits.jerk * DYNAMICS_MARGIN, acceleration / (2 * self._period))

    def _closing_velocity(self, gap: FloatArray) -> FloatArray:
        """(J,) velocity that closes the gap: proportional near by, what can be braked in time from far away."""
        size = np.abs(gap)
        linear = self._gain * size
        braked = np.sqrt(self._braking_twice * np.maximum(size - self._knee / 2, 0.0))
        return np.sign(gap) * np.where(size < self._knee, linear, braked)

    def _velocity_window(self, position: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Velocities to aim at between, so that position limits are approached gently."""
        highest = np.sqrt(self._braking_twice * np.maximum(self._upper - position, 0.0))
        lowest = -np.sqrt(self._braking_twice * np.maximum(position - self._lower, 0.0))
        if self._limits.taper is not None:
            down, up = self._limits.taper.bounds(position)
            lowest, highest = np.maximum(lowest, TAPER_AIM * down), np.minimum(highest, TAPER_AIM * up)
        return np.maximum(lowest, -self._velocity), np.minimum(highest, self._velocity)

    def _advance(self, wanted: list[float], elapsed: float) -> JointSetpoint:
        """Takes the step if braking stays possible after it, else a smaller one, else brakes.

        What single joints cannot brake for, these joints brake for; what the guard refuses, the whole arm does.
        """
        candidate = self._step(wanted, elapsed, self._moving)
        safe = self._can_brake(candidate)
        if not safe.all():
            braking = self._step(self._rest, elapsed, self._moving)
            candidate = JointSetpoint(
                np.where(safe, candidate.position, braking.position),
                np.where(safe, candidate.velocity, braking.velocity),
                np.where(safe, candidate.acceleration, braking.acceleration),
            )
        if not self._guarded(candidate):
            candidate = self._step([SLOWER * speed for speed in wanted], elapsed, self._moving)
            if not (self._guarded(candidate) and self._can_brake(candidate).all()):
                candidate = self._braked(elapsed)
        self._now = candidate
        return candidate

    def _guarded(self, candidate: JointSetpoint) -> bool:
        return self._guard is None or self._guard(self._now.position, self._way_to_rest(candidate))

    def _way_to_rest(self, start: JointSetpoint) -> FloatArray:
        """(T, 2, J): positions and velocities that a stop from `start` passes, both ends among them."""
        self._plan(start, self._rest, self._stopping)
        duration, at = self._trajectory.duration, self._trajectory.at_time
        parts = min(max(round(duration / GUARD_STEP_S), 1), GUARD_PARTS)
        return np.array([at(duration * part / parts)[:2] for part in range(parts + 1)])

    def _step(self, wanted: list[float], elapsed: float, task: ruckig.InputParameter) -> JointSetpoint:
        """The setpoint after `elapsed` on the fastest way to the wanted velocity."""
        self._plan(self._now, wanted, task)
        position, velocity, acceleration = self._trajectory.at_time(elapsed)[:3]
        return JointSetpoint(np.array(position), np.array(velocity), np.array(acceleration))

    def _plan(self, start: JointSetpoint, wanted: list[float], task: ruckig.InputParameter) -> None:
        task.current_position = start.position.tolist()
        task.current_velocity = start.velocity.tolist()
        task.current_acceleration = start.acceleration.tolist()
        task.target_velocity = wanted
        self._ruckig.calculate(task, self._trajectory)

    def _is_near_a_limit(self, state: JointSetpoint) -> bool:
        """False where braking from `state` certainly stays clear of every position-dependent limit."""
        speed = np.abs(state.velocity)
        reach = 0.05 + 0.2 * speed + speed**2 / self._weakest_twice
        return bool(np.any((state.position - reach < self._lower) | (state.position + reach > self._upper)))

    def _can_brake(self, state: JointSetpoint) -> NDArray[np.bool_]:
        """(J,) bool: from `state` the joint can be brought to rest inside its limits."""
        if not self._is_near_a_limit(state):
            return self._all_safe
        self._plan(state, self._rest, self._moving)
        duration, at = self._trajectory.duration, self._trajectory.at_time
        times = [*(time for time in BRAKING_CHECKS if time < duration), duration]
        states = np.array([at(time)[:2] for time in times])  # (time, position or velocity, J)
        position, velocity = states[:, 0], states[:, 1]
        safe = np.all((position >= self._lower) & (position <= self._upper), axis=0)
        if self._limits.taper is not None:
            down, up = self._limits.taper.bounds(position)
            safe &= np.all((velocity >= TAPER_MARGIN * down - 1e-6) & (velocity <= TAPER_MARGIN * up + 1e-6), axis=0)
        return safe

    def _bounded(self, elapsed_s: float) -> float:
        return min(max(elapsed_s, 0.0), 2 * self._period)

    def _checked(self, what: str, values: FloatArray) -> FloatArray:
        array = np.asarray(values, dtype=np.float64)
        if array.shape != self._lower.shape:
            raise SparkError(f"joint {what} has shape {array.shape}: expected {self._lower.shape}, one value per joint")
        if not np.all(np.isfinite(array)):
            raise SparkError(f"joint {what} is {array.tolist()}: every value must be finite")
        return array
