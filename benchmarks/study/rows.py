"""The study's results: a file of lines, one per batch of episodes, that is only ever appended to.

Rows of several days, commits and machines lie side by side. What may be put together is decided when reading: rows of
the present protocol, and of an arm only those with its newest encoder.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from benchmarks.study.cells import Cell
from spark_ros.contracts import SparkError


@dataclass(frozen=True)
class Row:
    """Some episodes of one policy under one shift.

    Attributes:
        suite: Name of the suite.
        protocol: The suite's version; rows of different versions are never put together.
        task: Task.
        arm: Arm.
        demos: Demonstrations that the policy was trained on.
        seed: Of the policy's training.
        checkpoint: ``last`` or ``best``.
        shift: What the scene was changed in, ``nominal`` for nothing.
        first: Number of the first episode.
        success: One per episode.
        encoder_sha256: Of the weights, empty where the arm has none.
        commit: Of the program.
        created: When, UTC.
        seconds: What the episodes took, wall clock.
        extra: What else is worth keeping: steps, validation errors.
    """

    suite: str
    protocol: int
    task: str
    arm: str
    demos: int
    seed: int
    checkpoint: str
    shift: str
    first: int
    success: tuple[bool, ...]
    encoder_sha256: str
    commit: str
    created: str
    seconds: float
    extra: Mapping[str, Any]

    @property
    def policy(self) -> str:
        """As `Cell.policy`, with the checkpoint."""
        cell = Cell(self.suite, self.task, self.arm, self.demos, self.seed, self.checkpoint, self.first, 0)
        return f"{cell.policy} {self.checkpoint}"

    @property
    def episodes(self) -> range:
        """Numbers of the episodes."""
        return range(self.first, self.first + len(self.success))


class RowFile:
    """Appends rows, each whole or not at all.

    Args:
        path: The file; made when needed.
    """

    def __init__(self, path: Path) -> None:
        self.path = path

    def read(self) -> list[Row]:
        """All whole rows; a last line without its end was being written when the program was killed.

        Raises:
            SparkError: A line is no row.
        """
        if not self.path.exists():
            return []
        rows = []
        for number, line in enumerate(self.path.read_text(encoding="utf-8").split("\n")[:-1], start=1):
            try:
                values = json.loads(line)
                row = Row(**{**values, "success": tuple(bool(value) for value in values["success"])})
            except (ValueError, TypeError, KeyError) as error:
                raise SparkError(f"{self.path} line {number} is no row ({error}): remove the line") from error
            rows.append(row)
        return rows

    def append(self, rows: Iterable[Row]) -> None:
        """Adds rows, on the disk before this returns; two programs may append at a time.

        Raises:
            SparkError: The disk is full.
        """
        text = "".join(
            json.dumps({**asdict(row), "success": [int(value) for value in row.success]}) + "\n" for row in rows
        )
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            with self.path.open("r+b" if self.path.exists() else "w+b") as stream:
                fcntl.flock(stream, fcntl.LOCK_EX)
                whole = stream.read().rfind(b"\n") + 1
                stream.truncate(whole)  # a torn line must not swallow the next one
                stream.seek(whole)
                stream.write(text.encode())
                stream.flush()
                os.fsync(stream.fileno())
        except OSError as error:
            raise SparkError(f"cannot write {self.path}: {error.strerror}; make room and run again") from error


def current(rows: Sequence[Row], protocols: Mapping[str, int]) -> list[Row]:
    """The rows that may be put together: of the present protocol, with the newest encoder of each arm and suite."""
    newest = {(row.suite, row.arm): row.encoder_sha256 for row in rows if row.protocol == protocols.get(row.suite)}
    return [
        row
        for row in rows
        if row.protocol == protocols.get(row.suite) and row.encoder_sha256 == newest[row.suite, row.arm]
    ]


def done(
    rows: Iterable[Row], suite: str, protocol: int, arm: str, encoder_sha256: str
) -> dict[tuple[str, str], set[int]]:
    """Episodes that are known of an arm with this encoder: by (policy and checkpoint, shift) their numbers."""
    known: dict[tuple[str, str], set[int]] = {}
    for row in rows:
        if (row.suite, row.protocol, row.arm, row.encoder_sha256) == (suite, protocol, arm, encoder_sha256):
            known.setdefault((row.policy, row.shift), set()).update(row.episodes)
    return known
