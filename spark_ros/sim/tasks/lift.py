"""Pick up the cube and lift it.

Success: the cube's centre is at least 0.10 m above where it rests on the table while both fingers press on it, for
0.3 s without a break. A cube that is thrown, balanced or stuck to one finger does not count.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spark_ros.sim.arms.base import ArmModel
from spark_ros.sim.engine import mujoco
from spark_ros.sim.tasks import cube
from spark_ros.sim.tasks.base import Area, Task
from spark_ros.sim.tasks.cube import Cube
from spark_ros.sim.tasks.grip import Grip

X_RANGE = (0.40, 0.60)  # m, base frame
Y_RANGE = (-0.15, 0.15)
YAW_RANGE = (-np.pi / 4, np.pi / 4)  # all there is: the cube looks the same every 90 degrees

LIFT_HEIGHT = 0.10  # m


class LiftTask(Task):
    """See the module's text."""

    name = "lift"
    instruction = "pick up the red cube and lift it"
    max_duration_s = 12.0
    success_hold_s = 0.3
    object_name = cube.NAME

    def add_objects(self, arm: ArmModel) -> None:
        """Adds the cube."""
        cube.add_cube(arm.mjcf)

    def bind(self, model: mujoco.MjModel, arm: ArmModel) -> None:
        """Looks up the cube and the fingers."""
        self._cube = Cube(model)
        self._grip = Grip(model, arm, cube.NAME)

    def place_objects(self, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Lays the cube down somewhere in the range."""
        x, y, yaw = rng.uniform(*X_RANGE), rng.uniform(*Y_RANGE), rng.uniform(*YAW_RANGE)
        self._cube.lay_down(data, x, y, yaw)

    def occupied(self, data: mujoco.MjData) -> list[Area]:
        """The cube and the hand's room around it."""
        return [Area(*self._cube.laid_at(data), cube.ROOM)]

    def is_done(self, data: mujoco.MjData) -> bool:
        """The cube is high enough, and in the hand."""
        return self._cube.lift(data) >= LIFT_HEIGHT and self._grip.is_held(data)

    def state(self, data: mujoco.MjData) -> dict[str, Any]:
        """`cube_position` (3), `cube_yaw` (rad, -pi/4..pi/4), `lift` (m) and `held`."""
        return {
            "cube_position": self._cube.position(data).tolist(),
            "cube_yaw": self._cube.yaw(data),
            "lift": self._cube.lift(data),
            "held": self._grip.is_held(data),
        }
