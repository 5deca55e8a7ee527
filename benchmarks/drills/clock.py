"""Clock process: the computer's clock on /clock, and a jump of it on demand.

    python -m benchmarks.drills.clock

Nodes with the parameter `use_sim_time` stamp by it. A word on ``/drill/clock`` (`std_msgs/String`): by how many
seconds it is off.
"""

from __future__ import annotations

import sys
import time

from rclpy.clock import Clock, ClockType
from rclpy.node import Node
from rosgraph_msgs.msg import Clock as ClockMsg
from std_msgs.msg import String

from spark_ros.nodes.qos import LATCHED, STREAM
from spark_ros.nodes.run import run
from spark_ros.nodes.stamps import time_message

RATE_HZ = 250.0  # stamps are then at most 4 ms old, well below any tolerance for them


class ClockNode(Node):
    """The node."""

    def __init__(self) -> None:
        super().__init__("drill_clock")
        self._offset_ns = 0
        self._clock = self.create_publisher(ClockMsg, "/clock", STREAM)
        self.create_subscription(String, "/drill/clock", self._on_word, LATCHED)
        self.create_timer(1.0 / RATE_HZ, self._tell, clock=Clock(clock_type=ClockType.STEADY_TIME))

    def _on_word(self, message: String) -> None:
        self._offset_ns = round(1e9 * float(message.data))

    def _tell(self) -> None:
        self._clock.publish(ClockMsg(clock=time_message(time.time_ns() + self._offset_ns)))


def main() -> int:
    """Runs until it is told to end."""
    return run(ClockNode, args=sys.argv[:1])


if __name__ == "__main__":
    raise SystemExit(main())
