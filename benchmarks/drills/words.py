"""Words that a drill says to its helpers, and when they heeded them: that is when a fault begins."""

from __future__ import annotations

import time
from collections.abc import Callable

from rclpy.node import Node
from std_msgs.msg import String

from spark_ros.nodes.qos import LATCHED


def word_topic(name: str) -> str:
    """Where a helper listens."""
    return f"/drill/{name}"


def heeded_topic(name: str) -> str:
    """Where it says since when it does as it was told, in monotonic ns."""
    return f"/drill/{name}/heeded"


def listen(node: Node, name: str, heed: Callable[[str], None]) -> None:
    """Has a helper do what it is told, and say since when."""
    heeded = node.create_publisher(String, heeded_topic(name), LATCHED)

    def hear(message: String) -> None:
        since = time.monotonic_ns()
        heed(message.data)
        heeded.publish(String(data=str(since)))

    node.create_subscription(String, word_topic(name), hear, LATCHED)
