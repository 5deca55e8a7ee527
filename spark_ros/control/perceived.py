"""Whether what a policy looks at is still of this world: images that stand still, and a score that says how foreign.

Freshness is judged elsewhere (`watchdog`, `chunk_check`): a camera that sends its last picture for ever is never late.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_ros.contracts import FloatArray


@dataclass
class _Still:
    """Since when a source repeats itself."""

    digest: int
    since: FloatArray
    frames: int = 1


class FrozenImages:
    """Notices a source whose images are identical while the arm moves.

    Only then: in a simulation, or behind a driver that drops sensor noise, images of a still scene are rightly equal.
    """

    def __init__(self, frames: int, motion_rad: float) -> None:
        """Counts a source as frozen after so many identical images in a row and so much motion of a joint, rad."""
        self._frames = frames
        self._motion_rad = motion_rad
        self._sources: dict[str, _Still] = {}

    def clear(self) -> None:
        """Forgets every source."""
        self._sources.clear()

    def feed(self, source: str, digest: int, position: FloatArray) -> str | None:
        """Takes note of an image.

        Args:
            source: Where it comes from, e.g. a topic.
            digest: Equal for equal images.
            position: (J,) rad where the arm is.

        Returns:
            A sentence where the source is frozen, else None.
        """
        still = self._sources.get(source)
        if still is None or still.digest != digest:
            self._sources[source] = _Still(digest, position)
            return None
        still.frames += 1
        moved = float(np.abs(position - still.since).max())
        if still.frames < self._frames or moved < self._motion_rad:
            return None
        return (
            f"{source} is frozen: {still.frames} identical images while a joint moved {moved:.2f} rad; "
            "restart the camera's driver"
        )


class Drift:
    """Notices that a drift score stays above its limit, until it stays below; single outliers pass."""

    def __init__(self, limit: float | None, reports: int) -> None:
        """Complains after `reports` scores in a row above `limit`, until as many in a row are not; never for None."""
        self._limit = limit
        self._reports = reports
        self.clear()

    def clear(self) -> None:
        """Starts counting afresh."""
        self._foreign = False
        self._against = 0  # scores in a row that speak against what is believed

    def feed(self, score: float) -> str | None:
        """Takes note of a score, higher for stranger; a sentence while what is seen counts as foreign, else None."""
        if self._limit is None:
            return None
        above = not score <= self._limit  # NaN is
        self._against = self._against + 1 if above is not self._foreign else 0
        if self._against >= self._reports:
            self._foreign, self._against = above, 0
        if not self._foreign:
            return None
        return (
            f"what the policy sees is foreign to it: drift {score:.3g}, the limit is {self._limit:.3g}, crossed "
            f"{self._reports} times in a row; check cameras, light and scene, or raise drift_limit"
        )
