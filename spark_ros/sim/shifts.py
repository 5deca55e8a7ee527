"""Domain shifts: worlds that look (or, for `cube_size`, are) different from the one that policies are trained in.

Each episode draws its own variation from its seed, with a generator of its own. The task's draws stay what they are,
so one seed has the same layout under every shift, and results can be compared in pairs. All but `cube_size` leave the
physics alone, to the last bit. Draws keep away from nominal, so that a shifted episode is always a shifted one.
"""

from __future__ import annotations

import colorsys
import copy
import zlib
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from spark_ros.contracts import FloatArray, SparkError
from spark_ros.robots.pose import multiply_quaternions, quaternion_from_rotvec
from spark_ros.sim import distractors, textures
from spark_ros.sim.engine import mujoco
from spark_ros.sim.look import Lens, Look, read_array, read_texture
from spark_ros.sim.tasks.base import Area

CUBE_SCALES = ((0.72, 0.85), (1.15, 1.28))  # smaller or larger: a cube of 45 mm becomes 32-38 or 52-58 mm, 80 mm fit
CUBE_HUES = (0.22, 0.92)  # around the circle from yellow-green over blue to pink: not red, and not the wood's orange
FRONT_SHIFT_M, FRONT_TURN = (0.02, 0.04), np.radians((2.0, 4.0))
WRIST_SHIFT_M, WRIST_TURN = (0.004, 0.010), np.radians((2.0, 5.0))  # it is 11 cm from what it looks at

SIZE_FIELDS = (
    *("geom_size", "geom_rbound", "geom_aabb", "bvh_aabb", "body_mass", "body_inertia"),
    *("body_subtreemass", "body_invweight0", "dof_invweight0", "dof_M0"),
)


@dataclass(frozen=True)
class Stage:
    """What a draw may depend on.

    Attributes:
        model: As compiled; read only.
        object_name: The name of the task's main object: that of its geom and of its texture.
        occupied: Where the task's objects lie in this episode.
    """

    model: mujoco.MjModel
    object_name: str
    occupied: list[Area]


@dataclass(frozen=True)
class Shift:
    """One kind of variation.

    Attributes:
        name: Registry name.
        text: What it changes, for reports.
        draw: The look of one episode; None to leave the model as compiled.
        add: Adds what the model must hold for it, before it is compiled.
    """

    name: str
    text: str
    draw: Callable[[Stage, np.random.Generator], Look] | None = None
    add: Callable[[mujoco.MjSpec], None] | None = None

    def look(self, stage: Stage, seed: int) -> Look | None:
        """How the episode that belongs to a seed differs; None if it does not."""
        if self.draw is None:
            return None
        return self.draw(stage, np.random.default_rng([seed, 2, zlib.crc32(self.name.encode())]))


def make_shift(name: str) -> Shift:
    """The shift of this name.

    Raises:
        SparkError: There is none.
    """
    if name not in SHIFTS:
        raise SparkError(f"unknown shift '{name}': choose one of {', '.join(SHIFTS)}")
    return SHIFTS[name]


def _light(stage: Stage, rng: np.random.Generator) -> Look:
    """Direction, strength and colour of the main light; the fill light stays opposite to it."""
    turn = rng.uniform(-np.pi, np.pi)
    height = np.radians(rng.uniform(20.0, 70.0))
    down = np.array([np.cos(height) * np.cos(turn), np.cos(height) * np.sin(turn), -np.sin(height)])
    dim = rng.random() < 0.5
    strength = rng.uniform(0.10, 0.30) if dim else rng.uniform(0.70, 1.00)
    ambient = rng.uniform(0.12, 0.20) if dim else rng.uniform(0.28, 0.40)
    warmth = rng.uniform(0.15, 0.40)
    tint = np.array([1.0, 1.0 - 0.4 * warmth, 1.0 - warmth])
    tint = tint if rng.random() < 0.5 else tint[::-1]
    direction, diffuse = _copy(stage, "light_dir"), _copy(stage, "light_diffuse")
    direction[0], direction[1] = down, down * [-1.0, -1.0, 1.0]
    diffuse[0], diffuse[1] = strength * tint, 0.5 * strength * tint
    return Look({"light_dir": direction, "light_diffuse": diffuse, "vis.headlight.ambient": ambient * tint})


