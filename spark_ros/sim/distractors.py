"""Objects that have nothing to do with the task, lying on the table clear of those that have.

They are only seen: nothing collides with them, so that an episode with them differs from one without in its pictures
alone. Their bodies are static, and hidden below the floor until an episode puts some of them on the table.
"""

from __future__ import annotations

import colorsys
from collections.abc import Sequence

import numpy as np

from spark_ros.contracts import FloatArray
from spark_ros.sim.engine import mujoco
from spark_ros.sim.tasks.base import Area

_GEOM = mujoco.mjtGeom
# Shape, MuJoCo's sizes (m), how high the centre lies above the table, radius that it takes on the table.
KINDS = (
    (_GEOM.mjGEOM_CYLINDER, (0.022, 0.030, 0.0), 0.030, 0.025),  # a tin
    (_GEOM.mjGEOM_SPHERE, (0.028, 0.0, 0.0), 0.028, 0.028),  # a ball
    (_GEOM.mjGEOM_BOX, (0.050, 0.030, 0.008), 0.008, 0.058),  # a small book
    (_GEOM.mjGEOM_ELLIPSOID, (0.040, 0.022, 0.018), 0.018, 0.040),  # a lemon
    (_GEOM.mjGEOM_BOX, (0.012, 0.012, 0.045), 0.045, 0.020),  # a domino, on end
)
SHOWN = (2, 4)  # at least, at most
X_RANGE, Y_RANGE = (0.34, 0.70), (-0.22, 0.22)  # m, base frame: what the front camera sees of the table
GAP = 0.045  # m between two objects' circles
TRIES = 60
HIDDEN = (0.3, 0.3, -5.0)  # below the floor
HUES = (0.10, 0.92)  # not red


def add(mjcf: mujoco.MjSpec) -> None:
    """Adds all of them, out of sight, to a model that is not compiled yet."""
    for number, (shape, size, _, _) in enumerate(KINDS):
        body = mjcf.worldbody.add_body(name=_name(number), pos=HIDDEN)
        body.add_geom(name=_name(number), type=shape, size=size, rgba=[0.5, 0.5, 0.5, 1.0], contype=0, conaffinity=0)


def arrange(model: mujoco.MjModel, occupied: Sequence[Area], rng: np.random.Generator) -> dict[str, FloatArray]:
    """The fields of the model that put a few of them, in colours of their own, where nothing else lies.

    One for which no free place is found within a number of tries stays hidden.
    """
    position, quaternion = np.array(model.body_pos), np.array(model.body_quat)
    colour = np.array(model.geom_rgba, np.float64)
    taken = list(occupied)
    for number in rng.permutation(len(KINDS))[: rng.integers(SHOWN[0], SHOWN[1] + 1)]:
        _, _, height, radius = KINDS[number]
        yaw = rng.uniform(-np.pi, np.pi)
        rgb = colorsys.hsv_to_rgb(rng.uniform(*HUES), rng.uniform(0.35, 0.95), rng.uniform(0.35, 0.95))
        colour[model.geom(_name(number)).id, :3] = rgb
        for place in rng.uniform([X_RANGE[0], Y_RANGE[0]], [X_RANGE[1], Y_RANGE[1]], (TRIES, 2)):
            if all(np.hypot(place[0] - a.x, place[1] - a.y) >= a.radius + radius + GAP for a in taken):
                body = model.body(_name(number)).id
                position[body] = [*place, height]
                quaternion[body] = [np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]
                taken.append(Area(place[0], place[1], radius))
                break
    return {"body_pos": position, "body_quat": quaternion, "geom_rgba": colour}


def _name(number: int) -> str:
    return f"distractor_{number}"
