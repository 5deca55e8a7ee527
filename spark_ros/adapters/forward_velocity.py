"""Joint velocities for ros2_controllers' `forward_command_controller` with interface `velocity`; order as in positions.

The controller holds the last velocity for ever, so the last word before silence is zero.
"""

from __future__ import annotations

import numpy as np

from spark_ros.adapters.base import Floats, in_robot_order
from spark_ros.adapters.correction import corrected
from spark_ros.contracts import Command, FloatArray
from spark_ros.robots.spec import RobotSpec
from spark_ros.robots.vendor import Interface

CORRECTION = 0.1  # rad/s, all joints together: 5 cm/s at a stretched arm's tool
AT_REST = 0.002  # rad


class ForwardVelocity:
    """See the module's text."""

    form = Floats

    def __init__(self, spec: RobotSpec, interface: Interface) -> None:
        """For this arm."""
        self.topic = interface.topic
        self._spec = spec

    def convert(self, command: Command, measured: FloatArray | None, stamp_ns: int) -> Floats:
        """(J) rad/s: the planned velocity, and slowly back to the planned position."""
        position, velocity = in_robot_order(command, self._spec)
        if measured is not None:
            limit = self._spec.limits.velocity
            velocity = np.clip(corrected(velocity, position - measured, CORRECTION, AT_REST), -limit, limit)
        return Floats(tuple(map(float, velocity)))

    def farewell(self, stamp_ns: int) -> Floats:
        """Zero."""
        return Floats((0.0,) * len(self._spec.joint_names))
