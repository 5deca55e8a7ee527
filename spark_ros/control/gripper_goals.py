"""Goals for grippers that take one after the other, made of the widths that policies and operators stream.

Such a gripper is told where to be and goes there; a stream of widths it does not know. So a width that begins to fall
closes it at once, around whatever is there, and one that begins to rise opens it: `TwoWays`. With `Positions` it goes
to every width instead, without force, as soon as that width stays.
"""

from __future__ import annotations

from dataclasses import dataclass

PLAY_M = 0.01  # how far a width must turn back before the hand does: a policy's widths tremble by some millimetres
STILL_S = 0.15  # a width that has not changed for so long stays
SAME_M = 0.002


@dataclass(frozen=True)
class Grasp:
    """Close until something is held."""


@dataclass(frozen=True)
class Move:
    """Go to this opening, m."""

    width: float


Goal = Grasp | Move


class TwoWays:
    """Goals that only open and close."""

    def __init__(self, max_width: float, width: float) -> None:
        """For a hand that opens to `max_width` and is open by `width` now, m; from half open it may go both ways."""
        self._max_width = max_width
        self._may_close = self._may_open = True
        self._widest = self._narrowest = width

    def goal(self, target: float, now_s: float) -> Goal | None:
        """A new goal, where `target`, m, asks for one."""
        self._widest, self._narrowest = max(self._widest, target), min(self._narrowest, target)
        if self._may_close and target < self._widest - PLAY_M:
            self._may_close, self._may_open, self._narrowest = False, True, target
            return Grasp()
        if self._may_open and target > self._narrowest + PLAY_M:
            self._may_close, self._may_open, self._widest = True, False, target
            return Move(self._max_width)
        return None


class Positions:
    """Goals that are widths."""

    def __init__(self, max_width: float, width: float) -> None:
        """As `TwoWays`."""
        self._max_width = max_width
        self._reached = self._target = width
        self._since_s = 0.0

    def goal(self, target: float, now_s: float) -> Goal | None:
        """A new goal, where `target`, m, has come to stay at a new width."""
        if abs(target - self._target) > SAME_M:
            self._target, self._since_s = target, now_s
        if abs(self._target - self._reached) <= SAME_M or now_s - self._since_s < STILL_S:
            return None
        self._reached = self._target
        return Move(min(max(self._reached, 0.0), self._max_width))
