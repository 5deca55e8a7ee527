"""Pick up the cube and put it into the bin that stands beside it.

Success: the cube lies inside the bin, nobody presses on it, and the hand is open and clear above the walls, for 0.3 s
without a break. The bin is heavy: a hand that bumps into it moves it slowly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spark_ros.sim.arms.base import ArmModel
from spark_ros.sim.engine import mujoco
from spark_ros.sim.tasks import cube, furniture
from spark_ros.sim.tasks.base import Area, Task
from spark_ros.sim.tasks.cube import Cube
from spark_ros.sim.tasks.furniture import Furniture
from spark_ros.sim.tasks.grip import Grip

X_RANGE = (0.40, 0.58)  # m, base frame, of the cube
Y_RANGE = (-0.16, -0.02)
YAW_RANGE = (-np.pi / 4, np.pi / 4)

BIN = "bin"
INNER = 0.110  # m, both ways
WALL = 0.005  # m thick
HEIGHT = 0.035  # m
COLOUR = (0.20, 0.24, 0.30, 1.0)
BIN_X_RANGE = (0.44, 0.54)  # m, of its middle
BIN_Y_RANGE = (0.13, 0.17)
BIN_YAW_RANGE = (-0.25, 0.25)

INSIDE = INNER / 2 - 0.010  # m from the bin's middle, either way, up to which a cube's centre is inside
LOW = 0.02  # m above where it would lie on the bin's floor: one that leans on a wall is still inside
OPEN = 0.06  # m of width
CLEAR = 0.10  # m of the tool above the table: the finger tips are 5 cm above the walls


class PlaceTask(Task):
    """See the module's text."""

    name = "place"
    instruction = "put the red cube into the bin"
    max_duration_s = 15.0
    success_hold_s = 0.3
    object_name = cube.NAME

    def add_objects(self, arm: ArmModel) -> None:
        """Adds the cube and the bin."""
        cube.add_cube(arm.mjcf)
        body = furniture.add_furniture(arm.mjcf, BIN)
        outer = INNER / 2 + WALL
        boxes = [([0.0, 0.0, WALL / 2], [outer, outer, WALL / 2])]
        for side in (-1.0, 1.0):
            middle = side * (INNER + WALL) / 2
            boxes.append(([middle, 0.0, HEIGHT / 2], [WALL / 2, outer, HEIGHT / 2]))
            boxes.append(([0.0, middle, HEIGHT / 2], [outer, WALL / 2, HEIGHT / 2]))
        for position, size in boxes:
            body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=position, size=size, rgba=COLOUR, mass=0.3)

    def bind(self, model: mujoco.MjModel, arm: ArmModel) -> None:
        """Looks up the cube, the bin and the fingers."""
        self._cube = Cube(model)
        self._bin = Furniture(model, BIN)
        self._grip = Grip(model, arm, cube.NAME)

    def place_objects(self, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Lays the cube down on one side, and stands the bin on the other."""
        x, y, yaw = rng.uniform(*X_RANGE), rng.uniform(*Y_RANGE), rng.uniform(*YAW_RANGE)
        self._cube.lay_down(data, x, y, yaw)
        x, y, yaw = rng.uniform(*BIN_X_RANGE), rng.uniform(*BIN_Y_RANGE), rng.uniform(*BIN_YAW_RANGE)
        self._bin.stand(data, x, y, yaw)

    def occupied(self, data: mujoco.MjData) -> list[Area]:
        """The cube with the hand's room around it, and the bin."""
        x, y, _ = self._bin.pose(data)
        return [Area(*self._cube.laid_at(data), cube.ROOM), Area(x, y, 0.75 * INNER)]

    def is_done(self, data: mujoco.MjData) -> bool:
        """The cube is in the bin, and the hand has let go and gone."""
        return (
            self._is_in_bin(data)
            and self._grip.width(data) >= OPEN
            and self._grip.tool_height(data) >= CLEAR
            and not self._grip.is_held(data)
        )

    def state(self, data: mujoco.MjData) -> dict[str, Any]:
        """`cube_position` (3), `cube_yaw` (rad, -pi/4..pi/4), `held`, `bin_position` (3), `bin_yaw`, `in_bin`."""
        x, y, yaw = self._bin.pose(data)
        return {
            "cube_position": self._cube.position(data).tolist(),
            "cube_yaw": self._cube.yaw(data),
            "held": self._grip.is_held(data),
            "bin_position": [x, y, 0.0],
            "bin_yaw": yaw,
            "in_bin": self._is_in_bin(data),
        }

    def _is_in_bin(self, data: mujoco.MjData) -> bool:
        along, across = self._bin.locate(data, self._cube.position(data)[:2])
        low = self._cube.lift(data) <= WALL + LOW
        return bool(low and max(abs(along), abs(across)) <= INSIDE)
