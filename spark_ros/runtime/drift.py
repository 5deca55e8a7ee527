"""How foreign to the policy is what its cameras show now, one score for every observation."""

from __future__ import annotations

from spark_ros.bundle.drift import DriftStatistics
from spark_ros.contracts import StateFeatures


class DriftMonitor:
    """Gathers the scores of all cameras into one: that of the strangest camera, 1 being the border.

    One score for an observation, not for a frame: who counts scores in a row would otherwise never see two of the one
    camera that is covered.

    Attributes:
        scores: The newest of each camera.
    """

    def __init__(self, statistics: DriftStatistics) -> None:
        self._statistics = statistics
        self.scores: dict[str, float] = {}
        self._new: set[str] = set()

    def add(self, features: StateFeatures) -> float | None:
        """Take note of a frame's features; the observation's score once every camera has shown something new.

        A camera that comes again before the others makes an observation by itself: a silent one must not hide it.

        Raises:
            SparkError: The statistics do not know this camera.
        """
        camera = features.camera
        score = self._statistics.score(camera, features.tokens)
        again = camera in self._new
        self.scores[camera] = score
        self._new.add(camera)
        if not again and len(self._new) < len(self._statistics.cameras):
            return None
        self._new = {camera} if again else set()
        return max(self.scores.values())

    def strangest(self) -> tuple[str, float] | None:
        """The camera with the highest score, and that; None before the first frame."""
        return max(self.scores.items(), key=lambda item: item[1], default=None)
