"""Who else publishes commands to the arm: only one may."""

from __future__ import annotations

from collections.abc import Sequence

from rclpy.node import Node

PERIOD_S = 0.5  # asking the graph who publishes takes less than a millisecond, but not nothing


class Rivals:
    """Other publishers of the gateway's topics to the drivers."""

    def __init__(self, node: Node, topics: Sequence[str]) -> None:
        """`node` publishes these topics itself; who asks a gripper for actions, ROS does not tell."""
        self._node, self._topics = node, topics
        self._sought = 0.0

    def sentence(self) -> str | None:
        """Who they are and what to do; None if there are none."""
        for topic in self._topics:
            publishers = [(p.node_namespace, p.node_name) for p in self._node.get_publishers_info_by_topic(topic)]
            own = (self._node.get_namespace(), self._node.get_name())
            if own in publishers:
                publishers.remove(own)
            if publishers:
                names = ", ".join(f"{space.rstrip('/')}/{name}" for space, name in publishers)
                return (
                    f"{names} publishes {topic} too, and only one may move the arm: stop the other one "
                    "(one that was killed is forgotten after 20 s)"
                )
        return None

    def appeared(self, now: float) -> str | None:
        """As `sentence`, but looks no more often than every `PERIOD_S`; `now` is in monotonic seconds."""
        if now - self._sought < PERIOD_S:
            return None
        self._sought = now
        return self.sentence()
