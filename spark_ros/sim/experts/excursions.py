"""Deliberate mistakes of a scripted operator, so that demonstrations show the way back from them.

A policy trained on perfect runs only has never seen what its own small errors lead to. Every so often the operator
strays for a moment; those steps are not to be imitated, the clean correction that follows is.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_ros.contracts import FloatArray

MOST = 4  # in an episode, so that every episode ends
PAUSE_S = (0.5, 1.4)  # between two
LENGTH_S = (0.3, 0.6)
SPEED = (0.08, 0.22)  # m/s
LOW_SPEED = (0.03, 0.07)  # where the fingers are beside the cube: nudge it, do not throw it over
LOW = 0.05  # m of the tool above the cube's centre
TURN_RATE = (0.6, 1.5)  # rad/s


@dataclass(frozen=True)
class Stray:
    """What the operator does instead of the right thing.

    Attributes:
        twist: (6,) m/s and rad/s in the base frame.
        gripper_width: m; None to leave it as it should be.
    """

    twist: FloatArray
    gripper_width: float | None


class Excursions:
    """Decides when to stray, where to and for how long; the seed fixes all of it."""

    def __init__(self, seed: int) -> None:
        """Starts an episode."""
        self._rng = np.random.default_rng([seed, 1])  # not the stream that placed the cube
        self._left = MOST
        self._begin_s: float | None = None
        self._end_s = 0.0
        self._stray: Stray | None = None

    def at(self, stamp_ns: int, height: float) -> Stray | None:
        """What to do instead now, if anything; `height` is the tool's above the cube's centre, m."""
        now = stamp_ns * 1e-9
        if self._begin_s is None:
            self._begin_s = now + self._rng.uniform(0.2, PAUSE_S[1])
        if self._stray is not None and now >= self._end_s:
            self._stray = None
            self._begin_s = now + self._rng.uniform(*PAUSE_S)
        if self._stray is None and self._left > 0 and now >= self._begin_s:
            self._left -= 1
            self._stray = self._draw(height)
            self._end_s = now + self._rng.uniform(*LENGTH_S)
        return self._stray

    def _draw(self, height: float) -> Stray:
        rng = self._rng
        low = height < LOW
        kind = rng.choice(["aside", "turn", "up", "close"], p=[0.45, 0.25, 0.2, 0.1])
        angle = rng.uniform(-np.pi, np.pi)
        speed = rng.uniform(*(LOW_SPEED if low else SPEED))
        twist = np.zeros(6)
        twist[:3] = speed * np.array([np.cos(angle), np.sin(angle), 0.0 if low else rng.uniform(-0.3, 0.5)])
        if kind == "turn":
            twist[:3] *= 0.4
            twist[5] = rng.choice([-1.0, 1.0]) * rng.uniform(*TURN_RATE)
        elif kind == "up":
            twist[:3] = [0.3 * twist[0], 0.3 * twist[1], rng.uniform(*SPEED)]
        return Stray(twist, rng.uniform(0.0, 0.06) if kind == "close" else None)
