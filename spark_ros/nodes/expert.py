"""Expert node: the scripted operator of the simulator, on the topics a human operator's device would use.

It knows the true state of the world from /sim_arm/state; everything else about it is as for a human: the gateway limits
it, the recorder cannot tell it apart.
"""

from __future__ import annotations

import json
from typing import Any

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from sensor_msgs.msg import JointState as JointStateMsg
from sensor_msgs.msg import Joy
from std_msgs.msg import String

from spark_ros import topics
from spark_ros.contracts import JointState, TeleopInput
from spark_ros.nodes.diagnostics import Diagnostics, Health, Level, Rate
from spark_ros.nodes.messages import joints_from_message
from spark_ros.nodes.motion_messages import messages_from_teleop
from spark_ros.nodes.parameters import Parameters
from spark_ros.nodes.qos import SENSOR, STREAM
from spark_ros.nodes.run import run
from spark_ros.nodes.timers import every
from spark_ros.robots.spec import RobotSpec, load_robot
from spark_ros.sim.experts.base import Expert
from spark_ros.sim.registry import make_expert

STALE_S = 0.5  # a simulator silent for this long has stopped: let go of the deadman

DEFAULTS = {
    "robot": ("fr3", "arm, by name or YAML path"),
    "task": ("lift", "what the operator is to do; the simulator's task"),
    "perturb": (False, "leave the way on purpose now and then; read at the start of every episode"),
    "rate_hz": (20.0, "inputs per second"),
}


class ReportedWorld:
    """What the scripted operator sees: the last messages.

    Attributes:
        spec: The arm.
        joints: The last joint state.
        state: The last report of the simulator.
    """

    def __init__(self, spec: RobotSpec) -> None:
        self.spec = spec
        self.joints: JointState | None = None
        self.state: dict[str, Any] = {}

    def joint_state(self, stamp_ns: int) -> JointState:
        """The last joint state, whatever the time."""
        assert self.joints is not None
        return self.joints

    def task_state(self) -> dict[str, Any]:
        """The last report of the simulator."""
        return self.state


class ExpertNode(Node):
    """The node; a new operator for every episode of the simulator, seeded like it."""

    def __init__(self) -> None:
        super().__init__("expert")
        self.params = Parameters(self, DEFAULTS)
        self._world = ReportedWorld(load_robot(self.params["robot"]))
        self._task: str = self.params["task"]
        make_expert(self._task, self._world)  # refuses an unknown task now, not when the first episode begins
        self._expert: Expert | None = None
        self._episode: int | None = None
        self._states = Rate()
        self._twist = self.create_publisher(TwistStamped, topics.TELEOP_TWIST, STREAM)
        self._joy = self.create_publisher(Joy, topics.TELEOP_JOY, STREAM)
        self.create_subscription(String, topics.SIM_STATE, self._on_state, SENSOR)
        self.create_subscription(JointStateMsg, topics.JOINT_STATES, self._on_joints, SENSOR)
        every(self, 1.0 / self.params["rate_hz"], self._act)
        Diagnostics(self, self._health)

    def _on_state(self, message: String) -> None:
        self._world.state = state = json.loads(message.data)
        self._states.tick()
        if state["episode"] != self._episode:
            self._episode = state["episode"]
            self._expert = make_expert(self._task, self._world, state["seed"], self.params["perturb"])

    def _on_joints(self, message: JointStateMsg) -> None:
        self._world.joints = joints_from_message(message)

    def _act(self) -> None:
        world, stamp = self._world, self.get_clock().now().nanoseconds
        if self._expert is None or world.joints is None:
            return
        if self._states.silent_s() > STALE_S:
            width = world.spec.gripper.width(world.joints)
            teleop = TeleopInput(np.zeros(6), width, deadman=False, imitate=False, stamp_ns=stamp)
        else:  # also after success: how to go on is worth imitating, for as long as the episode lasts
            teleop = self._expert.act(stamp)
        twist, joy = messages_from_teleop(teleop, world.spec)
        self._joy.publish(joy)
        self._twist.publish(twist)

    def _health(self) -> Health:
        if self._states.silent_s() > STALE_S:
            return Health(Level.WARN, f"nothing arrives on {topics.SIM_STATE}: start the simulator")
        return Health(Level.OK, f"episode {self._episode}", {"success": self._world.state["success"]})


def main() -> int:
    """Entry point of the executable `expert`."""
    return run(ExpertNode)


if __name__ == "__main__":
    raise SystemExit(main())
