"""Pick up the cube and lift it.

Success: the cube's centre is at least 0.10 m above where it rests on the table while both fingers press on it, for
0.3 s without a break. A cube that is thrown, balanced or stuck to one finger does not count.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from spark_ros.robots.pose import matrix_from_quaternion
from spark_ros.sim.arms.base import ArmModel
from spark_ros.sim.engine import mujoco
from spark_ros.sim.tasks.base import Task

EDGE = 0.045  # m
MASS = 0.08  # kg, a block of light wood
COLOUR = (0.83, 0.16, 0.10, 1.0)
FRICTION = (1.0, 0.02, 0.001)

X_RANGE = (0.40, 0.60)  # m, base frame
Y_RANGE = (-0.15, 0.15)
YAW_RANGE = (-np.pi / 4, np.pi / 4)  # all there is: the cube looks the same every 90 degrees

LIFT_HEIGHT = 0.10  # m
PRESS_FORCE = 0.5  # N on each finger from which the cube counts as held; its weight is 0.8 N


class LiftTask(Task):
    """See the module's text."""

    name = "lift"
    instruction = "pick up the red cube and lift it"
    max_duration_s = 12.0
    success_hold_s = 0.3

    def add_objects(self, arm: ArmModel) -> None:
        """Adds the cube, free to move."""
        mjcf = arm.mjcf
        mjcf.add_texture(
            name="cube",
            type=mujoco.mjtTexture.mjTEXTURE_CUBE,
            builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
            mark=mujoco.mjtMark.mjMARK_EDGE,
            rgb1=COLOUR[:3],
            rgb2=COLOUR[:3],
            markrgb=[0.62 * c for c in COLOUR[:3]],
            width=64,
            height=64,
        )
        material = mjcf.add_material(name="cube", specular=0.2, shininess=0.3)
        material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = "cube"
        body = mjcf.worldbody.add_body(name="cube", pos=[0.5, 0.0, EDGE / 2])
        body.add_freejoint(name="cube")
        body.add_geom(
            name="cube",
            type=mujoco.mjtGeom.mjGEOM_BOX,
            size=[EDGE / 2] * 3,
            mass=MASS,
            material="cube",
            friction=FRICTION,
            condim=4,
            # Stiff and well damped: a soft contact lets a squeezed cube creep out of the fingers.
            solref=[0.004, 1.0],
            solimp=[0.95, 0.99, 0.001, 0.5, 2.0],
        )

    def bind(self, model: mujoco.MjModel, arm: ArmModel) -> None:
        """Looks up the cube and the fingers."""
        self._model = model
        self._body = model.body("cube").id
        self._geom = model.geom("cube").id
        self._address = int(model.joint("cube").qposadr[0])
        self._fingers = [model.body(name).id for name in arm.finger_bodies]

    def place_objects(self, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Lays the cube down somewhere in the range."""
        x, y, yaw = rng.uniform(*X_RANGE), rng.uniform(*Y_RANGE), rng.uniform(*YAW_RANGE)
        pose = [x, y, EDGE / 2, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]  # MuJoCo's quaternions start with w
        data.qpos[self._address : self._address + 7] = pose

    def is_done(self, data: mujoco.MjData) -> bool:
        """The cube is high enough, and in the hand."""
        return self._lift(data) >= LIFT_HEIGHT and self._is_held(data)

    def state(self, data: mujoco.MjData) -> dict[str, Any]:
        """`cube_position` (3), `cube_yaw` (rad, -pi/4..pi/4), `lift` (m) and `held`."""
        w, x, y, z = data.xquat[self._body]
        axes = matrix_from_quaternion([x, y, z, w])
        # The face normal nearest to horizontal gives the yaw, also for a cube that has been tipped onto another side.
        normal = axes[:, int(np.argmin(np.abs(axes[2])))]
        quarter = np.pi / 2
        yaw = (np.arctan2(normal[1], normal[0]) + quarter / 2) % quarter - quarter / 2
        return {
            "cube_position": data.xpos[self._body].tolist(),
            "cube_yaw": float(yaw),
            "lift": self._lift(data),
            "held": self._is_held(data),
        }

    def _lift(self, data: mujoco.MjData) -> float:
        return float(data.xpos[self._body][2]) - EDGE / 2

    def _is_held(self, data: mujoco.MjData) -> bool:
        """Both fingers press on the cube."""
        pressing = dict.fromkeys(self._fingers, 0.0)
        force = np.empty(6)
        for index, contact in enumerate(data.contact[: data.ncon]):
            if self._geom not in contact.geom:
                continue
            other = contact.geom[0] if contact.geom[1] == self._geom else contact.geom[1]
            body = int(self._model.geom_bodyid[other])
            if body in pressing:
                mujoco.mj_contactForce(self._model, data, index, force)
                pressing[body] += force[0]
        return bool(min(pressing.values()) >= PRESS_FORCE)
