"""Freshness of a stream, judged on receive time with a monotonic clock."""

from __future__ import annotations

import math


class Watchdog:
    """Knows how long ago a stream was last heard."""

    def __init__(self, timeout_s: float) -> None:
        """Counts a stream as lost after `timeout_s` without a message."""
        self._timeout_s = timeout_s
        self._last = -math.inf

    def feed(self, now: float) -> None:
        """A message has arrived at `now`, monotonic seconds."""
        self._last = now

    def age(self, now: float) -> float:
        """Seconds since the last message; inf if there was none."""
        return now - self._last

    def expired(self, now: float) -> bool:
        """True where the stream counts as lost; also where the clock went far back, as the age means nothing then."""
        return abs(self.age(now)) > self._timeout_s
