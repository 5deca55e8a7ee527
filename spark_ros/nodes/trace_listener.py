"""Listens to the stages that the nodes of a running graph send, and joins them to paths from camera to command."""

from __future__ import annotations

import time
from collections.abc import Callable
from types import TracebackType

import rclpy
from rclpy.executors import SingleThreadedExecutor
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String

from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.nodes.qos import RECORDING
from spark_ros.runtime.trace import PathJoiner, PathWindow, Stamps

_WAIT_S = 0.1


class TraceListener:
    """A node of its own in the graph of this process's environment; used in a with statement.

    Attributes:
        window: Every path so far.
        heard: Messages of any stage so far.
    """

    def __init__(self) -> None:
        self.window, self.heard = PathWindow(), 0
        self._joiner = PathJoiner()
        self._context = rclpy.Context()
        rclpy.init(context=self._context, signal_handler_options=SignalHandlerOptions.NO)
        self._node = rclpy.create_node("trace_listener", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self._node)
        self._refusal: SparkError | None = None
        self._node.create_subscription(String, topics.STAGES, self._on_stages, RECORDING)

    def __enter__(self) -> TraceListener:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._executor.remove_node(self._node)
        self._node.destroy_node()
        self._context.try_shutdown()

    def listen(self, seconds: float, every_s: float, show: Callable[[], None]) -> None:
        """Listen for so long and call `show` now and then.

        Raises:
            SparkError: A node sends something else than stages.
        """
        begin = shown = time.monotonic()
        while (now := time.monotonic()) < begin + seconds:
            self._executor.spin_once(min(_WAIT_S, begin + seconds - now))
            if self._refusal is not None:
                raise self._refusal
            if time.monotonic() - shown >= every_s:
                shown = time.monotonic()
                show()

    def _on_stages(self, message: String) -> None:
        self.heard += 1
        try:
            path = self._joiner.add(Stamps.from_json(message.data))
        except SparkError as error:
            self._refusal = error
            return
        if path is not None:
            self.window.paths.append(path)
