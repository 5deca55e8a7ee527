"""How long something takes, over the last few hundred times."""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class LatencySummary:
    """Percentiles over a window, in seconds; all zero while nothing has been measured.

    Attributes:
        count: Measurements since the start, not only those in the window.
        p50: Median.
        p95: 95% quantile.
        p99: 99% quantile.
        worst: Largest in the window.
    """

    count: int
    p50: float
    p95: float
    p99: float
    worst: float


class LatencyTrace:
    """A rolling window of durations.

    Args:
        window: How many measurements are kept.
    """

    def __init__(self, window: int = 500) -> None:
        self._durations: deque[float] = deque(maxlen=window)
        self._count = 0

    def add(self, seconds: float) -> None:
        """Take in one duration."""
        self._durations.append(seconds)
        self._count += 1

    @contextmanager
    def measure(self) -> Iterator[None]:
        """Time the block on the monotonic clock; a block that raises is not counted."""
        start = time.perf_counter()
        yield
        self.add(time.perf_counter() - start)

    def summary(self) -> LatencySummary:
        """What the window holds now."""
        if not self._durations:
            return LatencySummary(0, 0.0, 0.0, 0.0, 0.0)
        p50, p95, p99, worst = np.quantile(self._durations, (0.5, 0.95, 0.99, 1.0))
        return LatencySummary(self._count, float(p50), float(p95), float(p99), float(worst))
