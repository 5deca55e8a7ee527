"""Threads that stay on some of the processor's cores, so that inference and the gateway's timer keep apart."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from spark_ros.contracts import SparkError


def pin_thread(cores: Sequence[int]) -> None:
    """Keep the calling thread, and those that it will start, on these cores; on any where there are none.

    Raises:
        SparkError: This process may not run on one of them.
    """
    if not cores:
        return
    allowed = os.sched_getaffinity(os.getpid())
    if missing := sorted(set(cores) - allowed):
        raise SparkError(
            f"inference is to run on processor core {', '.join(map(str, missing))}, but this process may use "
            f"{', '.join(map(str, sorted(allowed)))}: choose among these"
        )
    os.sched_setaffinity(0, cores)


@contextmanager
def on_cores(cores: Sequence[int]) -> Iterator[None]:
    """The block runs on these cores, and threads that it starts stay there; see `pin_thread`."""
    before = os.sched_getaffinity(0)
    pin_thread(cores)
    try:
        yield
    finally:
        if cores:
            os.sched_setaffinity(0, before)
