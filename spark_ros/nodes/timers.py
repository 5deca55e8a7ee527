"""Timers that time synchronisation neither stops nor hurries."""

from __future__ import annotations

from collections.abc import Callable

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rclpy.timer import Timer


def every(node: Node, period_s: float, action: Callable[[], None]) -> Timer:
    """A timer on the monotonic clock.

    `Node.create_timer` takes the node's clock: where that is the computer's and it is set back by 10 s, such a timer
    stands still for as long, and an operator's hand with it.
    """
    return node.create_timer(period_s, action, clock=Clock(clock_type=ClockType.STEADY_TIME))
