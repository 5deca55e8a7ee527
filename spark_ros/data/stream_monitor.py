"""What is wrong with a stream while it is being recorded, said before the episode is over.

The limits are those that training refuses by (`validate.StreamLimits`, the aligner's tolerance), so an episode that
was recorded without a warning is one that can be learnt from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from spark_ros.data.align import DEFAULT_TOLERANCE_S

STAMP_LAG_S = 1.0  # no camera or network is later than this; a clock that nobody synchronised is
SLOW_SHARE = 0.7  # of the usual rate; timers of a busy machine lose a tenth now and then
_RATE_WINDOW_S = 2.0
_PARTNER_S = 0.25  # pictures further apart than that are no partners at all
_SKIPPED = 1.7  # usual periods between two stamps: more than jitter


@dataclass
class NumberedMessages:
    """Messages that their one publisher numbers 1, 2, 3: those that never came are known exactly.

    Attributes:
        skipped: Numbers that were left out so far.
    """

    skipped: int = 0
    _last: int | None = None
    _trusted: bool = True

    def see(self, number: int | None) -> None:
        """Take note of a message's number; None where messages carry none."""
        if number is None or not self._trusted:
            return
        if self._last is not None and number <= self._last:
            self._trusted = False  # the publisher was started again, or there are several: nothing follows from it
            return
        if self._last is not None:
            self.skipped += number - self._last - 1
        self._last = number


@dataclass
class StreamMonitor:
    """One stream during one episode. Times are seconds of a monotonic clock unless they are stamps.

    Attributes:
        topic: Its name.
        gap_s: Longest pause that can be learnt across.
        usual_hz: Its rate before the episode; 0 where unknown, then the first seconds tell.
        began_s: When the episode began.
        keep_stamps: Whether `stamps_ns` grows; only cameras need it, and an hour of a 1 kHz arm would fill the memory.
        count: Messages so far.
        lost: Messages known to be lost, by the middleware or by us.
        longest_gap_s: Longest time between two messages, the beginning included.
        backwards: Stamps that were not after the one before.
        lag_s: Furthest that a stamp was from its reception, behind (positive) or ahead (negative).
        frozen: Images identical to the one before while the arm moved.
        stamps_ns: All stamps so far.
    """

    topic: str
    gap_s: float
    usual_hz: float
    began_s: float
    keep_stamps: bool = False
    count: int = 0
    lost: int = 0
    longest_gap_s: float = 0.0
    backwards: int = 0
    lag_s: float = 0.0
    frozen: int = 0
    stamps_ns: list[int] = field(default_factory=list)
    _last_s: float = 0.0
    _last_stamp_ns: int | None = None
    _window: tuple[float, int] = (0.0, 0)
    _window_hz: float | None = None

    def __post_init__(self) -> None:
        """The episode begins now."""
        self._last_s = self.began_s
        self._window = (self.began_s, 0)

    def see(self, now_s: float, stamp_ns: int | None, received_ns: int) -> None:
        """Take note of a message.

        Args:
            now_s: When it was received.
            stamp_ns: Its header's stamp; None for a type without.
            received_ns: When it was received, on the clock of the stamps.
        """
        self.count += 1
        self.longest_gap_s = max(self.longest_gap_s, now_s - self._last_s)
        self._last_s = now_s
        if stamp_ns is not None:
            if self._last_stamp_ns is not None:
                self._step((stamp_ns - self._last_stamp_ns) * 1e-9)
            self._last_stamp_ns = stamp_ns
            if self.keep_stamps:
                self.stamps_ns.append(stamp_ns)
            lag = (received_ns - stamp_ns) * 1e-9
            if abs(lag) > abs(self.lag_s):
                self.lag_s = lag
        begun, before = self._window
        if now_s - begun >= _RATE_WINDOW_S:
            self._window_hz = (self.count - before) / (now_s - begun)
            self._window = (now_s, self.count)
            self.usual_hz = self.usual_hz or self._window_hz

    def present(self, now_s: float) -> list[str]:
        """What is wrong right now, a sentence each."""
        silent = now_s - self._last_s
        if silent > self.gap_s:
            return [f"{self.topic} has been silent for {silent:.1f} s"]
        hz = self._window_hz
        if hz is not None and hz < SLOW_SHARE * self.usual_hz:
            return [f"{self.topic} has slowed down to {hz:.0f} Hz from {self.usual_hz:.0f} Hz"]
        return []

    def flags(self, max_loss: float) -> list[str]:
        """What was wrong with the stream as a whole, a sentence each.

        Args:
            max_loss: Share of its messages that may be lost.
        """
        found = []
        if self.loss > max_loss:
            found.append(f"{self.topic} lost {self.lost} of {self.count + self.lost} messages")
        if self.missing - self.lost > max_loss * (self.count + self.missing):
            found.append(f"{self.topic} lacks about {self.missing} messages between its stamps")
        if self.longest_gap_s > self.gap_s:
            found.append(f"{self.topic} paused for {self.longest_gap_s:.2f} s, at most {self.gap_s} s can be learnt")
        if self.backwards:
            found.append(f"{self.topic} has {self.backwards} stamps not after their predecessor")
        if abs(self.lag_s) > STAMP_LAG_S:
            side = "behind" if self.lag_s > 0 else "ahead of"
            found.append(
                f"{self.topic} has stamps {abs(self.lag_s):.1f} s {side} this computer: synchronise the clocks"
            )
        if self.frozen:
            found.append(f"{self.topic} was frozen: {self.frozen} identical images while the arm moved")
        return found

    def _step(self, seconds: float) -> None:
        if seconds <= 0.0:
            self.backwards += 1

    @property
    def missing(self) -> int:
        """Messages that the steps of the stamps leave room for at the usual rate; 0 where stamps are not kept.

        The middleware does not tell of every loss, and a camera's driver of none.
        """
        periods = np.diff(np.array(self.stamps_ns, np.int64)).astype(float) * 1e-9 * self.usual_hz
        return int((np.rint(periods[periods > _SKIPPED]) - 1).sum())

    @property
    def loss(self) -> float:
        """Share of the messages that were lost."""
        total = self.count + self.lost
        return self.lost / total if total else 0.0

    def end(self, now_s: float) -> None:
        """The episode is over: silence up to now counts as a pause."""
        self.longest_gap_s = max(self.longest_gap_s, now_s - self._last_s)

    def summary(self, now_s: float) -> dict[str, float | int]:
        """The numbers to keep with the episode."""
        seconds = max(now_s - self.began_s, 1e-9)
        return {
            "messages": self.count,
            "lost": self.lost,
            "missing": self.missing,
            "hz": round(self.count / seconds, 2),
            "longest_gap_s": round(self.longest_gap_s, 3),
            "stamp_lag_s": round(self.lag_s, 3),
            "backwards": self.backwards,
            "frozen": self.frozen,
        }


