"""How one episode differs from its compiled model: arrays, textures and a lens, small enough to travel in a snapshot.

A look is applied to the world's model and to each renderer's own copy. Every look of one world sets the same fields,
whole, so applying the next needs no undoing of the last.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import reduce

import numpy as np

from spark_ros.contracts import FloatArray, ImageArray
from spark_ros.sim.engine import mujoco


@dataclass(frozen=True)
class Lens:
    """What a camera does to the light that reaches it.

    Attributes:
        gain: Exposure; pixel values are multiplied by it.
        gamma: Of the tone curve, after the exposure; above 1 darkens the middle tones.
        noise: Standard deviation of the sensor's noise, as a part of full scale.
        seed: Of the noise; one picture of one instant is always the same.
    """

    gain: float
    gamma: float
    noise: float
    seed: int

    def expose(self, image: ImageArray, time_s: float, camera: int) -> ImageArray:
        """(H, W, 3) RGB as this camera reports it; `camera` is its number in the model."""
        rng = np.random.default_rng([self.seed, 3, round(time_s * 1e6), camera])
        light = np.clip(image / 255.0 * self.gain, 0.0, 1.0) ** self.gamma
        light += rng.normal(0.0, self.noise, image.shape)
        return np.asarray(np.clip(light, 0.0, 1.0) * 255 + 0.5, np.uint8)


@dataclass(frozen=True)
class Look:
    """See the module's text.

    Attributes:
        arrays: New content of whole fields of an MjModel, by dotted name, e.g. ``light_dir``.
        textures: New content of whole textures, by name, (H, W, 3) as the model keeps them.
        lens: None for a perfect one.
    """

    arrays: Mapping[str, FloatArray] = field(default_factory=dict)
    textures: Mapping[str, ImageArray] = field(default_factory=dict)
    lens: Lens | None = None

    def apply(self, model: mujoco.MjModel) -> list[int]:
        """Writes it into a model; returns the ids of changed textures, which an open renderer must upload."""
        for name, value in self.arrays.items():
            read_array(model, name)[...] = value
        for name, image in self.textures.items():
            read_texture(model, name)[...] = image
        return [model.tex(name).id for name in self.textures]


def read_array(model: mujoco.MjModel, name: str) -> FloatArray:
    """The model's own array of this dotted name, e.g. ``vis.headlight.ambient``: not a copy."""
    return reduce(getattr, name.split("."), model)


def read_texture(model: mujoco.MjModel, name: str) -> ImageArray:
    """(H, W, 3) the model's own pixels of a texture: not a copy."""
    index = model.tex(name).id
    height, width, channels = model.tex_height[index], model.tex_width[index], model.tex_nchannel[index]
    start = model.tex_adr[index]
    return np.asarray(model.tex_data[start : start + height * width * channels].reshape(height, width, channels))
