"""A clip of which everything is known."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray


@dataclass(frozen=True)
class MovingSpot:
    """A clip whose every image says in its mean colour where the spot is."""

    seed: int
    camera: str = "front"
    side: int = 56
    length: int = 30

    @property
    def name(self) -> str:
        return f"spot {self.seed}"

    @property
    def fingerprint(self) -> str:
        return self.name

    @property
    def stamps_s(self) -> NDArray[np.float64]:
        return np.arange(self.length) / 10.0

    @property
    def _path(self) -> NDArray[np.float64]:
        begin, end = np.random.default_rng(self.seed).uniform(0.1, 0.9, (2, 3))
        return begin + (end - begin) * np.linspace(0.0, 1.0, self.length)[:, None] ** 2

    @property
    def object_state(self) -> dict[str, NDArray[np.float64]]:
        return {"cube_position": self._path, "shelf_position": np.zeros((self.length, 3))}

    proprioception = None

    def image(self, index: int) -> NDArray[np.uint8]:
        flat = np.broadcast_to(255.0 * self._path[index], (self.side, self.side, 3))
        return (flat + np.random.default_rng([self.seed, index]).uniform(0.0, 1.0, flat.shape)).astype(np.uint8)
