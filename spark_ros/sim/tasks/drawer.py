"""Open the drawer of a small cabinet by its upright handle.

Success: the drawer is open by at least 9 of its 12 cm, for 0.3 s without a break. The cabinet is heavy: a hand
that bumps into it moves it slowly.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spark_ros.sim.arms.base import ArmModel
from spark_ros.sim.engine import mujoco
from spark_ros.sim.tasks import cube, furniture
from spark_ros.sim.tasks.base import Area, Task
from spark_ros.sim.tasks.furniture import Furniture
from spark_ros.sim.tasks.grip import Grip

CABINET, DRAWER, HANDLE = "cabinet", "drawer", "handle"
X_RANGE = (0.42, 0.54)  # m, base frame, of the cabinet's middle; its drawer opens to the left, seen from the arm
Y_RANGE = (-0.12, -0.05)
YAW_RANGE = (-0.30, 0.30)  # rad

HALF = np.array([0.050, 0.075, 0.030])  # m: half of the cabinet's width, depth (along the drawer) and height
BOARD = 0.005  # m thick
SHELL_COLOUR = (0.86, 0.85, 0.80, 1.0)
DRAWER_COLOUR = (0.20, 0.24, 0.30, 1.0)
HANDLE_HALF = (0.020, 0.011, 0.022)  # m: a block that the fingers take along the drawer's way
HANDLE_MIDDLE = (0.0, 0.089, 0.085)  # m, in the cabinet's frame, drawer shut: the finger tips stay above the cabinet
TRAVEL = 0.12  # m
SLIDE_FRICTION = 1.5  # N
SLIDE_DAMPING = 5.0  # N s/m

OPEN = 0.09  # m


class DrawerTask(Task):
    """See the module's text."""

    name = "drawer"
    instruction = "open the drawer by its red handle"
    max_duration_s = 12.0
    success_hold_s = 0.3
    object_name = HANDLE

    def add_objects(self, arm: ArmModel) -> None:
        """Adds the cabinet with its drawer, which slides along the cabinet's y axis."""
        mjcf = arm.mjcf
        cube.add_block_look(mjcf, HANDLE)
        cabinet = furniture.add_furniture(mjcf, CABINET)
        x, y, z = HALF
        _add_board(cabinet, (0.0, 0.0, 2 * z - BOARD / 2), (x, y, BOARD / 2), SHELL_COLOUR)
        _add_board(cabinet, (0.0, -y + BOARD / 2, z), (x, BOARD / 2, z), SHELL_COLOUR)
        for side in (-1.0, 1.0):
            _add_board(cabinet, (side * (x - BOARD / 2), 0.0, z), (BOARD / 2, y, z), SHELL_COLOUR)

        drawer = cabinet.add_body(name=DRAWER)
        joint = drawer.add_joint(name=DRAWER, type=mujoco.mjtJoint.mjJNT_SLIDE, axis=[0, 1, 0])
        joint.limited, joint.range = mujoco.mjtLimited.mjLIMITED_TRUE, [0.0, TRAVEL]
        joint.frictionloss, joint.damping[0] = SLIDE_FRICTION, SLIDE_DAMPING
        inner, depth = x - 2 * BOARD, y - BOARD  # half, from behind the front to before the cabinet's back
        _add_board(drawer, (0.0, y + BOARD, z), (x, BOARD, z + 0.003), DRAWER_COLOUR)
        _add_board(drawer, (0.0, BOARD, BOARD), (inner, depth, BOARD / 2), DRAWER_COLOUR)
        for side in (-1.0, 1.0):
            _add_board(drawer, (side * inner, BOARD, z - BOARD), (BOARD / 2, depth, z - 2 * BOARD), DRAWER_COLOUR)

        handle = drawer.add_body(name=HANDLE, pos=HANDLE_MIDDLE)
        box = mujoco.mjtGeom.mjGEOM_BOX
        handle.add_geom(name=HANDLE, type=box, size=HANDLE_HALF, material=HANDLE, mass=0.05, condim=4)
        for name in (DRAWER, HANDLE):
            mjcf.add_exclude(bodyname1="world", bodyname2=name)

    def bind(self, model: mujoco.MjModel, arm: ArmModel) -> None:
        """Looks up the cabinet, the drawer, the handle and the fingers."""
        self._cabinet = Furniture(model, CABINET)
        self._slide = int(model.joint(DRAWER).qposadr[0])
        self._handle = model.body(HANDLE).id
        self._grip = Grip(model, arm, HANDLE)

    def place_objects(self, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Stands the cabinet somewhere in the range, its drawer shut."""
        self._cabinet.stand(data, rng.uniform(*X_RANGE), rng.uniform(*Y_RANGE), rng.uniform(*YAW_RANGE))

    def occupied(self, data: mujoco.MjData) -> list[Area]:
        """The cabinet, and the way of its drawer and of the hand."""
        x, y, yaw = self._cabinet.pose(data)
        ways = np.array([-0.02, 0.09, 0.19])  # m from the cabinet's middle
        return [Area(float(x - way * np.sin(yaw)), float(y + way * np.cos(yaw)), 0.07) for way in ways]

    def is_done(self, data: mujoco.MjData) -> bool:
        """The drawer is open."""
        return bool(data.qpos[self._slide] >= OPEN)

    def state(self, data: mujoco.MjData) -> dict[str, Any]:
        """`handle_position` (3), `cabinet_position` (3), `cabinet_yaw`, `opening` (m) and `held`."""
        x, y, yaw = self._cabinet.pose(data)
        return {
            "handle_position": data.xpos[self._handle].tolist(),
            "cabinet_position": [x, y, 0.0],
            "cabinet_yaw": yaw,
            "opening": float(data.qpos[self._slide]),
            "held": self._grip.is_held(data),
        }


def _add_board(
    body: mujoco.MjsBody,
    position: tuple[float, float, float],
    half: tuple[float, float, float],
    colour: tuple[float, float, float, float],
) -> None:
    body.add_geom(type=mujoco.mjtGeom.mjGEOM_BOX, pos=position, size=half, rgba=colour, mass=0.1)
