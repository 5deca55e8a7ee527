"""Demonstrations of a MetaWorld task as arrays: read once, so that every arm pays for its encoding alone."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import numpy as np

from benchmarks.metaworld.demos import load_demos
from benchmarks.study.imitation import Examples
from spark_ros.encoders.base import Encoder
from spark_ros.training.features import encode, fingerprint, save_atomically

CAMERA = "camera"
_NAMES = ("proprioception", "action", "episode")


class MetaWorldData:
    """The demonstrations of one task, and what encoders make of them.

    Args:
        work: The study's folder.
        task: Name of the task.
    """

    def __init__(self, work: Path, task: str) -> None:
        self._task = task
        self._arrays = work / "metaworld5" / task

    def ready(self, count: int) -> bool:
        """Whether `prepare` has been done for so many demonstrations."""
        return (self._arrays / f"{count}" / "images.npy").exists()

    def prepare(self, count: int) -> None:
        """Has the scripted expert give `count` demonstrations and lays them out as arrays.

        Raises:
            SparkError: MetaWorld cannot be installed or started, or the disk is full.
        """
        demos = load_demos(self._task, count)
        folder = self._arrays / f"{count}"
        numbers = np.repeat(np.arange(len(demos)), [len(demo.actions) for demo in demos])
        save_atomically(folder / "proprioception.npy", np.concatenate([demo.proprioception for demo in demos]))
        save_atomically(folder / "action.npy", np.concatenate([demo.actions for demo in demos])[:, None])
        save_atomically(folder / "episode.npy", numbers)
        save_atomically(folder / "images.npy", np.concatenate([demo.images for demo in demos]))  # last: all is there

    def examples(self, count: int, encoder: Encoder | None, history: int) -> Examples:
        """The steps of the demonstrations with an encoder's tokens, (N, 1, history, D); zeros without an encoder."""
        folder = self._arrays / f"{count}"
        proprioception, action, episode = (np.load(folder / f"{name}.npy") for name in _NAMES)
        valid = np.ones(action.shape[:2], bool)
        if encoder is None:
            return Examples(np.zeros((len(episode), 1, 1, 1), np.float16), proprioception, action, valid, episode)
        path = folder / f"tokens-{fingerprint(encoder)[:32]}.npy"
        if not path.exists():
            save_atomically(path, encode(encoder, np.load(folder / "images.npy")))
        state = np.load(path).astype(np.float32)  # (N, 1, D)
        begins = np.searchsorted(episode, episode)  # of each step's demonstration
        steps = np.arange(len(episode))
        frames = [state[np.maximum(steps - back, begins)] for back in range(history - 1, -1, -1)]
        return Examples(fuse(frames).astype(np.float16), proprioception, action, valid, episode)


def fuse(frames: Sequence[np.ndarray]) -> np.ndarray:
    """States of successive frames as CortexBench gives them to its policies: differences, then the newest.

    After FLARE (Shang et al., arXiv:2101.01857): motion is laid out instead of left to be found.

    Args:
        frames: (N, 1, D) each, the newest last.

    Returns:
        (N, 1, len(frames), D) float32, one camera.
    """
    differences = [later - earlier for earlier, later in pairwise(frames)]
    return np.stack([state[:, 0] for state in (*differences, frames[-1])], axis=1)[:, None].astype(np.float32)
