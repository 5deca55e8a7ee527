"""The red cube that several tasks handle."""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import FloatArray
from spark_ros.robots.pose import matrix_from_quaternion
from spark_ros.sim.engine import mujoco

NAME = "cube"
EDGE = 0.045  # m
MASS = 0.08  # kg, a block of light wood
COLOUR = (0.83, 0.16, 0.10, 1.0)
FRICTION = (1.0, 0.02, 0.001)
ROOM = 0.06  # m around its centre that the open fingers need


def add_cube(mjcf: mujoco.MjSpec) -> None:
    """Adds the cube, free to move."""
    add_block_look(mjcf, NAME)
    body = mjcf.worldbody.add_body(name=NAME, pos=[0.5, 0.0, EDGE / 2])
    body.add_freejoint(name=NAME)
    body.add_geom(
        name=NAME,
        type=mujoco.mjtGeom.mjGEOM_BOX,
        size=[EDGE / 2] * 3,
        mass=MASS,
        material=NAME,
        friction=FRICTION,
        condim=4,
        # Stiff and well damped: a soft contact lets a squeezed cube creep out of the fingers.
        solref=[0.004, 1.0],
        solimp=[0.95, 0.99, 0.001, 0.5, 2.0],
    )


def add_block_look(mjcf: mujoco.MjSpec, name: str) -> None:
    """Adds the texture and the material of a red block with darker edges, both of this name."""
    mjcf.add_texture(
        name=name,
        type=mujoco.mjtTexture.mjTEXTURE_CUBE,
        builtin=mujoco.mjtBuiltin.mjBUILTIN_FLAT,
        mark=mujoco.mjtMark.mjMARK_EDGE,
        rgb1=COLOUR[:3],
        rgb2=COLOUR[:3],
        markrgb=[0.62 * c for c in COLOUR[:3]],
        width=64,
        height=64,
    )
    material = mjcf.add_material(name=name, specular=0.2, shininess=0.3)
    material.textures[mujoco.mjtTextureRole.mjTEXROLE_RGB] = name


class Cube:
    """The cube of a compiled model."""

    def __init__(self, model: mujoco.MjModel) -> None:
        """Looks it up."""
        self._model = model
        self._body = model.body(NAME).id
        self._geom = model.geom(NAME).id
        self._address = int(model.joint(NAME).qposadr[0])

    @property
    def half_edge(self) -> float:
        """m, as it is now: a shift may have resized it."""
        return float(self._model.geom_size[self._geom][0])

    def lay_down(self, data: mujoco.MjData, x: float, y: float, yaw: float) -> None:
        """Puts it flat on the table at (x, y), m, turned by `yaw`, rad."""
        # MuJoCo's quaternions start with w.
        pose = [x, y, self.half_edge, np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
        data.qpos[self._address : self._address + 7] = pose

    def laid_at(self, data: mujoco.MjData) -> tuple[float, float]:
        """(x, y) where it was put last, also before the first step."""
        x, y = data.qpos[self._address : self._address + 2]
        return float(x), float(y)

    def position(self, data: mujoco.MjData) -> FloatArray:
        """(3,) its centre, m."""
        return np.array(data.xpos[self._body])

    def yaw(self, data: mujoco.MjData) -> float:
        """rad, -pi/4..pi/4: it looks the same every 90 degrees."""
        w, x, y, z = data.xquat[self._body]
        axes = matrix_from_quaternion([x, y, z, w])
        # The face normal nearest to horizontal gives the yaw, also for a cube that has been tipped onto another side.
        normal = axes[:, int(np.argmin(np.abs(axes[2])))]
        quarter = np.pi / 2
        return float((np.arctan2(normal[1], normal[0]) + quarter / 2) % quarter - quarter / 2)

    def lift(self, data: mujoco.MjData) -> float:
        """How far its centre is, in m, above where it rests on the table."""
        return float(data.xpos[self._body][2]) - self.half_edge
