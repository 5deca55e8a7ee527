"""Streams that a thread waits for by itself, and of which only the newest message of each matters.

rclpy's executor takes 0.3 ms of Python from a message to its callback, and a thread that then does the work has to wait
until the executor's thread lets go of the interpreter. A thread that works on images for a living does better to wait
in the middleware itself, as `rclpy.wait_for_message` does; the executor never sees these subscriptions.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from rclpy.callback_groups import CallbackGroup
from rclpy.guard_condition import GuardCondition
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.node import Node
from rclpy.qos import QoSProfile

from spark_ros.nodes.handover import Inlet
from spark_ros.nodes.newest import Newest
from spark_ros.nodes.stamps import stamp_ns

FOR_EVER = -1  # ns, of WaitSet.wait
OVERTAKEN_NS = 1_000_000_000  # older than the newest by more, a message was not overtaken: a clock was set back


class AwaitedStreams:
    """Stamped messages of several topics, for one thread; see `handover.Inlet` for those of the same process.

    Messages of a topic are taken in the order of their stamps: one that was overtaken on its way is void.

    Attributes:
        lost: Messages that a newer one replaced before they were taken or arrived, or that did not arrive.
    """

    def __init__(
        self,
        node: Node,
        kind: type,
        topics: Mapping[str, str],
        qos: QoSProfile,
        read: Callable[[bytes], Any] | None = None,
    ) -> None:
        """Subscribes.

        Args:
            node: Whose subscriptions they are.
            kind: Type of the messages.
            topics: Full names by the keys that `take` gives.
            qos: Of the subscriptions; depth 2, since older messages are not wanted, but the last to arrive may be one.
            read: Makes a message of the bytes that come through the middleware; rclpy does where left out.
        """
        apart = _Apart()
        self._newest: Newest[Any] = Newest()
        self._numbers: dict[str, int] = {}
        self._stamps: dict[str, int] = {}
        self._gaps, self._overtaken = 0, 0
        self._closed = False
        self._inlets = {
            key: Inlet(node, kind, topic, partial(self._put, key), qos, at_once=True, group=apart, read=read)
            for key, topic in topics.items()
        }
        self._wake = GuardCondition(None, None, context=node.context)
        self._waits = rclpy_implementation.WaitSet(len(topics), 1, 0, 0, 0, 0, node.context.handle)

    @property
    def lost(self) -> int:
        """See the class."""
        return self._newest.dropped + self._gaps + self._overtaken

    def take(self) -> tuple[str, Any] | None:
        """Wait for a message: its key and itself. None once interrupted."""
        while not self._closed:
            if (item := self._newest.taken()) is not None:
                return item
            self._wait()
        return None

    def interrupt(self) -> None:
        """Let `take` return None, in whichever thread it waits, until `resume`."""
        self._closed = True
        self._wake.trigger()

    def resume(self) -> None:
        """Forget what came meanwhile, and let `take` wait again."""
        for key in self._inlets:
            for _ in self._arrived(key):
                pass
        while self._newest.taken() is not None:
            pass
        self._stamps.clear()
        self._closed = False

    def close(self) -> None:
        """Unsubscribe; nobody may be waiting any more."""
        for inlet in self._inlets.values():
            inlet.close()
        self._wake.destroy()

    def _put(self, key: str, message: Any) -> None:
        stamp = stamp_ns(message.header.stamp)
        if 0 < self._stamps.get(key, stamp) - stamp < OVERTAKEN_NS:
            self._overtaken += 1
            return
        self._stamps[key] = stamp
        self._newest.put(key, message)
        self._wake.trigger()

    def _wait(self) -> None:
        waits = self._waits
        waits.clear_entities()
        waits.add_guard_condition(self._wake.handle)
        places = {key: waits.add_subscription(inlet.subscription.handle) for key, inlet in self._inlets.items()}
        waits.wait(FOR_EVER)
        for key, place in places.items():
            if waits.is_ready("subscription", place):
                for message in self._arrived(key):
                    self._inlets[key].receive(message)

    def _arrived(self, key: str) -> Iterator[Any]:
        """All that the middleware has; nothing, where the wait set woke for one that was replaced meanwhile."""
        subscription = self._inlets[key].subscription
        while (taken := subscription.handle.take_message(subscription.msg_type, subscription.raw)) is not None:
            message, info = taken
            number = info["publication_sequence_number"]
            if number is not None:
                self._gaps += max(number - self._numbers.get(key, number) - 1, 0)
                self._numbers[key] = number
            yield message


class _Apart(CallbackGroup):
    """Whatever is in it, no executor executes."""

    def can_execute(self, entity: Any) -> bool:
        return False

    def beginning_execution(self, entity: Any) -> bool:
        return False

    def ending_execution(self, entity: Any) -> None:
        pass
