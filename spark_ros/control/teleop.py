"""Turns an operator's twist into a tool target that starts at the arm and never runs away from it."""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import FloatArray, Pose
from spark_ros.control.config import GatewayConfig
from spark_ros.robots.pose import multiply_quaternions, pose_distance, quaternion_from_rotvec, slerp
from spark_ros.robots.spec import RobotSpec


class TeleopTarget:
    """Integrates twists in the base frame, within the arm's tool speeds and accelerations and within the workspace."""

    def __init__(self, spec: RobotSpec, config: GatewayConfig) -> None:
        """The first step starts at the arm, at rest."""
        self._spec = spec
        self._config = config
        self._linear_acceleration = min(config.teleop_acceleration, spec.ee_max_linear_acceleration)
        self._angular_acceleration = min(config.teleop_angular_acceleration, spec.ee_max_angular_acceleration)
        self.clear()

    def clear(self) -> None:
        """Forgets the target; the next step starts at the arm again, at rest."""
        self._pose: Pose | None = None
        self._linear = np.zeros(3)
        self._angular = np.zeros(3)

    def step(self, twist: FloatArray, present: Pose, elapsed_s: float) -> tuple[Pose, FloatArray]:
        """Moves the target on.

        Args:
            twist: (6,) wanted tool velocity in the base frame.
            present: The present setpoint of the tool.
            elapsed_s: Time since the last step.

        Returns:
            The target and the twist (6,) that it moves with.
        """
        spec, config = self._spec, self._config
        start = self._pose or present
        linear = _approach(self._linear, twist[:3], spec.ee_max_linear_speed, self._linear_acceleration * elapsed_s)
        angular = _approach(self._angular, twist[3:], spec.ee_max_angular_speed, self._angular_acceleration * elapsed_s)
        # A tool that is outside of the workspace may come in at its own pace, but goes no further out.
        lower = np.minimum(spec.workspace.lower, start.position)
        upper = np.maximum(spec.workspace.upper, start.position)
        position = np.clip(start.position + linear * elapsed_s, lower, upper)
        quaternion = multiply_quaternions(quaternion_from_rotvec(angular * elapsed_s), start.quaternion)
        metres, radians = pose_distance(Pose(position, quaternion), present)
        if metres > config.teleop_leash_m:
            position = present.position + (position - present.position) * (config.teleop_leash_m / metres)
        if radians > config.teleop_leash_rad:
            quaternion = slerp(present.quaternion, quaternion, config.teleop_leash_rad / radians)
            angular = np.zeros(3)
        if elapsed_s > 0:
            linear = (position - start.position) / elapsed_s
        self._pose = Pose(position, quaternion / np.linalg.norm(quaternion))
        self._linear, self._angular = linear, angular
        return self._pose, np.concatenate([linear, angular])


def _approach(present: FloatArray, wanted: FloatArray, longest: float, step: float) -> FloatArray:
    """`present` (3,) moved by at most `step` towards `wanted` (3,), which is shortened to `longest` first."""
    return present + _shortened(_shortened(wanted, longest) - present, step)


def _shortened(vector: FloatArray, longest: float) -> FloatArray:
    peak = float(np.abs(vector).max())
    if peak == 0.0:
        return vector
    length = peak * float(np.linalg.norm(vector / peak))  # this way round the largest numbers do not overflow
    return vector if length <= longest else vector / length * longest
