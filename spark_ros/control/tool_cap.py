"""What the joints may do for the sake of the tool: its highest speeds, and what can be braked before a wall."""

from __future__ import annotations

import math

import numpy as np

from spark_ros.contracts import Numbers
from spark_ros.control.config import GatewayConfig
from spark_ros.robots.chain import Chain
from spark_ros.robots.kinematics import Kinematics


class ToolCap:
    """Lowers wanted joint velocities; `ToolGuard` refuses what this does not keep."""

    def __init__(self, kinematics: Kinematics, config: GatewayConfig) -> None:
        """Takes the limits from the kinematics' robot; `wall_braking` and `rate_hz` matter of the settings."""
        spec = kinematics.spec
        self._kinematics, self._chain = kinematics, Chain(spec)
        self._linear, self._angular = spec.ee_max_linear_speed, spec.ee_max_angular_speed
        self._braking_twice = 2 * min(config.wall_braking, spec.ee_max_linear_acceleration / 2)
        self._walls = list(zip(spec.workspace.lower.tolist(), spec.workspace.upper.tolist(), strict=True))
        self._look_ahead_s = 2 * config.period_s
        self._slower = 1.0

    @property
    def is_slowed(self) -> bool:
        """True where the tool is slower than the arm may be."""
        return self._slower < 1.0

    def limit_speed(self, speed: float | None) -> None:
        """Moves the tool no faster than this, m/s, and turns it as much slower; None: as fast as the arm may."""
        self._slower = 1.0 if speed is None else min(1.0, speed / self._linear)

    def permitted(self, position: Numbers, velocity: Numbers) -> Numbers:
        """The joint velocities (J), rad/s, lowered to what the tool may do at this position (J), rad."""
        chain: Chain = self._chain
        chain.place(position)
        vx, vy, vz, wx, wy, wz = chain.twist(velocity)
        linear = math.sqrt(vx * vx + vy * vy + vz * vz) / self._linear
        angular = math.sqrt(wx * wx + wy * wy + wz * wz) / self._angular
        scale = self._slower / max(self._slower, linear, angular)
        slowed = [scale * rate for rate in velocity]
        excess = [
            self._beyond_wall(chain.x, scale * vx, *self._walls[0]),
            self._beyond_wall(chain.y, scale * vy, *self._walls[1]),
            self._beyond_wall(chain.z, scale * vz, *self._walls[2]),
        ]
        if not any(excess):
            return slowed
        correction = self._kinematics.joint_velocity(np.array(position), np.array([*excess, 0.0, 0.0, 0.0])).tolist()
        return [rate - less for rate, less in zip(slowed, correction, strict=True)]

    def _beyond_wall(self, position: float, speed: float, lower: float, upper: float) -> float:
        """By how much the tool's speed along an axis, m/s, is more than can be braked before the walls across it."""
        ahead = position + self._look_ahead_s * speed
        highest = math.sqrt(self._braking_twice * max(upper - ahead, 0.0))
        lowest = -math.sqrt(self._braking_twice * max(ahead - lower, 0.0))
        return speed - min(max(speed, lowest), highest)
