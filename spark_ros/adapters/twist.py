"""Tool velocities for Universal Robots' `twist_controller`, in the axes of the frame `base`.

What moves at this velocity is the tool centre point that is set on the pendant, which must be the robot description's.
The controller ignores other frames, and holds the last twist for ever, so the last word before silence is zero. It does
not know of the speed slider.
"""

from __future__ import annotations

import numpy as np

from spark_ros.adapters.base import StampedTwist, in_robot_order
from spark_ros.adapters.correction import corrected
from spark_ros.contracts import Command, FloatArray
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import matrix_from_quaternion, matrix_from_rotvec, rotvec_from_matrix
from spark_ros.robots.spec import RobotSpec
from spark_ros.robots.vendor import Interface

LINEAR_CORRECTION, ANGULAR_CORRECTION = 0.03, 0.1  # m/s, rad/s
LINEAR_AT_REST, ANGULAR_AT_REST = 0.001, 0.005  # m, rad


class Twist:
    """See the module's text."""

    form = StampedTwist

    def __init__(self, spec: RobotSpec, interface: Interface) -> None:
        """For this arm; the axes are those of the interface's frame."""
        self.topic = interface.topic
        self._spec = spec
        self._kinematics = Kinematics(spec)
        self._frame = interface.frame or spec.base_frame
        roll, pitch, yaw = interface.rpy
        axes = matrix_from_rotvec([0, 0, yaw]) @ matrix_from_rotvec([0, pitch, 0]) @ matrix_from_rotvec([roll, 0, 0])
        self._into_frame = axes.T

    def convert(self, command: Command, measured: FloatArray | None, stamp_ns: int) -> StampedTwist:
        """The planned velocity of the tool, and slowly back to its planned pose."""
        position, velocity = in_robot_order(command, self._spec)
        twist = self._kinematics.jacobian(position) @ velocity
        linear, angular = twist[:3], twist[3:]
        if measured is not None:
            goal, here = self._kinematics.forward(position), self._kinematics.forward(measured)
            axes = matrix_from_quaternion(goal.quaternion)
            turn = rotvec_from_matrix(axes @ matrix_from_quaternion(here.quaternion).T)
            linear = corrected(linear, goal.position - here.position, LINEAR_CORRECTION, LINEAR_AT_REST)
            angular = corrected(angular, turn, ANGULAR_CORRECTION, ANGULAR_AT_REST)
        return StampedTwist(
            self._frame, stamp_ns, np.concatenate([self._into_frame @ linear, self._into_frame @ angular])
        )

    def farewell(self, stamp_ns: int) -> StampedTwist:
        """Zero."""
        return StampedTwist(self._frame, stamp_ns, np.zeros(6))
