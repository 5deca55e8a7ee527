"""Joint positions for ros2_controllers' `forward_command_controller` with interface `position`.

The numbers carry no names: the controller's `joints` parameter must list the robot's joints in the order of its
description, as those of the makers' own configurations do. It holds the last position by itself.
"""

from __future__ import annotations

from spark_ros.adapters.base import Floats, in_robot_order
from spark_ros.contracts import Command, FloatArray
from spark_ros.robots.spec import RobotSpec
from spark_ros.robots.vendor import Interface


class ForwardPosition:
    """See the module's text."""

    form = Floats

    def __init__(self, spec: RobotSpec, interface: Interface) -> None:
        """For this arm."""
        self.topic = interface.topic
        self._spec = spec

    def convert(self, command: Command, measured: FloatArray | None, stamp_ns: int) -> Floats:
        """(J) rad."""
        position, _ = in_robot_order(command, self._spec)
        return Floats(tuple(map(float, position)))

    def farewell(self, stamp_ns: int) -> None:
        """Nothing: a position is held."""
