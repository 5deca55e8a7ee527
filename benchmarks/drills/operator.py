"""Operator process: a hand that leads the tool around a circle for ever, and lets go on demand.

    python -m benchmarks.drills.operator ROBOT

A word on ``/drill/operator`` (`std_msgs/String`): ``pass`` holds the deadman, ``release`` lets go of it, ``foreign``
sends twists in another frame.
"""

from __future__ import annotations

import math
import sys
import time

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from sensor_msgs.msg import Joy

from benchmarks.drills.words import listen
from spark_ros import topics
from spark_ros.contracts import TeleopInput
from spark_ros.nodes.motion_messages import messages_from_teleop
from spark_ros.nodes.qos import STREAM
from spark_ros.nodes.run import run
from spark_ros.nodes.timers import every
from spark_ros.robots.spec import load_robot

OPERATOR = "operator"
RATE_HZ = 20.0
SPEED_M_S, TURN_S = 0.15, 3.0  # a circle of 7 cm radius: small enough for any start, fast enough to be worth stopping


class Operator(Node):
    """The node."""

    def __init__(self, robot: str) -> None:
        super().__init__(OPERATOR)
        self._spec = load_robot(robot)
        self._doing = "pass"
        self._twist = self.create_publisher(TwistStamped, topics.TELEOP_TWIST, STREAM)
        self._joy = self.create_publisher(Joy, topics.TELEOP_JOY, STREAM)
        listen(self, OPERATOR, self._heed)
        every(self, 1.0 / RATE_HZ, self._act)

    def _heed(self, word: str) -> None:
        self._doing = word
        self._act()  # a hand does not wait for the next period

    def _act(self) -> None:
        angle = 2 * math.pi * time.monotonic() / TURN_S
        twist = SPEED_M_S * np.array([math.cos(angle), math.sin(angle), 0.0, 0.0, 0.0, 0.0])
        stamp = self.get_clock().now().nanoseconds
        held = self._doing != "release"
        moved, joy = messages_from_teleop(
            TeleopInput(twist, self._spec.gripper.max_width, held, True, stamp), self._spec
        )
        if self._doing == "foreign":
            moved.header.frame_id = "somewhere"
        self._joy.publish(joy)
        self._twist.publish(moved)


def main() -> int:
    """Runs until it is told to end."""
    return run(lambda: Operator(sys.argv[1]), args=sys.argv[:1])


if __name__ == "__main__":
    raise SystemExit(main())
