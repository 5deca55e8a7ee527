"""Whether the hand holds an object: both fingers press on it."""

from __future__ import annotations

import numpy as np

from spark_ros.sim.arms.base import ArmModel
from spark_ros.sim.engine import mujoco

PRESS_FORCE = 0.5  # N on each finger from which an object counts as held; the cube's weight is 0.8 N


class Grip:
    """The two fingers of an arm and one geom between them."""

    def __init__(self, model: mujoco.MjModel, arm: ArmModel, geom: str) -> None:
        """Looks up the geom and the fingers."""
        self._model = model
        self._geom = model.geom(geom).id
        self._fingers = [model.body(name).id for name in arm.finger_bodies]

    def is_held(self, data: mujoco.MjData) -> bool:
        """Both fingers press on the geom."""
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
