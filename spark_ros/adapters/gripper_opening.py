"""The opening that is wanted of a gripper behind ROS actions: `franka_gripper`'s, or `control_msgs/GripperCommand`.

The topic of such an interface is the name of the action, or what the names of the actions begin with.
"""

from __future__ import annotations

from spark_ros.adapters.base import Opening
from spark_ros.contracts import Command, FloatArray
from spark_ros.robots.spec import RobotSpec
from spark_ros.robots.vendor import Interface


class GripperOpening:
    """See the module's text."""

    form = Opening

    def __init__(self, spec: RobotSpec, interface: Interface) -> None:
        """For this arm's gripper."""
        self.topic = interface.topic
        self.kind = interface.kind

    def convert(self, command: Command, measured: FloatArray | None, stamp_ns: int) -> Opening:
        """In m."""
        return Opening(command.gripper_width)

    def farewell(self, stamp_ns: int) -> None:
        """Nothing: a gripper stays where it was sent."""
