"""Callbacks in a thread of their own, for programs that are no nodes."""

from __future__ import annotations

import threading

from rclpy.executors import Executor

JOIN_S = 2.0


class Spinning:
    """An executor that spins until `end`.

    rclpy's `spin_until_future_complete` adds a callback to the future with every message, so that a program grows by
    0.27 kB each: 1 GB an hour at 1 kHz.

    Args:
        executor: With its nodes.
        name: Of the thread.
    """

    def __init__(self, executor: Executor, name: str) -> None:
        self._executor = executor
        self._ended = False
        self._thread = threading.Thread(target=self._spin, name=name, daemon=True)
        self._thread.start()

    def end(self) -> None:
        """No callback begins any more; not the executor's shutdown, which fails those that are under way."""
        self._ended = True
        self._executor.create_task(lambda: None)  # waiting ends where there is something to do
        self._thread.join(JOIN_S)

    def _spin(self) -> None:
        while not self._ended:
            self._executor.spin_once()
