"""Procedural textures, so that the scene ships no image files."""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import ImageArray


def wood(size: int, light: tuple[float, float, float], dark: tuple[float, float, float], seed: int) -> ImageArray:
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


def _smooth_rows(noise: np.ndarray, length: int) -> np.ndarray:
    """The noise drawn out along the rows' axis by a running mean that wraps round, at unit variance."""
    total = np.cumsum(np.concatenate([noise, noise[:length]]), axis=0)
    return (total[length:] - total[:-length])[: noise.shape[0]] / np.sqrt(length)
