"""What one joint may do: the limiter's arithmetic for a single joint, in plain floats.

An arm has six or seven joints. For so few, a loop over floats takes a third of the time of array operations, each of
which costs a microsecond before it computes anything; compiled (`joint_law.pxd` has the types), a hundredth.
"""

from __future__ import annotations

import math

from spark_ros.control.config import GatewayConfig
from spark_ros.robots.spec import JointLimits

# Inside the limits by a little more than rounding, so that a check of the published numbers passes too.
POSITION_MARGIN = 1e-4  # rad
DYNAMICS_MARGIN = 0.999
# Of the permitted velocity near a position limit: what is aimed at, and what is never exceeded. The gap keeps the
# hard check, which brakes with full acceleration, from taking turns with the tracking.
TAPER_AIM = 0.8
TAPER_MARGIN = 0.98
TAPER_SLACK = 1e-6  # rad/s
# Part of the acceleration that the correction of a large gap counts on for braking; the rest is for the jerk limit.
BRAKING_SHARE = 0.5
NONSENSE = 1e6  # rad/s: a target that claims to be this fast is followed by its position alone; squares may overflow


class Dynamics:
    """Acceleration and jerk of a joint, and what it takes to bring it to rest with them."""

    def __init__(self, acceleration: float, jerk: float, period_s: float) -> None:
        """Takes rad/s^2 and rad/s^3; a jerk that reaches the acceleration within two periods is lowered to that."""
        self.acceleration = acceleration
        self.jerk = min(jerk, acceleration / (2 * period_s))
        self._half_ramp_s = acceleration / (2 * self.jerk)
        self._per_speed = 1 / (2 * acceleration)

    def stop(self, velocity: float, acceleration: float) -> tuple[float, float]:
        """Bounds of a stop, the fastest way to rest: the highest speed, rad/s, and how far it leads either way, rad.

        Why they hold. Until the acceleration is gone, for |a| / jerk, it adds at most a^2 / (2 jerk) to the speed: that
        is the highest speed. From there, without acceleration, a stop takes at most speed / acceleration plus the ramp
        acceleration / jerk, at half the speed on average. Where the joint slows down already, its way is the rest of
        a stop from that highest speed; where it slows down so hard that it must turn round, either part is shorter.
        """
        fading_s = abs(acceleration) / self.jerk
        speed = abs(velocity) + 0.5 * abs(acceleration) * fading_s
        return speed, speed * (fading_s + speed * self._per_speed + self._half_ramp_s)


