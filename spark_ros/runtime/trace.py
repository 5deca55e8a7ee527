"""Where the time goes between a camera and the arm: stamps of stages, sent by each node, joined by the frame's stamp.

Every node stamps what it does with a frame, or with what became of it, on the clock of the stamps, and sends the stamps
under the frame's capture time. Whoever listens joins them: all stages of one observation make a path.
"""

from __future__ import annotations

import json
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spark_ros.contracts import SparkError

CAPTURE = "capture"
STAGES = {
    "received": "the frame has reached perception",
    "preprocessed": "it has waited for the encoder, and is cut and scaled",
    "encoded": "its tokens are there",
    "observed": "the policy has the tokens of all cameras and the joints at their time",
    "policy": "the chunk is computed",
    "gateway": "the gateway has accepted it",
    "command": "the first command along it is sent",
}
"""Stages in their order, and when each is reached."""


@dataclass(frozen=True)
class Stamps:
    """What one node did with one frame, or with an observation that bears its stamp.

    Attributes:
        capture_ns: The frame's stamp.
        reached_ns: When each stage was reached, by a name of `STAGES`; ns on the clock of the stamps.
    """

    capture_ns: int
    reached_ns: Mapping[str, int]

    def to_json(self) -> str:
        """As it travels."""
        return json.dumps({CAPTURE: self.capture_ns, **self.reached_ns})

    @classmethod
    def from_json(cls, text: str) -> Stamps:
        """The inverse of `to_json`; stages of a later version are left out.

        Raises:
            SparkError: The text is something else.
        """
        try:
            values = json.loads(text)
            capture = values.pop(CAPTURE)
            reached = {name: values[name] for name in STAGES if name in values}
            if not all(type(stamp) is int for stamp in (capture, *reached.values())):
                raise ValueError("a stamp is no whole number of nanoseconds")
        except (ValueError, KeyError, AttributeError, TypeError) as error:
            raise SparkError(
                f"a node sends the stages {text[:60]!r} ({error}): run all nodes from the same version of spark_ros"
            ) from error
        return cls(capture, reached)


class PathJoiner:
    """Joins the stamps of several nodes to whole paths, in whatever order they arrive.

    Of two cameras with the same stamp the later one counts: the policy waits for both.
    """

    def __init__(self, pending: int = 200) -> None:
        """Keeps so many frames that have not led to a command; most never will, where cameras outrun the policy."""
        self._reached: dict[int, dict[str, int]] = {}
        self._pending = pending

    def add(self, stamps: Stamps) -> Stamps | None:
        """Take in what a node sent; the whole path as soon as every stage of it is known, else None."""
        known = self._reached.setdefault(stamps.capture_ns, {})
        for name, reached in stamps.reached_ns.items():
            known[name] = max(reached, known.get(name, reached))
        while len(self._reached) > self._pending:
            del self._reached[next(iter(self._reached))]
        if len(known) < len(STAGES):
            return None
        return Stamps(stamps.capture_ns, self._reached.pop(stamps.capture_ns))


class PathWindow:
    """The last paths, and how long each part of them took.

    Attributes:
        paths: The last ones.
    """

    def __init__(self, size: int = 100_000) -> None:
        self.paths: deque[Stamps] = deque(maxlen=size)

    def table(self) -> dict[str, dict[str, float]]:
        """Milliseconds p50, p95, p99 and max, by stage from the one before it, and ``total``; empty without paths."""
        if not self.paths:
            return {}
        parts = durations_ms(self.paths)
        columns = {name: parts[:, i] for i, name in enumerate(STAGES)} | {"total": parts.sum(axis=1)}
        return {
            name: dict(
                zip(("p50", "p95", "p99", "max"), np.quantile(values, (0.5, 0.95, 0.99, 1.0)).tolist(), strict=True)
            )
            for name, values in columns.items()
        }


def durations_ms(paths: Sequence[Stamps] | deque[Stamps]) -> np.ndarray[Any, np.dtype[np.float64]]:
    """(N, stages) milliseconds from the stage before each, in the order of `STAGES`; the first from the capture."""
    reached = np.array([[path.capture_ns, *(path.reached_ns[name] for name in STAGES)] for path in paths], np.int64)
    return np.diff(reached, axis=1) * 1e-6
