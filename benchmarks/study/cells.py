"""What the study is made of: cells, and the order in which they are worth running.

A cell is one policy of one arm and a batch of its episodes. The order fills the table breadth first: every arm with a
few episodes before any arm gets more, so that a study that is stopped at any time compares arms on equal terms.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product

CHECKPOINTS = ("last", "best")


@dataclass(frozen=True, order=True)
class Cell:
    """One policy and some of its episodes.

    Attributes:
        suite: Name of the suite.
        task: Task of the suite.
        arm: Name in `arms.ARMS`.
        demos: Demonstrations that the policy is trained on.
        seed: Of the policy's training.
        checkpoint: ``last``, or ``best`` of the validation error.
        first: Number of the first episode; the suite makes a seed of it, the same one for every arm.
        episodes: How many, under each shift of the suite.
    """

    suite: str
    task: str
    arm: str
    demos: int
    seed: int
    checkpoint: str
    first: int
    episodes: int

    @property
    def policy(self) -> str:
        """Names the policy's training; both checkpoints come from one."""
        return f"{self.suite}/{self.task}/{self.arm}/demos{self.demos}/seed{self.seed}"

    def __str__(self) -> str:
        last = self.first + self.episodes - 1
        return f"{self.policy} {self.checkpoint}, episodes {self.first} to {last}"


@dataclass(frozen=True)
class SuitePlan:
    """How far to go in one suite.

    Attributes:
        name: Of the suite.
        tasks: In order of priority.
        arms: In order of priority.
        demos: In order of priority.
        seeds: In order of priority.
        batches: Episodes of each policy as (first, count): one batch of every cell comes before the next batch.
        best_episodes: Episodes of the ``best`` checkpoint, from 0; 0 leaves it out.
    """

    name: str
    tasks: Sequence[str]
    arms: Sequence[str]
    demos: Sequence[int]
    seeds: Sequence[int]
    batches: Sequence[tuple[int, int]]
    best_episodes: int = 0


def plan(suites: Iterable[SuitePlan]) -> list[Cell]:
    """All cells of the suites in the order in which to run them.

    Rounds come first: (seed, batch of episodes), then demonstrations; within a round arms by priority, each with all
    its tasks, suites taking turns. The ``best`` checkpoints of a round come at its end.
    """
    ordered: list[tuple[tuple[int, ...], Cell]] = []
    for place, suite in enumerate(suites):
        rounds = [(b, s) for s in range(len(suite.seeds)) for b in range(len(suite.batches))]
        for (d, demos), (a, arm), (t, task), (batch, s) in product(
            enumerate(suite.demos), enumerate(suite.arms), enumerate(suite.tasks), rounds
        ):
            first, count = suite.batches[batch]
            cell = Cell(suite.name, task, arm, demos, suite.seeds[s], "last", first, count)
            ordered.append(((s + batch, s, d, 0, a, t, place), cell))
            if batch == 0 and suite.best_episodes:
                best = replace(cell, checkpoint="best", first=0, episodes=suite.best_episodes)
                ordered.append(((s + batch, s, d, 1, a, t, place), best))
    ordered.sort(key=lambda entry: entry[0])
    return [cell for _, cell in ordered]


def batches(episodes: int, size: int) -> list[tuple[int, int]]:
    """`episodes` in batches of `size`: (first, count) each."""
    return [(first, min(size, episodes - first)) for first in range(0, episodes, size)]


def missing(cell: Cell, done: Mapping[tuple[str, str], set[int]], shifts: Sequence[str]) -> list[str]:
    """Shifts of a cell of which not every episode is known.

    Args:
        cell: The cell.
        done: Known episodes by (`Cell.policy` and checkpoint, shift), see `rows.done`.
        shifts: Of the suite.
    """
    wanted = set(range(cell.first, cell.first + cell.episodes))
    return [shift for shift in shifts if not wanted <= done.get((f"{cell.policy} {cell.checkpoint}", shift), set())]