class JointLaw:
    """The limits of one joint, and how it moves within them.

    Attributes:
        lower: rad, of the position.
        upper: rad.
        velocity: rad/s, highest, both ways.
        moving: What it moves with.
        stopping: What it stops with; more, where `acceleration_scale` lowers what it moves with.
        tapers: Whether the velocity limit falls near the position limits.
    """

    def __init__(self, limits: JointLimits, joint: int, config: GatewayConfig) -> None:
        """Takes the limits of this joint, and from the settings the two scales, `tracking_gain` and `rate_hz`."""
        self.lower = float(limits.position_lower[joint]) + POSITION_MARGIN
        self.upper = float(limits.position_upper[joint]) - POSITION_MARGIN
        self.velocity = float(limits.velocity[joint]) * (config.velocity_scale * DYNAMICS_MARGIN)
        acceleration, jerk = (DYNAMICS_MARGIN * float(limit[joint]) for limit in (limits.acceleration, limits.jerk))
        self.moving = Dynamics(acceleration * config.acceleration_scale, jerk, config.period_s)
        self.stopping = Dynamics(acceleration, jerk, config.period_s)

        braking = BRAKING_SHARE * self.moving.acceleration
        self._braking_twice = 2 * braking
        self._gain = config.tracking_gain
        self._knee = braking / self._gain**2  # of a gap, where both laws have the same value and slope
        self._half_knee = self._knee / 2
        # Between these, no position limit lowers the velocity to aim at.
        self._free_lower = self.lower + self.velocity**2 / self._braking_twice
        self._free_upper = self.upper - self.velocity**2 / self._braking_twice
        taper = limits.taper
        self.tapers = taper is not None
        if taper is not None:
            self._taper_offset, self._taper_gain = float(taper.offset[joint]), float(taper.gain[joint])
            self._taper_lower, self._taper_upper = float(taper.lower[joint]), float(taper.upper[joint])
            tapering = (self.velocity / TAPER_AIM + self._taper_offset) ** 2 / self._taper_gain
            self._free_lower = max(self._free_lower, self._taper_lower + tapering)
            self._free_upper = min(self._free_upper, self._taper_upper - tapering)
        # Between these, a stop from anything that the joint can do stays inside.
        speed, reach = self.moving.stop(self.velocity, self.stopping.acceleration)
        self._inner_lower, self._inner_upper = self.lower + reach, self.upper - reach
        if taper is not None:
            tapering = (speed / TAPER_MARGIN + self._taper_offset) ** 2 / self._taper_gain + reach
            self._inner_lower = max(self._inner_lower, self._taper_lower + tapering)
            self._inner_upper = min(self._inner_upper, self._taper_upper - tapering)

    def approach(self, position: float, target: float, target_velocity: float, elapsed: float) -> float:
        """The velocity, rad/s, that follows a target, rad, which moves on at its own velocity.

        What closes the gap is proportional near by, and what can be braked in time from far away.
        """
        within = min(max(target, self.lower), self.upper)
        feed_forward = target_velocity if within == target and abs(target_velocity) < NONSENSE else 0.0
        # `target` is where to be after this step, the position is from before it: compare the two at the same time.
        gap = within - feed_forward * elapsed - position
        size = abs(gap)
        if size < self._knee:
            return feed_forward + self._gain * gap
        closing = math.sqrt(self._braking_twice * (size - self._half_knee))
        return feed_forward + (closing if gap > 0 else -closing)

    def aim(self, velocity: float, position: float) -> float:
        """The velocity, rad/s, limited so that position limits are approached gently from this position, rad."""
        lowest, highest = -self.velocity, self.velocity
        if not self._free_lower <= position <= self._free_upper:
            highest = min(highest, math.sqrt(self._braking_twice * max(self.upper - position, 0.0)))
            lowest = max(lowest, -math.sqrt(self._braking_twice * max(position - self.lower, 0.0)))
            if self.tapers:
                down, up = self._tapered(position)
                lowest, highest = max(lowest, TAPER_AIM * down), min(highest, TAPER_AIM * up)
        return min(max(velocity, lowest), highest)

    def surely_stops_inside(self, position: float, velocity: float, acceleration: float) -> bool:
        """True where a stop from here certainly passes only what `permits`; False where that takes a closer look."""
        if (
            self._inner_lower <= position <= self._inner_upper
            and abs(velocity) <= self.velocity
            and abs(acceleration) <= self.stopping.acceleration
        ):
            return True
        speed, reach = self.moving.stop(velocity, acceleration)
        if position - reach < self.lower or position + reach > self.upper:
            return False
        if not self.tapers or speed <= TAPER_SLACK:
            return True
        # The highest speed of the stop even where it comes nearest to a limit.
        room = min(position - self._taper_lower, self._taper_upper - position) - reach
        return (speed / TAPER_MARGIN + self._taper_offset) ** 2 <= self._taper_gain * room

    def permits(self, position: float, velocity: float) -> bool:
        """True where the joint may pass this position, rad, with this velocity, rad/s, on the way to rest."""
        if not self.lower <= position <= self.upper:
            return False
        if not self.tapers:
            return True
        down, up = self._tapered(position)
        return TAPER_MARGIN * down - TAPER_SLACK <= velocity <= TAPER_MARGIN * up + TAPER_SLACK

    def must_go_on_stopping(self, velocity: float, acceleration: float) -> bool:
        """True in a stop that `moving` would take over too late to keep the joint from turning round."""
        if abs(acceleration) > self.moving.acceleration * (1 + 1e-6):  # by more than rounding
            return True
        return velocity * acceleration < 0 and acceleration**2 > 2 * self.moving.jerk * abs(velocity)

    def _tapered(self, position: float) -> tuple[float, float]:
        """What the taper alone permits: lowest (<= 0) and highest (>= 0) velocity, rad/s."""
        up = math.sqrt(max(0.0, self._taper_gain * (self._taper_upper - position))) - self._taper_offset
        down = math.sqrt(max(0.0, self._taper_gain * (position - self._taper_lower))) - self._taper_offset
        return -max(down, 0.0), max(up, 0.0)
