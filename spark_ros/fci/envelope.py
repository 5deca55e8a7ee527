"""How fast an arm may be told to move, so that it can always brake before it is faster than it may be where it is.

Near a joint's position limit the permitted velocity falls to zero (`JointLimits.taper`). It is not enough that what is
told is permitted now: the arm obeys later, brakes no harder than it can, and the next word may come late. So a velocity
may be told for a time only if a stop that begins when this time is over stays inside all the way.

Why two numbers settle that. Braking with the deceleration `_braking` from anywhere inside the envelope stays inside it:
where the curve falls faster than the arm can brake, the envelope is the parabola of that deceleration that touches the
curve. So it is enough that position and velocity are inside when the stop begins. A stop with limited jerk is never
faster than one that begins half a ramp later at full strength; the arm goes on for that long, and where it was still
speeding up for two more halves. The time counts from when the arm obeys, which is a little later than it was looked at.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_ros.contracts import FloatArray
from spark_ros.robots.spec import JointLimits

MARGIN = 0.95  # of the permitted velocity; setpoints aim at 0.8 of it, and the rest is to catch up with them
SHORT = 0.005  # rad, how much earlier a curve ends: what a joint may be from where its controller wants it
TOP_PART = 0.99  # of a joint's highest velocity: what is told to catch up may not be all that it has
BRAKING_PART = 0.75  # of the deceleration that the arm has: the end of a stop has a ramp too
ANSWER_S = 0.006  # from telling the arm until it obeys: two cycles, libfranka's filter, the way through franky's thread
HALVINGS = 12  # when the highest velocity is looked for: to a thousandth of a rad/s
BOTH_WAYS = np.array([[1.0], [-1.0]])  # downwards is upwards in a mirror


@dataclass(frozen=True)
class Movement:
    """How the arm moves; every array is (J,).

    Attributes:
        measured: rad.
        desired: rad, where its controller wants it to be.
        velocity: rad/s, desired.
        acceleration: rad/s^2, desired.
        age_s: How long ago that was so.
    """

    measured: FloatArray
    desired: FloatArray
    velocity: FloatArray
    acceleration: FloatArray
    age_s: float = 0.0


class Envelope:
    """See the module's text. Inside, arrays are (2, J): upwards, and downwards mirrored."""

    def __init__(self, limits: JointLimits, acceleration: FloatArray, jerk: FloatArray) -> None:
        """For an arm that speeds up and brakes with these (J,), rad/s^2 and rad/s^3."""
        self._limits, self._acceleration, self._jerk = limits, acceleration, jerk
        self._braking = braking = BRAKING_PART * acceleration
        self._ramp_s = acceleration / (2 * jerk)  # half of one
        taper = limits.taper
        if taper is None:
            self._top = _mirrored(limits.position_lower, limits.position_upper) - SHORT
            self._touch, self._touch_speed = self._top, np.zeros(acceleration.shape)
            return
        self._top = _mirrored(taper.lower, taper.upper) - SHORT
        # Where braking is as steep as MARGIN * (sqrt(gain * room) - offset): nowhere if that is never too steep.
        steep = MARGIN**2 * taper.gain - 2 * braking
        with np.errstate(divide="ignore"):
            touch = np.where(steep > 0, 2 * braking * taper.offset / steep, np.inf)
        self._touch = self._top - (touch + taper.offset) ** 2 / taper.gain
        self._touch_speed = np.where(steep > 0, MARGIN * touch, 0.0)

    def permits(self, now: Movement, velocity: FloatArray, hold_s: float) -> bool:
        """Whether the arm may be told to move with this velocity (J,), rad/s, for so long and to brake then."""
        return bool(self._permits(_Start(now, self), velocity * BOTH_WAYS, hold_s).all())

    def nearest(self, now: Movement, velocity: FloatArray, hold_s: float) -> FloatArray:
        """The permitted velocity (J,), rad/s, that is nearest to this one; zero where only braking is left."""
        start, wanted = _Start(now, self), velocity * BOTH_WAYS
        if self._permits(start, wanted, hold_s).all():
            return velocity
        inside, outside = np.zeros_like(wanted), np.maximum(wanted, 0.0)
        for _ in range(HALVINGS):
            middle = (inside + outside) / 2
            fits = self._permits(start, middle, hold_s)
            inside, outside = np.where(fits, middle, inside), np.where(fits, outside, middle)
        highest = np.where(self._permits(start, wanted, hold_s), np.maximum(wanted, 0.0), inside)
        return np.clip(velocity, -highest[1], highest[0])

    def speed(self, position: FloatArray) -> FloatArray:
        """The envelope: rad/s (2, J) that a joint may have at these positions (2, J)."""
        braked = np.sqrt(self._touch_speed**2 + 2 * self._braking * np.maximum(self._touch - position, 0.0))
        top, taper = TOP_PART * self._limits.velocity, self._limits.taper
        if taper is None:
            return np.minimum(braked, top)
        room = np.maximum(self._top - position, 0.0)
        curve = MARGIN * np.maximum(np.sqrt(taper.gain * room) - taper.offset, 0.0)
        inside = np.where(position < self._touch, np.minimum(curve, braked), curve)
        return np.minimum(inside, top)

    def _permits(self, start: _Start, velocity: FloatArray, hold_s: float) -> FloatArray:
        """True (2, J) where a stop that begins after `hold_s` begins inside; also for who moves the other way."""
        speed, most = np.maximum(velocity, 0.0), start.speed
        until_s, late_s = start.answer_s + hold_s, start.answer_s + self._ramp_s
        changing_s = np.abs(most - speed) / self._acceleration
        held_s = np.maximum(until_s - late_s - changing_s, 0.0)
        slowed = most * late_s + (most**2 - speed**2) / (2 * self._acceleration) + speed * held_s
        unfinished_s = np.where(hold_s < changing_s + 2 * self._ramp_s, 2 * self._ramp_s, 0.0)
        quickened = speed * (np.maximum(until_s, late_s) + unfinished_s)
        # Asked so that what is no number is not permitted.
        way = np.where(speed >= most, quickened, slowed) + speed * self._ramp_s
        return (speed == 0.0) | (speed <= self.speed(start.position + way))


class _Start:
    """From where, and how fast at most before the arm obeys; (2, J) each."""

    def __init__(self, now: Movement, envelope: Envelope) -> None:
        self.position = np.maximum(now.measured * BOTH_WAYS, now.desired * BOTH_WAYS)
        self.answer_s = now.age_s + ANSWER_S
        speeding_up = np.maximum(now.acceleration * BOTH_WAYS, 0.0)
        gained = speeding_up * (self.answer_s + speeding_up / (2 * envelope._jerk))
        self.speed = np.maximum(now.velocity * BOTH_WAYS + gained, 0.0)


def _mirrored(lower: FloatArray, upper: FloatArray) -> FloatArray:
    return np.stack([upper, -lower])
