"""`PolicySamples` and their encoder tokens as a torch dataset. The only file of this room that imports torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch.utils.data import Dataset

from spark_ros.contracts import SparkError
from spark_ros.data.samples import PolicySamples


class PolicyDataset(Dataset[dict[str, torch.Tensor]]):
    """Every sample with at least one step to imitate.

    An item is ``tokens`` (C, K, D) in the tokens' own precision, ``proprioception`` (P,) float32, ``action`` (H, A)
    float32 and ``valid`` (H,) bool.

    Args:
        samples: The samples.
        tokens: Per episode a (V, T, C, K, D) array (or memory map): V versions of the images (the recorded one first,
            then augmented ones), cameras in the order of `samples`. An item takes a random version, drawn from
            torch's generator so that a seeded run repeats.

    Raises:
        SparkError: The tokens do not belong to the samples, or nothing is to be imitated.
    """

    def __init__(self, samples: PolicySamples, tokens: Sequence[NDArray[np.floating]]) -> None:
        if len(tokens) != len(samples.episodes):
            raise SparkError(
                f"tokens of {len(tokens)} episodes for {len(samples.episodes)} episodes: rebuild the cache"
            )
        for episode, array in zip(samples.episodes, tokens, strict=True):
            if array.ndim != 5 or array.shape[1:3] != (len(episode), len(samples.cameras)):
                raise SparkError(
                    f"tokens of {episode.entry.file} have shape {array.shape}, expected "
                    f"(versions, {len(episode)}, {len(samples.cameras)}, tokens, channels): rebuild the cache"
                )
        self._samples = samples
        self._tokens = tokens
        self._where = [
            (number, int(sample))
            for number, episode in enumerate(samples.episodes)
            for sample in np.flatnonzero(episode.valid[:, 0])
        ]
        if not self._where:
            raise SparkError("no sample has a step to imitate: every demonstration was marked as not for imitation")

    def __len__(self) -> int:
        return len(self._where)

    def __getitem__(self, index: int) -> dict[str, torch.Tensor]:
        number, sample = self._where[index]
        episode, tokens = self._samples.episodes[number], self._tokens[number]
        version = int(torch.randint(len(tokens), ())) if len(tokens) > 1 else 0
        return {
            "tokens": torch.from_numpy(np.array(tokens[version, sample])),
            "proprioception": torch.from_numpy(episode.proprioception[sample]),
            "action": torch.from_numpy(episode.action[sample]),
            "valid": torch.from_numpy(episode.valid[sample]),
        }
