"""What a suite of the study is."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.study.arms import Arm
from benchmarks.study.cells import Cell


class Suite(ABC):
    """Tasks, demonstrations, policies and episodes.

    Attributes:
        name: Registry name.
        protocol: Version of everything that results depend on; raise it when that changes.
        tasks: Names, in order of priority.
        shifts: Names, ``nominal`` first.
        demos: Numbers of demonstrations, in order of priority.
        arms: In order of priority.
        episodes: Of each policy under each shift.
        batch: Of these, at a time: the whole table at so few comes before any cell gets more.
    """

    name: str
    protocol: int
    tasks: tuple[str, ...]
    shifts: tuple[str, ...]
    demos: tuple[int, ...]
    arms: tuple[str, ...]
    episodes: int
    batch: int

    @abstractmethod
    def prepared(self, task: str, demos: int) -> bool:
        """Whether `prepare` has been done."""

    @abstractmethod
    def prepare(self, task: str, demos: int) -> None:
        """Makes the demonstrations of a task.

        Raises:
            SparkError: They cannot be made.
        """

    @abstractmethod
    def filmed(self, task: str) -> bool:
        """Whether `film` has been done."""

    @abstractmethod
    def film(self, task: str) -> None:
        """Makes the video of a task, for post-training.

        Raises:
            SparkError: It cannot be made.
        """

    @abstractmethod
    def video_folder(self, task: str) -> Path:
        """Where the video of a task lies."""

    @abstractmethod
    def run(self, cell: Cell, arm: Arm, shifts: Sequence[str]) -> tuple[dict[str, list[bool]], dict[str, Any]]:
        """The cell's policy, trained if it is not known yet, in the cell's episodes.

        Returns:
            Success of each episode by shift, and what else is worth keeping, JSON-able.

        Raises:
            SparkError: The simulator, the encoder or the training refuses.
        """
