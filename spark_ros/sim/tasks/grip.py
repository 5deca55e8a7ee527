"""What the hand does to an object: it holds it if both fingers press on it."""

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
        self._hand = model.body(arm.hand_body).id
        self._tcp = np.array(arm.tcp_in_hand)

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

    def width(self, data: mujoco.MjData) -> float:
        """How far the fingers are apart, m."""
        left, right = self._fingers
        return float(np.linalg.norm(data.xpos[left] - data.xpos[right]))

    def tool_height(self, data: mujoco.MjData) -> float:
        """How high the tool centre point is above the table, m."""
        return float(data.xpos[self._hand][2] + data.xmat[self._hand].reshape(3, 3)[2] @ self._tcp)
