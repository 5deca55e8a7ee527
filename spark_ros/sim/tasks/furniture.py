"""Heavy things that stand on the table: they slide and turn on it slowly, and never tip.

A push of 20 N moves them by a centimetre a second.

Three joints with much dry friction take the place of a contact with the table, which would cost time at every step.
Where such a thing stands is part of the generalised positions, as everything that a snapshot must know.
"""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import FloatArray
from spark_ros.sim.engine import mujoco

_JOINT = mujoco.mjtJoint
FRICTION = (40.0, 40.0, 4.0)  # N, N, N m
DAMPING = (400.0, 400.0, 20.0)  # N s/m, N s/m, N m s/rad


def add_furniture(mjcf: mujoco.MjSpec, name: str) -> mujoco.MjsBody:
    """Adds a body whose frame's z = 0 is the table top; give it geoms."""
    body = mjcf.worldbody.add_body(name=name)
    kinds = ((_JOINT.mjJNT_SLIDE, [1, 0, 0]), (_JOINT.mjJNT_SLIDE, [0, 1, 0]), (_JOINT.mjJNT_HINGE, [0, 0, 1]))
    for (kind, axis), suffix, friction, damping in zip(kinds, ("x", "y", "yaw"), FRICTION, DAMPING, strict=True):
        joint = body.add_joint(name=f"{name}_{suffix}", type=kind, axis=axis, frictionloss=friction)
        joint.damping[0] = damping
    mjcf.add_exclude(bodyname1="world", bodyname2=name)
    return body


class Furniture:
    """One of them, in a compiled model."""

    def __init__(self, model: mujoco.MjModel, name: str) -> None:
        """Looks it up."""
        first = int(model.joint(f"{name}_x").qposadr[0])
        self._where = slice(first, first + 3)

    def stand(self, data: mujoco.MjData, x: float, y: float, yaw: float) -> None:
        """Puts it there, m and rad."""
        data.qpos[self._where] = [x, y, yaw]

    def pose(self, data: mujoco.MjData) -> tuple[float, float, float]:
        """x, y and yaw, m and rad; also before the first step."""
        x, y, yaw = data.qpos[self._where]
        return float(x), float(y), float(yaw)

    def locate(self, data: mujoco.MjData, point: FloatArray) -> FloatArray:
        """(2,) the point (2,) of the table, m, in the axes of the thing."""
        x, y, yaw = self.pose(data)
        c, s = np.cos(yaw), np.sin(yaw)
        return np.array([[c, s], [-s, c]]) @ (np.asarray(point) - [x, y])