def camera_skew_s(stamps_ns: Mapping[str, list[int]]) -> float:
    """How far apart in time the cameras' pictures are, s: the 95th percentile of the distance to the nearest partner.

    The slowest camera's frames are looked at, against every other camera; 0 for less than two cameras with frames.
    """
    streams = sorted((np.array(stamps, np.int64) for stamps in stamps_ns.values() if stamps), key=len)
    if len(streams) < 2:
        return 0.0
    anchor, *others = streams
    return float(max(np.percentile(_to_nearest(anchor, np.sort(other)), 95) for other in others)) * 1e-9


def recent_skew_s(stamps_ns: Mapping[str, Sequence[int]], window_s: float = 2.0) -> float:
    """As `camera_skew_s`, of the pictures of the last seconds that all cameras have.

    Cameras of different rates are compared over the same time, not over the same number of pictures.
    """
    newest = [max(stamps) for stamps in stamps_ns.values() if stamps]
    if len(newest) < 2:
        return 0.0
    until, margin = min(newest), int(_PARTNER_S * 1e9)
    since = until - int(window_s * 1e9)
    streams = {
        topic: [s for s in stamps if since - margin <= s <= until + margin] for topic, stamps in stamps_ns.items()
    }
    anchor = min((topic for topic in streams if streams[topic]), key=lambda topic: len(streams[topic]))
    streams[anchor] = [stamp for stamp in streams[anchor] if since <= stamp <= until]
    return camera_skew_s(streams)


def skew_flags(skew_s: float) -> list[str]:
    """A sentence where the cameras are too far apart to be one observation, see `align`."""
    if skew_s <= DEFAULT_TOLERANCE_S:
        return []
    return [
        f"the cameras' pictures are up to {1e3 * skew_s:.0f} ms apart, and at most {1e3 * DEFAULT_TOLERANCE_S:.0f} ms "
        "can be one observation: synchronise the cameras or raise their rate"
    ]


def _to_nearest(stamps: NDArray[np.int64], others: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,) ns from each stamp to the nearest of the others (sorted)."""
    after = np.clip(np.searchsorted(others, stamps), 1, max(len(others) - 1, 1))
    if len(others) == 1:
        return np.abs(stamps - others[0])
    return np.minimum(np.abs(stamps - others[after - 1]), np.abs(others[after] - stamps))
