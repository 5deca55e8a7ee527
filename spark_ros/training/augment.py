"""Random changes of camera images that must not change what the robot does."""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import ImageArray
from spark_ros.training.config import AugmentationOptions


def augment(images: ImageArray, options: AugmentationOptions, generator: np.random.Generator) -> ImageArray:
    """Shift and recolour every image on its own.

    Shifts are whole pixels with replicated edges: interpolating would blur, which no camera does when it moves.

    Args:
        images: (N, S, S, 3) uint8, RGB.
        options: How far.
        generator: Source of randomness; equal generators give equal images.

    Returns:
        (N, S, S, 3) uint8.
    """
    changed = np.empty_like(images)
    for image, target in zip(images, changed, strict=True):
        target[...] = _recolour(_shift(image, options.shift, generator), options, generator)
    return changed


def _shift(image: ImageArray, shift: float, generator: np.random.Generator) -> ImageArray:
    limit = round(shift * image.shape[0])
    dx, dy = generator.integers(-limit, limit + 1, size=2)
    padded = np.pad(image, ((limit, limit), (limit, limit), (0, 0)), mode="edge")
    size = image.shape[0]
    return padded[limit + dy : limit + dy + size, limit + dx : limit + dx + size]


def _recolour(image: ImageArray, options: AugmentationOptions, generator: np.random.Generator) -> ImageArray:
    brightness = 1.0 + generator.uniform(-options.brightness, options.brightness)
    contrast = 1.0 + generator.uniform(-options.contrast, options.contrast)
    channels = 1.0 + generator.uniform(-options.colour, options.colour, size=3)
    # contrast about the image's mean grey, then gains; one affine map per channel, so a table of 256 entries does it
    mean = float(image.mean())
    levels = np.arange(256, dtype=np.float32)[:, None]
    table = ((levels - mean) * contrast + mean) * brightness * channels
    table = np.clip(np.rint(table), 0, 255).astype(np.uint8)  # (256, 3)
    return np.stack([table[image[..., channel], channel] for channel in range(3)], axis=-1)
