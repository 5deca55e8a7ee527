"""Procedural textures, so that the scene ships no image files."""

from __future__ import annotations

import cv2
import numpy as np

from spark_ros.contracts import ImageArray

Colour = tuple[float, float, float]


def wood(size: int, light: Colour, dark: Colour, seed: int) -> ImageArray:
    """(size, size, 3) boards of wood with the grain along the columns; colours in 0..1."""
    rng = np.random.default_rng(seed)
    boards = 5
    rows, columns = np.mgrid[0:size, 0:size] / size
    board = (columns * boards).astype(int)
    phase = rng.uniform(0.0, 100.0, boards)[board]
    tone = rng.uniform(-0.08, 0.08, boards)[board]
    # Rings seen from the side: bands that wander slowly along the grain, with fine fibres over them.
    wander = 0.05 * np.sin(2 * np.pi * (rows + phase)) + 0.02 * np.sin(2 * np.pi * (3 * rows + 2 * phase))
    rings = 0.5 + 0.5 * np.sin(2 * np.pi * (11 * (columns + wander) + phase))
    fibre = _smooth_rows(rng.normal(0.0, 1.0, (size, size)), 24)
    seam = np.abs(columns * boards - np.round(columns * boards)) < 0.012
    mix = np.clip(0.35 * rings + 0.18 * fibre + tone, 0.0, 1.0)[..., None]
    colour = (1 - mix) * np.array(light) + mix * np.array(dark)
    colour[seam] *= 0.72
    return (np.clip(colour, 0.0, 1.0) * 255).astype(np.uint8)


def stone(size: int, light: Colour, dark: Colour, seed: int) -> ImageArray:
    """(size, size, 3) polished stone: clouds with grains over them; colours in 0..1."""
    rng = np.random.default_rng(seed)
    clouds = np.zeros((size, size))
    for cells in (4, 8, 16, 32):
        noise = rng.normal(0.0, 1.0, (cells, cells)).astype(np.float32)
        clouds += cv2.resize(noise, (size, size), interpolation=cv2.INTER_CUBIC) / np.sqrt(cells)
    return _mixed(0.45 + 0.25 * clouds + 0.08 * rng.normal(0.0, 1.0, (size, size)), light, dark)


def checks(size: int, light: Colour, dark: Colour, seed: int) -> ImageArray:
    """(size, size, 3) a checked cloth; colours in 0..1."""
    rng = np.random.default_rng(seed)
    count = rng.integers(8, 17)
    rows, columns = np.mgrid[0:size, 0:size] * count // size
    return _mixed(0.5 * (rows % 2) + 0.5 * (columns % 2) + 0.03 * rng.normal(0.0, 1.0, (size, size)), light, dark)


def stripes(size: int, light: Colour, dark: Colour, seed: int) -> ImageArray:
    """(size, size, 3) slanting stripes; colours in 0..1."""
    rng = np.random.default_rng(seed)
    along, across = rng.integers(-12, 13), rng.integers(8, 17)
    rows, columns = np.mgrid[0:size, 0:size] / size
    return _mixed(np.sin(2 * np.pi * (along * rows + across * columns)) > 0.0, light, dark)


def _mixed(mix: np.ndarray, light: Colour, dark: Colour) -> ImageArray:
    """(H, W, 3) from the light colour where (H, W) `mix` is 0 to the dark one where it is 1."""
    part = np.clip(mix, 0.0, 1.0)[..., None]
    return (np.clip((1 - part) * np.array(light) + part * np.array(dark), 0.0, 1.0) * 255).astype(np.uint8)


def _smooth_rows(noise: np.ndarray, length: int) -> np.ndarray:
    """The noise drawn out along the rows' axis by a running mean that wraps round, at unit variance."""
    total = np.cumsum(np.concatenate([noise, noise[:length]]), axis=0)
    return (total[length:] - total[:-length])[: noise.shape[0]] / np.sqrt(length)
