"""Statistics of recorded vectors: what policies normalise with, kept as JSON beside them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import FloatArray, SparkError

_QUANTILES = (0.01, 0.50, 0.99)


@dataclass(frozen=True)
class VectorStatistics:
    """Per-dimension statistics of N vectors of A numbers; every array is (A,) float64.

    Attributes:
        mean: Mean.
        std: Standard deviation (of the population).
        minimum: Smallest value.
        maximum: Largest value.
        q01: 1% quantile.
        q50: Median.
        q99: 99% quantile.
        count: N.
    """

    mean: FloatArray
    std: FloatArray
    minimum: FloatArray
    maximum: FloatArray
    q01: FloatArray
    q50: FloatArray
    q99: FloatArray
    count: int

    @classmethod
    def of(cls, values: NDArray[np.floating], valid: NDArray[np.bool_] | None = None) -> VectorStatistics:
        """Statistics over all leading dimensions.

        Args:
            values: (..., A).
            valid: (...) bool, which vectors count; all of them if not given.

        Raises:
            SparkError: No vector counts, or one that does is not finite.
        """
        rows = np.asarray(values, np.float64)
        rows = rows.reshape(-1, rows.shape[-1]) if valid is None else rows[valid]
        if not len(rows):
            raise SparkError("statistics of no data are not possible: record at least one valid step")
        if not np.isfinite(rows).all():
            raise SparkError("the data holds NaN or infinite values, expected finite ones: check the recording")
        q01, q50, q99 = np.quantile(rows, _QUANTILES, axis=0)
        return cls(rows.mean(0), rows.std(0), rows.min(0), rows.max(0), q01, q50, q99, len(rows))

    def to_json(self) -> dict[str, list[float] | int]:
        """The statistics as lists, for `json.dump`."""
        return {
            entry.name: self.count if entry.name == "count" else getattr(self, entry.name).tolist()
            for entry in fields(self)
        }

    @classmethod
    def from_json(cls, values: Mapping[str, object]) -> VectorStatistics:
        """The inverse of `to_json`.

        Raises:
            SparkError: A field is missing.
        """
        names = [entry.name for entry in fields(cls)]
        if missing := [name for name in names if name not in values]:
            raise SparkError(f"statistics lack {', '.join(missing)}, expected {', '.join(names)}")
        arrays: dict[str, Any] = {name: np.asarray(values[name], np.float64) for name in names}
        return cls(**{**arrays, "count": int(arrays["count"])})
