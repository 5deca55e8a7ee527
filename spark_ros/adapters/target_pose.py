"""Tool poses for a Cartesian impedance controller that pulls the tool towards them, as crisp_controllers' does.

The controller holds the last pose by itself. It knows the pose only: how a redundant arm bends its elbow is its choice.
"""

from __future__ import annotations

from spark_ros.adapters.base import StampedPose, in_robot_order
from spark_ros.contracts import Command, FloatArray
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import RobotSpec
from spark_ros.robots.vendor import Interface


class TargetPose:
    """See the module's text."""

    form = StampedPose

    def __init__(self, spec: RobotSpec, interface: Interface) -> None:
        """For this arm."""
        self.topic = interface.topic
        self._spec = spec
        self._kinematics = Kinematics(spec)

    def convert(self, command: Command, measured: FloatArray | None, stamp_ns: int) -> StampedPose:
        """Where the commanded joints put the tool, in the base frame."""
        position, _ = in_robot_order(command, self._spec)
        return StampedPose(self._spec.base_frame, stamp_ns, self._kinematics.forward(position))

    def farewell(self, stamp_ns: int) -> None:
        """Nothing: a pose is held."""