def _table(stage: Stage, rng: np.random.Generator) -> Look:
    """Another table top: wood of other colours, stone, checked cloth or stripes."""
    size = read_texture(stage.model, "wood").shape[0]
    hue, seed = rng.uniform(0.10, 0.92), int(rng.integers(1 << 31))  # no red: the cube must stay to be seen
    light = colorsys.hsv_to_rgb(hue, rng.uniform(0.10, 0.45), rng.uniform(0.55, 0.95))
    dark = colorsys.hsv_to_rgb((hue + rng.uniform(-0.05, 0.05)) % 1.0, rng.uniform(0.2, 0.5), rng.uniform(0.25, 0.5))
    pattern = (textures.wood, textures.stone, textures.checks, textures.stripes)[rng.integers(4)]
    return Look(textures={"wood": pattern(size, light, dark, seed)})


def _cube_colour(stage: Stage, rng: np.random.Generator) -> Look:
    """Another colour of the task's main object; its darker edges stay."""
    colour = np.array(colorsys.hsv_to_rgb(rng.uniform(*CUBE_HUES), rng.uniform(0.6, 0.95), rng.uniform(0.45, 0.9)))
    nominal = read_texture(stage.model, stage.object_name)
    shade = nominal.max(axis=-1, keepdims=True) / nominal.max()
    return Look(textures={stage.object_name: np.asarray(255 * shade * colour + 0.5, np.uint8)})


def _cube_size(stage: Stage, rng: np.random.Generator) -> Look:
    """A smaller or larger object of the same stuff; the only shift that the physics feels."""
    scale = rng.uniform(*CUBE_SCALES[rng.integers(len(CUBE_SCALES))])
    return Look(_resized(stage.model, stage.object_name, scale))


def _distractors(stage: Stage, rng: np.random.Generator) -> Look:
    return Look(distractors.arrange(stage.model, stage.occupied, rng))


def _camera(stage: Stage, rng: np.random.Generator) -> Look:
    """The cameras, as if mounted a little off; images keep their nominal intrinsics."""
    position, quaternion = _copy(stage, "cam_pos"), _copy(stage, "cam_quat")
    for name, shift, turn in (("front", FRONT_SHIFT_M, FRONT_TURN), ("wrist", WRIST_SHIFT_M, WRIST_TURN)):
        index = stage.model.camera(name).id
        position[index] += rng.uniform(*shift) * _direction(rng)
        w, *xyz = quaternion[index]
        x, y, z, w = multiply_quaternions(quaternion_from_rotvec(rng.uniform(*turn) * _direction(rng)), [*xyz, w])
        quaternion[index] = [w, x, y, z]
    return Look({"cam_pos": position, "cam_quat": quaternion})


def _noise(stage: Stage, rng: np.random.Generator) -> Look:
    """Sensor noise, with the exposure and the tone curve off."""
    gain = np.exp(rng.choice([-1.0, 1.0]) * rng.uniform(0.2, 0.5))
    gamma = np.exp(rng.choice([-1.0, 1.0]) * rng.uniform(0.1, 0.35))
    return Look(lens=Lens(float(gain), float(gamma), rng.uniform(0.03, 0.07), int(rng.integers(1 << 31))))


SHIFTS: dict[str, Shift] = {
    shift.name: shift
    for shift in (
        Shift("nominal", "nothing"),
        Shift("light", "direction, strength and colour of the light", _light),
        Shift("table", "texture and colour of the table", _table),
        Shift("cube_colour", "colour of the task's main object", _cube_colour),
        Shift("cube_size", "size of the task's main object", _cube_size),
        Shift("distractors", "objects of other shapes and colours on the table", _distractors, distractors.add),
        Shift("camera", "pose of the cameras, by centimetres and degrees", _camera),
        Shift("noise", "sensor noise, exposure and tone curve", _noise),
    )
}


def _resized(model: mujoco.MjModel, name: str, scale: float) -> dict[str, FloatArray]:
    """Every field of the model that depends on the size of this geom, a box alone in its body, at the same density."""
    model = copy.copy(model)
    geom = model.geom(name).id
    body = int(model.geom_bodyid[geom])
    for array in (model.geom_size, model.geom_rbound, model.geom_aabb):
        array[geom] *= scale
    model.bvh_aabb[model.body_bvhadr[body]] *= scale
    model.body_mass[body] *= scale**3
    model.body_inertia[body] *= scale**5
    mujoco.mj_setConst(model, mujoco.MjData(model))
    return {field: np.array(read_array(model, field), np.float64) for field in SIZE_FIELDS}


def _copy(stage: Stage, name: str) -> FloatArray:
    return np.array(read_array(stage.model, name), np.float64)


def _direction(rng: np.random.Generator) -> FloatArray:
    """(3,) a direction, all being equally likely."""
    vector = rng.normal(size=3)
    return np.asarray(vector / np.linalg.norm(vector))
