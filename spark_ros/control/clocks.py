"""The two clocks of the gateway, tick by tick: monotonic time, and the clock of the stamps."""

from __future__ import annotations


class Clocks:
    """Carries the stamps' clock on between ticks, and notices where the two disagree."""

    def __init__(self, period_s: float, step_s: float) -> None:
        """Ticks come every `period_s`; a stamp clock that is off by more than `step_s` from one to the next jumped."""
        self._period_s, self._step_s = period_s, step_s
        self._last: tuple[float, int] | None = None

    def advance(self, now: float, now_ns: int) -> tuple[float, str | None]:
        """One tick.

        Args:
            now: Monotonic seconds.
            now_ns: The clock of the stamps.

        Returns:
            Seconds since the last tick, and what is wrong with the clocks, else None.
        """
        last, self._last = self._last, (now, now_ns)
        if last is None:
            return self._period_s, None
        elapsed, stamped = now - last[0], (now_ns - last[1]) * 1e-9
        complaint = None
        if elapsed < 0 or abs(stamped - elapsed) > self._step_s:
            complaint = (
                f"the clock jumped: stamps moved by {stamped:.2f} s while {elapsed:.2f} s passed; "
                "check time synchronisation"
            )
        return max(elapsed, 0.0), complaint

    def stamp(self, now: float, default_ns: int) -> int:
        """The clock of the stamps at `now`, carried on from the last tick; `default_ns` before the first."""
        if self._last is None:
            return default_ns
        return self._last[1] + round((now - self._last[0]) * 1e9)
