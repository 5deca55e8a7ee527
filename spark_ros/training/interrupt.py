"""Ctrl-C while something is being computed: finish the step, save, then stop."""

from __future__ import annotations

import signal
import threading
from types import FrameType, TracebackType

from spark_ros.contracts import SparkError


class Interrupted(SparkError):
    """The user stopped the work; the text says where it stands and how to continue."""


class InterruptFlag:
    """Within a ``with`` block, the first SIGINT or SIGTERM only sets a flag; a second one acts as ever.

    Outside the main thread, where Python delivers no signals, it never is set.
    """

    def __init__(self) -> None:
        self.raised = False

    def __enter__(self) -> InterruptFlag:
        self._previous = {}
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._previous[number] = signal.signal(number, self._raise)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._restore()

    def _raise(self, number: int, frame: FrameType | None) -> None:
        self.raised = True
        self._restore()

    def _restore(self) -> None:
        for number, handler in self._previous.items():
            signal.signal(number, handler)
        self._previous = {}
