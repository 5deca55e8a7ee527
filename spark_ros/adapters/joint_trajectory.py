"""Short trajectories for a `joint_trajectory_controller`, also Universal Robots' scaled one.

Every message replaces the one before it. It leads to where the setpoint will be in a moment, and from there to rest:
controllers refuse a trajectory that ends in motion, and an arm whose next message never comes brakes by itself.

Set `interpolate_from_desired_state: true` in the controller's configuration. Without it the controller begins every
trajectory where it measures the arm, which lags behind: told a stream of them the arm shakes and falls behind until
the gateway stops it.
"""

from __future__ import annotations

import numpy as np

from spark_ros.adapters.base import Trajectory, TrajectoryPoint, in_robot_order
from spark_ros.contracts import Command, FloatArray
from spark_ros.robots.spec import RobotSpec
from spark_ros.robots.vendor import Interface

AHEAD_S = 0.05  # five messages: where one is late, the arm goes on meanwhile
SHORTEST_BRAKING_S = 1e-3  # two points must not fall together


class JointTrajectory:
    """See the module's text."""

    form = Trajectory

    def __init__(self, spec: RobotSpec, interface: Interface) -> None:
        """For this arm."""
        self.topic = interface.topic
        self._spec = spec

    def convert(self, command: Command, measured: FloatArray | None, stamp_ns: int) -> Trajectory:
        """One point at rest; two, the second at rest, in motion."""
        spec, limits = self._spec, self._spec.limits
        position, velocity = in_robot_order(command, spec)
        braking_s = float(np.max(np.abs(velocity) / limits.acceleration))
        if braking_s < SHORTEST_BRAKING_S:
            return Trajectory(spec.joint_names, (TrajectoryPoint(position, np.zeros_like(velocity), AHEAD_S),))
        soon = position + AHEAD_S * velocity
        stopped = soon + 0.5 * braking_s * velocity
        points = ((soon, velocity, AHEAD_S), (stopped, np.zeros_like(velocity), AHEAD_S + braking_s))
        return Trajectory(
            spec.joint_names,
            tuple(
                TrajectoryPoint(np.clip(q, limits.position_lower, limits.position_upper), v, after)
                for q, v, after in points
            ),
        )

    def farewell(self, stamp_ns: int) -> None:
        """Nothing: every trajectory ends at rest."""
