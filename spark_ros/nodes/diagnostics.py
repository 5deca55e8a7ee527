"""What a node says about itself on /diagnostics, once a second and at once when it refuses something."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import IntEnum
from time import monotonic

from diagnostic_msgs.msg import DiagnosticArray, DiagnosticStatus, KeyValue
from rclpy.node import Node

from spark_ros.nodes.timers import every
from spark_ros.runtime.latency import LatencyTrace

TOPIC = "/diagnostics"  # REP-107
PERIOD_S = 1.0
STEADY_S = 1.0


class Level(IntEnum):
    """Levels of `diagnostic_msgs/DiagnosticStatus`."""

    OK = 0
    WARN = 1
    ERROR = 2


@dataclass(frozen=True)
class Health:
    """One report.

    Attributes:
        level: How bad it is.
        message: One sentence.
        values: What a person or a plot wants to know, by name.
    """

    level: Level
    message: str
    values: Mapping[str, object] = field(default_factory=dict)


class Diagnostics:
    """Publish a node's health.

    Args:
        node: The node; its name is the status's name.
        report: Called for each report.
    """

    def __init__(self, node: Node, report: Callable[[], Health]) -> None:
        self._node = node
        self._report = report
        self._publisher = node.create_publisher(DiagnosticArray, TOPIC, 10)
        self._timer = every(node, PERIOD_S, self.publish)

    def publish(self) -> None:
        """Report now."""
        health = self._report()
        status = DiagnosticStatus(
            level=bytes([health.level]),
            name=self._node.get_name(),
            message=health.message,
            values=[KeyValue(key=key, value=_text(value)) for key, value in health.values.items()],
        )
        message = DiagnosticArray(status=[status])
        message.header.stamp = self._node.get_clock().now().to_msg()
        self._publisher.publish(message)


class Rate:
    """Events per second over the last seconds."""

    def __init__(self, window_s: float = 5.0) -> None:
        self._window_s = window_s
        self._times: deque[float] = deque(maxlen=10_000)
        self._last = float("-inf")

    def tick(self) -> None:
        """One event now."""
        self._last = monotonic()
        self._times.append(self._last)

    def hz(self) -> float:
        """The rate; 0 when the window holds fewer than two events."""
        horizon = monotonic() - self._window_s
        while self._times and self._times[0] < horizon:
            self._times.popleft()
        if len(self._times) < 2:
            return 0.0
        return (len(self._times) - 1) / (self._times[-1] - self._times[0])

    def steady_hz(self) -> float:
        """The rate over a second or more; 0 before that: a stream that begins may catch up first."""
        hz = self.hz()
        return hz if hz and self._times[-1] - self._times[0] >= STEADY_S else 0.0

    def silent_s(self) -> float:
        """Seconds since the last event; infinite before the first one."""
        return monotonic() - self._last


def in_ms(what: str, trace: LatencyTrace) -> dict[str, object]:
    """Percentiles of a latency, ready for `Health.values`."""
    summary = trace.summary()
    return {f"{what} {name} ms": 1e3 * getattr(summary, name) for name in ("p50", "p95", "p99", "worst")}


def _text(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
