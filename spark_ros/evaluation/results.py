"""What came of each episode, kept line by line so that whatever ends an evaluation costs one episode at most."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spark_ros.contracts import SparkError
from spark_ros.evaluation.statistics import percentiles, wilson95

RESULTS_FILE = "episodes.jsonl"
_VERSION = 1


@dataclass(frozen=True)
class EpisodeResult:
    """One episode.

    Attributes:
        seed: Of the world.
        success: Whether the task was done in time.
        duration_s: Task time until success, or until the episode was over.
        ending: Why it ended, in words.
        latency_ms: One number per chunk, see the evaluation's `latency_of`.
        interval_ms: Times between consecutive chunks that the arm came to follow.
        video: Name of the video's file, empty without one.
    """

    seed: int
    success: bool
    duration_s: float
    ending: str
    latency_ms: tuple[float, ...] = ()
    interval_ms: tuple[float, ...] = ()
    video: str = ""


class EpisodeLog:
    """The results of one evaluation in `RESULTS_FILE`: a line that says what is evaluated, then one per episode.

    Attributes:
        results: What is known, by seed.
    """

    def __init__(self, folder: Path, setup: Mapping[str, Any]) -> None:
        """Opens the log, or begins one.

        Args:
            folder: Made if need be.
            setup: JSON-able; whatever must be the same for results to be comparable.

        Raises:
            SparkError: The folder holds the results of another setup, or cannot be written.
        """
        self._path = folder / RESULTS_FILE
        self.results: dict[int, EpisodeResult] = {}
        header = json.dumps({"version": _VERSION, **setup}, sort_keys=True)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            *whole, torn = self._path.read_bytes().split(b"\n") if self._path.exists() else [b""]
            if not whole:
                self._path.write_text(header + "\n", encoding="utf-8")
                return
            if torn:  # killed while writing: forget that line
                os.truncate(self._path, self._path.stat().st_size - len(torn))
        except OSError as error:
            raise SparkError(f"cannot write to {folder}: {error.strerror}; choose another folder") from error
        self._read(whole, header)

    def add(self, result: EpisodeResult) -> None:
        """Keeps a result, on the disk too before this returns.

        Raises:
            SparkError: The disk is full.
        """
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(asdict(result)) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise SparkError(f"cannot write {self._path}: {error.strerror}; make room and run again") from error
        self.results[result.seed] = result

    def _read(self, lines: Sequence[bytes], header: str) -> None:
        try:
            found = json.loads(lines[0])
            for line in lines[1:]:
                values = json.loads(line)
                for name in ("latency_ms", "interval_ms"):
                    values[name] = tuple(values[name])
                self.results[values["seed"]] = EpisodeResult(**values)
        except (ValueError, KeyError, TypeError) as error:
            raise SparkError(f"{self._path} is damaged ({error}): delete it or choose another folder") from error
        wanted = json.loads(header)
        for key in sorted({*found, *wanted}):
            if found.get(key) != wanted.get(key):
                raise SparkError(
                    f"{self._path} holds results with {key} {found.get(key)}, this evaluation has {wanted.get(key)}: "
                    "choose another folder with --out, or delete that file"
                )


def summary(results: Sequence[EpisodeResult]) -> dict[str, Any]:
    """The figures of an evaluation, JSON-able: rates as parts of 1, times in milliseconds."""
    successes = [result for result in results if result.success]
    low, high = wilson95(len(successes), len(results))
    durations = percentiles(result.duration_s for result in successes)
    return {
        "success_rate": round(len(successes) / len(results), 4) if results else 0.0,
        "wilson95": [round(low, 4), round(high, 4)],
        "episodes": len(results),
        "successes": len(successes),
        "latency_ms": _rounded(percentiles(value for result in results for value in result.latency_ms)),
        "interval_ms": _rounded(percentiles(value for result in results for value in result.interval_ms)),
        "time_to_success_s": _rounded(durations),
    }


def _rounded(values: Mapping[str, float] | None) -> dict[str, float] | None:
    return None if values is None else {name: round(value, 2) for name, value in values.items()}
