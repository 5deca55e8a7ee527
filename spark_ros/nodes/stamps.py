"""Nanoseconds to ROS times and durations, and back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from builtin_interfaces.msg import Duration, Time

from spark_ros.contracts import SparkError

NANOSECONDS = 1_000_000_000


def time_message(stamp: int) -> Time:
    """A stamp in ns as `builtin_interfaces/Time`."""
    seconds, nanoseconds = divmod(int(stamp), NANOSECONDS)
    return Time(sec=seconds, nanosec=nanoseconds)


def stamp_ns(time: Time) -> int:
    """A `builtin_interfaces/Time` in ns."""
    return time.sec * NANOSECONDS + time.nanosec


def duration_message(seconds: float) -> Duration:
    """Seconds as `builtin_interfaces/Duration`."""
    whole, nanoseconds = divmod(round(seconds * NANOSECONDS), NANOSECONDS)
    return Duration(sec=whole, nanosec=nanoseconds)


def even_step_s(times: Sequence[Duration]) -> float:
    """The step dt of a trajectory whose points are due at dt, 2 dt, 3 dt, ...

    Raises:
        SparkError: There is no point, or they are not evenly spaced (by more than 1 ms).
    """
    due = np.array([time.sec + time.nanosec * 1e-9 for time in times])
    steps = np.arange(1, len(due) + 1)
    if len(due) == 0 or due[0] <= 0.0 or np.any(np.abs(due - steps * due[-1] / len(due)) > 1e-3):
        raise SparkError(
            f"an action chunk has its {len(due)} steps due after {np.round(due, 3).tolist()} s, expected dt, 2 dt, "
            "3 dt, ...: check the policy node"
        )
    return round(float(due[-1]) / len(due), 9)
