"""Which samples make up the batch of a step: a function of the seed and the step's number alone.

A run that was killed therefore continues with exactly the batches it would have seen, without any state to restore.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spark_ros.contracts import SparkError
from spark_ros.data.samples import EpisodeSamples
from spark_ros.training.features import Tokens


@dataclass(frozen=True)
class Batch:
    """Samples in physical units.

    Attributes:
        tokens: (B, C, K, D) float32.
        proprioception: (B, P) float32.
        action: (B, H, A) float32.
        valid: (B, H) bool.
        episode: (B,) number of each sample's episode in its `SampleSet`.
    """

    tokens: Tensor
    proprioception: Tensor
    action: Tensor
    valid: Tensor
    episode: NDArray[np.int64]


class SampleSet:
    """All samples of some episodes that have at least one step to imitate.

    Args:
        episodes: The episodes.
        tokens: Per episode its versions, each (T, C, K, D).

    Attributes:
        names: File name of each episode.
        proprioception: (N, P).
        action: (N, H, A).
        valid: (N, H).

    Raises:
        SparkError: A sample holds something not finite, or nothing is left.
    """

    def __init__(self, episodes: Sequence[EpisodeSamples], tokens: Sequence[Sequence[Tokens]]) -> None:
        self.names = [episode.entry.file for episode in episodes]
        for episode in episodes:
            for what in ("proprioception", "action"):
                if not np.isfinite(getattr(episode, what)).all():
                    raise SparkError(f"{episode.entry.file} has values that are not finite in {what}: record it again")
        kept = [np.flatnonzero(episode.valid[:, 0]) for episode in episodes]
        self._tokens = tokens
        self._episode = np.repeat(np.arange(len(episodes)), [len(rows) for rows in kept])
        self._row = np.concatenate([np.zeros(0, np.int64), *kept])
        if not len(self._row):
            raise SparkError(
                f"{', '.join(self.names) or 'the selection'} holds no step to imitate: "
                "record demonstrations with the deadman held and not marked as a disturbance"
            )
        self.proprioception = np.concatenate([e.proprioception[rows] for e, rows in zip(episodes, kept, strict=True)])
        self.action = np.concatenate([e.action[rows] for e, rows in zip(episodes, kept, strict=True)])
        self.valid = np.concatenate([e.valid[rows] for e, rows in zip(episodes, kept, strict=True)])

    def __len__(self) -> int:
        return len(self._row)

    def batch(self, samples: NDArray[np.int64], generator: np.random.Generator | None = None) -> Batch:
        """These samples, each in a version drawn by `generator`; as recorded if there is none."""
        first = self._tokens[0][0]
        tokens = np.empty((len(samples), *first.shape[1:]), first.dtype)
        draws = np.zeros(len(samples)) if generator is None else generator.random(len(samples))
        for place, (sample, draw) in enumerate(zip(samples, draws, strict=True)):
            versions = self._tokens[self._episode[sample]]
            tokens[place] = versions[int(draw * len(versions))][self._row[sample]]
        return Batch(
            torch.from_numpy(tokens).float(),
            torch.from_numpy(self.proprioception[samples]),
            torch.from_numpy(self.action[samples]),
            torch.from_numpy(self.valid[samples]),
            self._episode[samples],
        )

    def all(self, size: int) -> Iterator[Batch]:
        """Every sample once, as recorded, in order."""
        for start in range(0, len(self), size):
            yield self.batch(np.arange(start, min(start + size, len(self))))

    def training_batches(self, size: int, seed: int, first: int, end: int) -> Iterator[Batch]:
        """The batches of steps `first` to `end` - 1: every epoch is a new permutation, its remainder is dropped.

        The next batch is gathered in a thread while the caller works on this one.
        """
        size = min(size, len(self))
        with ThreadPoolExecutor(1) as pool:
            upcoming = pool.submit(self._training_batch, size, seed, first)
            for step in range(first, end):
                batch = upcoming.result()
                if step + 1 < end:
                    upcoming = pool.submit(self._training_batch, size, seed, step + 1)
                yield batch

    def _training_batch(self, size: int, seed: int, step: int) -> Batch:
        per_epoch = len(self) // size
        epoch, place = divmod(step, per_epoch)
        order = np.random.default_rng([seed, 0, epoch]).permutation(len(self))
        return self.batch(order[place * size : (place + 1) * size], np.random.default_rng([seed, 1, step]))
