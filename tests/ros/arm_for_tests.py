"""A perfect arm: goes at once where it is told and says so a hundred times a second."""

from __future__ import annotations

import numpy as np
from graph_for_tests import GraphUnderTest
from sensor_msgs.msg import JointState as JointStateMsg
from std_msgs.msg import Float64MultiArray

from spark_ros import topics
from spark_ros.contracts import JointState
from spark_ros.nodes.messages import message_from_joints
from spark_ros.robots.spec import RobotSpec


class PerfectArm:
    """Runs in the graph's client.

    Attributes:
        speaking: Whether joint states are published.
        commands: Joint positions received, (J,) each.
    """

    def __init__(self, graph: GraphUnderTest, spec: RobotSpec) -> None:
        self._spec, self._node = spec, graph.client
        self.speaking = True
        self.commands: list[np.ndarray] = []
        self.q, self.width = spec.home.copy(), spec.gripper.max_width
        self._states = graph.client.create_publisher(JointStateMsg, topics.JOINT_STATES, 10)
        vendor = spec.vendor
        graph.client.create_subscription(Float64MultiArray, vendor.arm_command_topic, self._on_arm, 10)
        graph.client.create_subscription(Float64MultiArray, vendor.gripper_command_topic, self._on_gripper, 10)
        graph.client.create_timer(0.01, self._speak)

    def _on_arm(self, message: Float64MultiArray) -> None:
        self.q = np.array(message.data)
        self.commands.append(self.q)

    def _on_gripper(self, message: Float64MultiArray) -> None:
        gripper = self._spec.gripper
        self.width = float(gripper.widths(np.full(len(gripper.joint_names), message.data[0])))

    def _speak(self) -> None:
        if self.speaking:
            names = (*self._spec.joint_names, *self._spec.gripper.joint_names)
            position = np.concatenate([self.q, self._spec.gripper.joint_positions(self.width)])
            stamp = self._node.get_clock().now().nanoseconds
            self._states.publish(message_from_joints(JointState(names, position, np.zeros(len(names)), stamp)))
