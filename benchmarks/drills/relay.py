"""Relay process: stands for a driver between the simulator and the graph, and fails on demand.

    python -m benchmarks.drills.relay NAME TYPE:FROM=TO ...

What arrives on a topic leaves on another as the bytes that it was. A word on ``/drill/NAME`` (`std_msgs/String`)
changes that until the next word:

- ``pass``: as it should be;
- ``drop``: nothing leaves;
- ``freeze``: the last message leaves again and again, with fresh stamps;
- ``swap``: of two messages the later one leaves first;
- ``shift S``: stamps are S seconds off;
- ``nan``: joint positions are no numbers.
"""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Callable

from rclpy.node import Node
from rclpy.serialization import deserialize_message, serialize_message
from sensor_msgs.msg import CameraInfo, Image, JointState

from benchmarks.drills.words import listen
from spark_ros.nodes.qos import SENSOR, STREAM
from spark_ros.nodes.run import run

TYPES = {"Image": Image, "CameraInfo": CameraInfo, "JointState": JointState}
# All of them begin with a header: 4 bytes of CDR's own, then the stamp's seconds and nanoseconds.
_STAMP = slice(4, 12)
_NS = 1_000_000_000


class Relay(Node):
    """The node."""

    def __init__(self, name: str, routes: list[str]) -> None:
        super().__init__(name)
        self._doing, self._shift_ns = "pass", 0
        self._late: dict[bytes, bool] = {}  # by stamp: cameras that are swapped in turn never show the same moment
        for route in routes:
            kind, _, topics = route.partition(":")
            source, _, target = topics.partition("=")
            publisher = self.create_publisher(TYPES[kind], target, STREAM)
            self.create_subscription(TYPES[kind], source, self._receiver(publisher.publish), SENSOR, raw=True)
        listen(self, name, self._heed)

    def _heed(self, word: str) -> None:
        self._doing, _, seconds = word.partition(" ")
        self._late = {}
        self._shift_ns = round(float(seconds) * _NS) if seconds else 0

    def _receiver(self, publish: Callable[[bytes], None]) -> Callable[[bytes], None]:
        frozen = held = b""

        def receive(message: bytes) -> None:
            nonlocal frozen, held
            doing = self._doing
            if doing != "swap" and held:
                publish(held)
                held = b""
            if doing == "freeze":
                publish(frozen[: _STAMP.start] + message[_STAMP] + frozen[_STAMP.stop :] if frozen else message)
                frozen = frozen or message
                return
            frozen = b""
            if doing == "swap" and self._late.setdefault(message[_STAMP], len(self._late) % 2 == 0):
                held = message
            elif doing == "swap":
                publish(message)
                if held:
                    publish(held)
                held = b""
            elif doing == "shift":
                publish(message[: _STAMP.start] + shifted(message[_STAMP], self._shift_ns) + message[_STAMP.stop :])
            elif doing == "nan":
                joints = deserialize_message(message, JointState)
                joints.position = [math.nan] * len(joints.position)
                publish(serialize_message(joints))
            elif doing != "drop":
                publish(message)

        return receive


def shifted(stamp: bytes, by_ns: int) -> bytes:
    """A stamp as it travels, little-endian seconds and nanoseconds, moved by a time."""
    seconds, nanoseconds = struct.unpack("<iI", stamp)
    return struct.pack("<iI", *divmod(seconds * _NS + nanoseconds + by_ns, _NS))


def main() -> int:
    """Runs until it is told to end."""
    return run(lambda: Relay(sys.argv[1], sys.argv[2:]), args=sys.argv[:1])


if __name__ == "__main__":
    raise SystemExit(main())
