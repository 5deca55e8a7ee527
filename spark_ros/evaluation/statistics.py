"""The few statistics of an evaluation: a success rate with its uncertainty, percentiles of times."""

from __future__ import annotations

from collections.abc import Iterable
from math import sqrt

import numpy as np

from spark_ros.contracts import SparkError

_Z95 = 1.959963984540054  # of the normal distribution, two-sided 95%


def wilson95(successes: int, trials: int) -> tuple[float, float]:
    """95% confidence interval of a success rate (Wilson, JASA 1927), honest also for few trials and rates near 0 or 1.

    Returns:
        Lower and upper end in [0, 1]; (0, 1) without trials.

    Raises:
        SparkError: More successes than trials, or a negative number.
    """
    if not 0 <= successes <= trials:
        raise SparkError(f"{successes} successes in {trials} trials is not possible")
    if trials == 0:
        return 0.0, 1.0
    rate, z2 = successes / trials, _Z95**2
    centre = (rate + z2 / (2 * trials)) / (1 + z2 / trials)
    half = _Z95 / (1 + z2 / trials) * sqrt(rate * (1 - rate) / trials + z2 / (4 * trials**2))
    # At the ends the formula is exactly 0 or 1, but for the last bit.
    return 0.0 if successes == 0 else centre - half, 1.0 if successes == trials else centre + half


def percentiles(values: Iterable[float]) -> dict[str, float] | None:
    """``p50``, ``p95``, ``p99`` and ``max`` of the values in their own unit; None without any."""
    array = np.fromiter(values, np.float64)
    if array.size == 0:
        return None
    p50, p95, p99 = np.quantile(array, (0.5, 0.95, 0.99))
    return {"p50": float(p50), "p95": float(p95), "p99": float(p99), "max": float(array.max())}
