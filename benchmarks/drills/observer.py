"""Observer process: writes down what the arm is told and what it does, and takes no part in anything.

    python -m benchmarks.drills.observer FILE ROBOT JOINT_TOPIC

A line for each message, with the time of receipt on the machine's monotonic clock in ns, which all processes share:

- ``c``: positions on the arm's command topic, in the robot's joint order, rad;
- ``s``: the stamp of `/gateway/setpoint` in ns, its positions and velocities;
- ``j``: positions and velocities of the arm itself, past anything that a drill puts in between;
- ``m``: the gateway's mode;
- ``b``: for how long, ms, this process itself had not run until then, where that is more than `BLIND_S`: what it wrote
  down before or after came earlier than it says.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterable
from pathlib import Path

from rclpy.node import Node
from sensor_msgs.msg import JointState
from std_msgs.msg import Float64MultiArray, String

from spark_ros import topics
from spark_ros.nodes.messages import joints_from_message
from spark_ros.nodes.qos import LATCHED, RECORDING
from spark_ros.nodes.run import run
from spark_ros.nodes.stamps import stamp_ns
from spark_ros.robots.spec import load_robot

TICK_S = 0.02
BLIND_S = 0.15  # no busy machine, but one that stood still


class Observer(Node):
    """The node."""

    def __init__(self, path: Path, robot: str, joint_topic: str) -> None:
        super().__init__("observer")
        self._spec = load_robot(robot)
        self._file = path.open("ab", buffering=0)  # a line is one write: who reads along never sees half of one
        self.create_subscription(Float64MultiArray, self._spec.vendor.arm_command_topic, self._on_command, RECORDING)
        self.create_subscription(JointState, topics.GATEWAY_SETPOINT, self._on_setpoint, RECORDING)
        self.create_subscription(JointState, joint_topic, self._on_joints, RECORDING)
        self.create_subscription(String, topics.GATEWAY_MODE, self._on_mode, LATCHED)
        self._last_tick = time.monotonic()
        self.create_timer(TICK_S, self._tick)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _on_command(self, message: Float64MultiArray) -> None:
        self._write("c", message.data)

    def _on_setpoint(self, message: JointState) -> None:
        joints = joints_from_message(message).select(self._spec.joint_names)
        self._write("s", [stamp_ns(message.header.stamp), *joints.position, *joints.velocity])

    def _on_joints(self, message: JointState) -> None:
        joints = joints_from_message(message).select(self._spec.joint_names)
        self._write("j", [*joints.position, *joints.velocity])

    def _on_mode(self, message: String) -> None:
        self._write("m", [message.data])

    def _tick(self) -> None:
        now = time.monotonic()
        blind = now - self._last_tick
        self._last_tick = now
        if blind > BLIND_S:
            self._write("b", [1e3 * blind])

    def _write(self, kind: str, values: Iterable[object]) -> None:
        words = map(str, values)
        self._file.write(f"{kind} {time.monotonic_ns()} {' '.join(words)}\n".encode())


def main() -> int:
    """Runs until it is told to end."""
    path, robot, joint_topic = sys.argv[1:4]
    return run(lambda: Observer(Path(path), robot, joint_topic), args=sys.argv[:1])


if __name__ == "__main__":
    raise SystemExit(main())
