"""Frames that say in their pixels which one they are; also for programs in LeRobot's environment: numpy alone."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

WIDTH, HEIGHT, BITS = 64, 48, 8


def barcode(number: int, camera: int = 0) -> NDArray[np.uint8]:
    """(48, 64, 3) RGB: eight stripes, a bright one for each bit that is set; the last rows tell the camera."""
    image = np.full((HEIGHT, WIDTH, 3), 40, np.uint8)
    for bit in range(BITS):
        if number >> bit & 1:
            image[:, 8 * bit : 8 * bit + 8] = 220
    image[40:] = 220 if camera else 40
    return image


def read_barcode(image: NDArray[np.uint8]) -> tuple[int, int]:
    """Number and camera of an image (48, 64, 3)."""
    bits = [int(image[:36, 8 * bit + 2 : 8 * bit + 6].mean() > 128) << bit for bit in range(BITS)]
    return sum(bits), int(image[42:46].mean() > 128)
