"""What came of each episode, kept line by line so that whatever ends an evaluation costs one episode at most."""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spark_ros.contracts import SparkError
from spark_ros.evaluation.statistics import percentiles, wilson95

RESULTS_FILE = "episodes.jsonl"
SUCCESS, TIME_IS_UP = "success", "time is up"  # endings; every other one is the gateway's or the policy's reason
_VERSION = 1
_FINISHED = {"finished": True}


@dataclass(frozen=True)
class EpisodeResult:
    """One episode.

    Attributes:
        seed: Of the world.
        success: Whether the task was done in time.
        duration_s: Task time until success, or until the episode was over.
        ending: Why it ended, in words.
        speed: Simulated seconds per second of the clock on the wall, 1 where the simulator keeps up with real time.
        latency_ms: One number per chunk, see the evaluation's `latency_of`.
        interval_ms: Times between consecutive chunks that the arm came to follow.
        video: Name of the video's file, empty without one.
    """

    seed: int
    success: bool
    duration_s: float
    ending: str
    speed: float
    latency_ms: tuple[float, ...] = ()
    interval_ms: tuple[float, ...] = ()
    video: str = ""


class EpisodeLog:
    """The results of one evaluation in `RESULTS_FILE`: a line that says what is evaluated, then one per episode.

    An evaluation that was interrupted is continued. One that is finished, or of something else, is put aside as
    ``episodes.old.jsonl`` and a new one begins, so that nobody takes old results for new ones. A context manager: while
    it is open no other process evaluates into the folder.

    Attributes:
        results: What is known, by seed.
    """

    def __init__(self, folder: Path, setup: Mapping[str, Any]) -> None:
        """Opens the log, or begins one.

        Args:
            folder: Made if need be.
            setup: JSON-able; whatever must be the same for results to belong together.

        Raises:
            SparkError: The folder cannot be written, another process evaluates into it, or the log in it is damaged.
        """
        self._path = folder / RESULTS_FILE
        self.results: dict[int, EpisodeResult] = {}
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self._lock = os.open(folder / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise SparkError(f"cannot write to {folder}: {error.strerror}; choose another folder") from error
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._open(json.loads(json.dumps({"version": _VERSION, **setup})))
        except BaseException as error:
            os.close(self._lock)
            if isinstance(error, BlockingIOError):
                raise SparkError(f"another evaluation is writing to {folder}: choose another folder") from None
            if isinstance(error, OSError):
                raise SparkError(f"cannot write to {folder}: {error.strerror}; choose another folder") from error
            raise

    def __enter__(self) -> EpisodeLog:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self._lock)

    def add(self, result: EpisodeResult) -> None:
        """Keeps a result, on the disk too before this returns.

        Raises:
            SparkError: The disk is full.
        """
        self._append(asdict(result))
        self.results[result.seed] = result

    def tally(self) -> str:
        """How it stands, in a few words."""
        return f"{sum(result.success for result in self.results.values())} of {len(self.results)} succeeded"

    def finish(self) -> None:
        """Marks the evaluation as finished.

        Raises:
            SparkError: The disk is full.
        """
        self._append(_FINISHED)

    def _open(self, header: Mapping[str, Any]) -> None:
        lines, torn = self._lines()
        if lines and lines[0] == header and lines[-1] != _FINISHED:
            os.truncate(self._path, self._path.stat().st_size - torn)
            self.results = {result.seed: result for result in map(self._result, lines[1:])}
            return
        if lines:
            os.replace(self._path, self._path.with_suffix(".old.jsonl"))
        self._path.write_text(json.dumps(header) + "\n", encoding="utf-8")

    def _append(self, line: Mapping[str, Any]) -> None:
        try:
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps(line) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise SparkError(f"cannot write {self._path}: {error.strerror}; make room and run again") from error

    def _lines(self) -> tuple[list[Any], int]:
        """The whole lines, and how many bytes of a torn one follow: it was being written when the process died."""
        if not self._path.exists():
            return [], 0
        *whole, torn = self._path.read_bytes().split(b"\n")
        try:
            return [json.loads(line) for line in whole], len(torn)
        except ValueError as error:
            raise self._damaged(error) from error

    def _result(self, values: dict[str, Any]) -> EpisodeResult:
        try:
            for name in ("latency_ms", "interval_ms"):
                values[name] = tuple(values[name])
            return EpisodeResult(**values)
        except (KeyError, TypeError) as error:
            raise self._damaged(error) from error

    def _damaged(self, error: Exception) -> SparkError:
        return SparkError(f"{self._path} is damaged ({error}): delete it or choose another folder")


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
