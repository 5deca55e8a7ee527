"""How far what a camera shows lies from what the policy was trained on.

The score of a frame is the Mahalanobis distance of its mean token to the mean tokens of the training, under their
covariance shrunk by Ledoit and Wolf, over the camera's limit: 1 is the border, whatever the encoder. The score of an
observation is that of its strangest camera. `drift_fit` computes the statistics; nothing here needs torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spark_ros.bundle.scan_arrays import UNREADABLE
from spark_ros.contracts import FloatArray, SparkError, TokenArray


@dataclass(frozen=True)
class CameraDrift:
    """What is usual for one camera.

    Attributes:
        mean: (D,) of the mean tokens.
        whitening: (D, D); differences from the mean times its transpose have unit covariance.
        limit: Distance at the border.
    """

    mean: NDArray[np.float32]
    whitening: NDArray[np.float32]
    limit: float

    def distance(self, tokens: TokenArray) -> FloatArray:
        """Of the tokens (..., K, D) of frames, (...); not finite where they are not."""
        return np.linalg.norm((tokens.mean(axis=-2) - self.mean) @ self.whitening.T, axis=-1)


@dataclass(frozen=True)
class DriftStatistics:
    """What is usual for all cameras of a bundle.

    Attributes:
        cameras: By name.
        false_alarm_rate: A nominal episode raises an alarm with at most this probability.
        alarm_after: So many observations in a row above 1 are an alarm.
        fit_episodes: Episodes the means and covariances come from.
        held_out_episodes: Other episodes, which the limits come from.
    """

    cameras: Mapping[str, CameraDrift]
    false_alarm_rate: float
    alarm_after: int
    fit_episodes: int
    held_out_episodes: int

    def score(self, camera: str, tokens: TokenArray) -> float:
        """Of one frame's tokens (K, D): 0 is the mean of the training, 1 the border.

        Raises:
            SparkError: There are no statistics of this camera, or they are for tokens of another size.
        """
        known = self.cameras.get(camera)
        if known is None or tokens.shape[-1] != len(known.mean):
            raise SparkError(
                f"the bundle has no drift statistics for camera {camera} with tokens of {tokens.shape[-1]} channels: "
                "compute them again with `spark-ros bundle drift`"
            )
        return float(known.distance(tokens)) / known.limit


_NUMBERS = ("false_alarm_rate", "alarm_after", "fit_episodes", "held_out_episodes")


def write_drift(path: Path, statistics: DriftStatistics) -> None:
    """Write an ``.npz`` of plain arrays."""
    arrays: dict[str, NDArray[np.generic]] = {name: np.array(getattr(statistics, name)) for name in _NUMBERS}
    for camera, entry in statistics.cameras.items():
        arrays[f"mean/{camera}"] = entry.mean
        arrays[f"whitening/{camera}"] = entry.whitening
        arrays[f"limit/{camera}"] = np.array(entry.limit)
    with path.open("wb") as file:
        np.savez(file, **arrays)  # type: ignore[arg-type]


def read_drift(path: Path, cameras: tuple[str, ...]) -> DriftStatistics:
    """The inverse of `write_drift`; nothing in the file is ever executed.

    Raises:
        SparkError: An array is missing, has another shape, or the file is damaged.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            entries = {camera: _entry(file, camera) for camera in cameras}
            rate, *counts = (file[name].item() for name in _NUMBERS)
            return DriftStatistics(entries, float(rate), *(int(count) for count in counts))
    except (*UNREADABLE, OSError) as error:
        raise SparkError(
            f"{path} holds no readable drift statistics ({error}): compute them again with `spark-ros bundle drift`"
        ) from error


def _entry(file: Mapping[str, NDArray[np.float32]], camera: str) -> CameraDrift:
    mean, whitening, limit = file[f"mean/{camera}"], file[f"whitening/{camera}"], file[f"limit/{camera}"].item()
    if mean.ndim != 1 or whitening.shape != (len(mean), len(mean)) or not limit > 0:
        raise ValueError(f"camera {camera} has a mean {mean.shape}, a whitening {whitening.shape}, a limit {limit}")
    return CameraDrift(mean, whitening, float(limit))
