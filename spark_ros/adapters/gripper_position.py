"""The position of a gripper's first joint, for a `forward_command_controller`: m for a finger, rad for a knuckle."""

from __future__ import annotations

from spark_ros.adapters.base import Floats
from spark_ros.contracts import Command, FloatArray
from spark_ros.robots.spec import RobotSpec
from spark_ros.robots.vendor import Interface


class GripperPosition:
    """See the module's text."""

    form = Floats

    def __init__(self, spec: RobotSpec, interface: Interface) -> None:
        """For this arm's gripper."""
        self.topic = interface.topic
        self._gripper = spec.gripper

    def convert(self, command: Command, measured: FloatArray | None, stamp_ns: int) -> Floats:
        """One number: further joints of the gripper follow the first by their mechanism or the driver."""
        return Floats((float(self._gripper.joint_positions(command.gripper_width)[0]),))

    def farewell(self, stamp_ns: int) -> None:
        """Nothing: a position is held."""
