"""What the gateway is doing, and how it answers a request."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Mode(str, Enum):
    """Who moves the arm; the values travel on `/gateway/mode`."""

    IDLE = "idle"
    """Nobody: the gateway publishes nothing, the driver does as it likes."""
    TELEOP = "teleop"
    """An operator, while the deadman is held."""
    POLICY = "policy"
    """A policy's action chunks."""
    HOLD = "hold"
    """Nobody: brought to rest and kept there until somebody engages again or resets."""
    FAULT = "fault"
    """Nobody: like `HOLD`, but latched until `reset`."""

    @property
    def is_active(self) -> bool:
        """True where somebody else than the gateway itself decides where the arm goes."""
        return self in (Mode.TELEOP, Mode.POLICY)


@dataclass(frozen=True)
class Outcome:
    """The answer to a request or an input.

    Attributes:
        ok: Whether it was accepted.
        message: One sentence: what happened, or what was seen, expected and has to be done.
    """

    ok: bool
    message: str
