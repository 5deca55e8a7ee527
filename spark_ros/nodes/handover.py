"""Streams between nodes of one process: each message goes over as the object it is, unserialised and uncopied.

rclpy sends also what a node in the same process receives through the middleware. Here the sender gives the message to
the takers of its topic, who handle it in their own executor's thread or at once, and publishes it only where somebody
else listens as well (a recorder, a viewer); a taker ignores the copy that then reaches it, too. Whoever takes must not
change what others hold.

For streams of stamped messages of which only the newest matter: images and features. `composed` opens it.
"""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.node import Node
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from spark_ros.contracts import SparkError

_REMEMBERED = 64  # stamps; a copy comes within a few messages
_WAITING = 8  # messages for a node that is busy, as few as a subscription keeps


class Handover:
    """The topics of this process that are handed over.

    Attributes:
        is_open: Whether anything is; where not, takers and outlets are ordinary subscriptions and publishers.
    """

    def __init__(self) -> None:
        self.is_open = False
        self._takers: dict[str, tuple[Inlet, ...]] = {}
        self._lock = threading.Lock()

    def add(self, topic: str, taker: Inlet) -> None:
        """Give the messages of a topic, by its full name, to this taker too."""
        with self._lock:
            self._takers[topic] = (*self._takers.get(topic, ()), taker)

    def remove(self, topic: str, taker: Inlet) -> None:
        """No longer to this one."""
        with self._lock:
            self._takers[topic] = tuple(other for other in self._takers[topic] if other is not taker)

    def give(self, topic: str, message: Any) -> int:
        """Give a message to all takers of a topic; how many there are."""
        takers = self._takers.get(topic, ()) if self.is_open else ()
        for taker in takers:
            taker.take(message)
        return len(takers)


HANDOVER = Handover()
"""Of this process."""


class Outlet:
    """A publisher whose messages are handed over where they can be."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher
        self._topic = publisher.topic_name

    def publish(self, message: Any) -> None:
        """To the takers here, and through the middleware where there are subscribers beside these."""
        taken = HANDOVER.give(self._topic, message)
        if not taken or self._publisher.get_subscription_count() > taken:
            self._publisher.publish(message)


class Inlet:
    """A subscription whose messages are handed over where they can be.

    Args:
        node: Whose executor calls the handler.
        message_type: With a ``header``.
        topic: Its name.
        handler: Gets each message once.
        qos: Of what comes through the middleware.
        at_once: Call the handler in the sender's thread, for one that only lays the message down somewhere: the way
            through rclpy's executor takes a millisecond, which is more than what the message itself costs.
        group: Of its subscription; the node's own where left out.
        read: Makes the message of the bytes that come through the middleware, where rclpy should not.

    Attributes:
        subscription: What receives from other processes.
    """

    def __init__(
        self,
        node: Node,
        message_type: type,
        topic: str,
        handler: Callable[[Any], None],
        qos: QoSProfile,
        at_once: bool = False,
        group: CallbackGroup | None = None,
        read: Callable[[bytes], Any] | None = None,
    ) -> None:
        self._node, self._handler, self._at_once, self._read = node, handler, at_once, read
        self._closed = False
        self._handed: deque[tuple[int, int]] = deque(maxlen=_REMEMBERED)
        self._waiting: deque[Any] = deque(maxlen=_WAITING)  # apart, since tasks do not run in the order of their making
        self.subscription = node.create_subscription(
            message_type, topic, self.receive, qos, callback_group=group, raw=read is not None
        )
        HANDOVER.add(self.subscription.topic_name, self)

    def close(self) -> None:
        """Nothing is handled from now on, not even what was given already: call it in the executor's thread."""
        self._closed = True
        HANDOVER.remove(self.subscription.topic_name, self)
        self._node.destroy_subscription(self.subscription)

    def take(self, message: Any) -> None:
        """A message that is handed over, in the thread of its sender."""
        executor = self._node.executor
        if executor is None or self._closed:  # nobody spins the node before it is whole
            return
        self._handed.append(_stamp(message))
        if self._at_once:
            self._handler(message)
        else:
            self._waiting.append(message)
            executor.create_task(self._handle)

    def receive(self, message: Any) -> None:
        """A message out of the middleware, in the thread that waits for it: the executor's, unless there is a group."""
        if self._read is not None:
            try:
                message = self._read(message)
            except SparkError as error:
                raise SparkError(f"{self.subscription.topic_name}: {error}") from error
        if not self._handed or _stamp(message) not in self._handed:
            self._handler(message)

    def _handle(self) -> None:
        if self._waiting and not self._closed:  # fewer than tasks, where the oldest had to go
            self._handler(self._waiting.popleft())


def _stamp(message: Any) -> tuple[int, int]:
    return message.header.stamp.sec, message.header.stamp.nanosec
