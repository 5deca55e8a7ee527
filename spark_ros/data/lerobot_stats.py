"""Statistics as a LeRobotDataset carries them: of every episode, and of all of them together.

Unlike LeRobot's own, which sample frames and approximate quantiles, these count every value: pixels have 256 values, so
a histogram holds all there is to know of them, and vectors are few enough to keep.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import ImageArray

QUANTILES = {"q01": 0.01, "q10": 0.10, "q50": 0.50, "q90": 0.90, "q99": 0.99}
Statistics = dict[str, Any]  # lists that JSON and parquet can hold, by name


def vector_statistics(values: NDArray[Any]) -> Statistics:
    """Of (T, A) numbers or truth values, for each of the A.

    A whole number stays one in ``min`` and ``max``: a stamp in nanoseconds has more digits than a float.
    """
    numbers = values.astype(np.float64)
    quantiles = np.quantile(numbers, list(QUANTILES.values()), axis=0)
    exact = values if values.dtype == np.int64 else numbers
    return {
        "min": exact.min(axis=0).tolist(),
        "max": exact.max(axis=0).tolist(),
        "mean": numbers.mean(axis=0).tolist(),
        "std": numbers.std(axis=0).tolist(),
        "count": [len(values)],
        **{name: row.tolist() for name, row in zip(QUANTILES, quantiles, strict=True)},
    }


class PixelCounts:
    """How often each channel of a camera had each of its 256 values.

    Attributes:
        frames: Frames counted.
    """

    def __init__(self) -> None:
        self.frames = 0
        self._counts = np.zeros((3, 256), np.int64)

    def add(self, image: ImageArray) -> None:
        """Count a frame, (H, W, 3)."""
        self.frames += 1
        for channel in range(3):
            self._counts[channel] += np.bincount(image[..., channel].reshape(-1), minlength=256)

    def add_all(self, others: Sequence[PixelCounts]) -> PixelCounts:
        """These and what others counted; returns itself."""
        for other in others:
            self.frames += other.frames
            self._counts += other._counts
        return self

    def statistics(self) -> Statistics:
        """For each channel, shaped (3, 1, 1), of pixels between 0 and 1."""
        levels = np.arange(256) / 255.0
        total = self._counts.sum(axis=1, keepdims=True)
        mean = (self._counts * levels).sum(axis=1, keepdims=True) / total
        variance = (self._counts * (levels - mean) ** 2).sum(axis=1, keepdims=True) / total
        shares = np.cumsum(self._counts, axis=1) / total
        found: dict[str, NDArray[np.float64]] = {
            "min": levels[(self._counts > 0).argmax(axis=1)],
            "max": levels[255 - (self._counts[:, ::-1] > 0).argmax(axis=1)],
            "mean": mean,
            "std": np.sqrt(variance),
            **{name: levels[(shares >= share).argmax(axis=1)] for name, share in QUANTILES.items()},
        }
        return {**{name: row.reshape(3, 1, 1).tolist() for name, row in found.items()}, "count": [self.frames]}


def flat(statistics: Mapping[str, Statistics]) -> dict[str, Any]:
    """The statistics of one episode as the columns ``stats/<feature>/<name>`` of meta/episodes."""
    return {f"stats/{key}/{name}": value for key, values in statistics.items() for name, value in values.items()}
