"""A clip whose pixels say which frame they are of, and which place of the picture they show."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True, eq=False)
class CodedClip:
    """Red grows to the right, green downwards, blue with the number of the frame (less than 60)."""

    name: str
    stamps_s: NDArray[np.float64]
    camera: str = "front"
    side: int = 64
    broken: int | None = None

    object_state = None

    @property
    def fingerprint(self) -> str:
        return f"{self.name}/{self.camera}/{len(self.stamps_s)}"

    @property
    def proprioception(self) -> NDArray[np.float32]:
        return np.stack([self.stamps_s, -self.stamps_s], axis=1).astype(np.float32)

    def image(self, index: int) -> NDArray[np.uint8]:
        if index == self.broken:
            raise RuntimeError(f"frame {index} was asked for")
        image = np.zeros((self.side, self.side, 3), np.uint8)
        image[..., 0] = np.linspace(0, 240, self.side)
        image[..., 1] = np.linspace(0, 240, self.side)[:, None]
        image[..., 2] = 4 * index
        return image

    def images(self) -> Iterator[NDArray[np.uint8]]:
        return (self.image(index) for index in range(len(self.stamps_s)))


def regular(name: str, frames: int, rate: float = 10.0, **changes) -> CodedClip:
    return CodedClip(name, np.arange(frames) / rate, **changes)


def frame_numbers(images) -> NDArray[np.int64]:
    """(B,) of (B, S, S, 3)."""
    return np.rint(np.asarray(images)[..., 2].mean(axis=(1, 2)) / 4).astype(int)


def places(images) -> NDArray[np.float64]:
    """(B, 4): first and last red, first and last green, so where the crop begins and ends."""
    images = np.asarray(images, np.float64)
    red, green = images[..., 0].mean(axis=1), images[..., 1].mean(axis=2)
    return np.stack([red[:, 0], red[:, -1], green[:, 0], green[:, -1]], axis=1)
