"""Suite metaworld5: the five MetaWorld tasks of CortexBench, a policy each, from few demonstrations."""

from __future__ import annotations

import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.metaworld.rollouts import MetaWorldEnvs
from benchmarks.metaworld.tasks import EVALUATION_SEEDS, IMAGE_SIZE, TASKS
from benchmarks.metaworld.videos import record_videos, video_folder
from benchmarks.study.arms import Arm, lighten, make_encoder
from benchmarks.study.cells import Cell
from benchmarks.study.imitation import Imitated, ImitationOptions, imitate
from benchmarks.study.metaworld_data import CAMERA, MetaWorldData, fuse
from benchmarks.study.policies import PolicyStore
from benchmarks.study.suite import Suite
from spark_ros.encoders.base import Encoder
from spark_ros.policies.base import Policy
from spark_ros.training.features import encode

VALIDATION_DEMOS = 3  # beside those to learn from
VIDEOS = 40  # of each task, for post-training
HISTORY = 3  # frames
_MOTION = (0, 1, 2)  # dx, dy, dz of the action


class MetaWorld5(Suite):
    """See the module's text.

    Args:
        work: The study's folder.
        quick: One task, two demonstrations, one held out.
    """

    name = "metaworld5"
    protocol = 1
    shifts = ("nominal",)
    arms = (
        *("vanilla-9", "spark@metaworld5", "random", "proprio", "vanilla-12", "dyn@metaworld5", "kp@metaworld5"),
        *("crop@metaworld5", "vanilla-9-mean", "spark@fr3", "lora-dyn@metaworld5", "vanilla-12-mean"),
    )
    episodes = 25
    batch = 25

    def __init__(self, work: Path, quick: bool = False) -> None:
        self._work = work
        self.tasks = tuple(TASKS)[2:3] if quick else tuple(TASKS)
        self.demos = (2,) if quick else (10, 25, 5)
        self._held_out = 1 if quick else VALIDATION_DEMOS
        self._videos = 2 if quick else VIDEOS
        self._policies = PolicyStore(work / "policies", quick)

    def prepared(self, task: str, demos: int) -> bool:
        """See `Suite.prepared`; all numbers of demonstrations are parts of one recording."""
        return self._data(task).ready(max(demos, *self.demos) + self._held_out)

    def prepare(self, task: str, demos: int) -> None:
        """See `Suite.prepare`."""
        self._data(task).prepare(max(demos, *self.demos) + self._held_out)

    def filmed(self, task: str) -> bool:
        """See `Suite.filmed`."""
        return len(list(video_folder(task).glob("*.mp4"))) >= self._videos

    def film(self, task: str) -> None:
        """See `Suite.film`: the expert disturbed and play, from initial states of their own."""
        record_videos(task, self._videos)

    def video_folder(self, task: str) -> Path:
        """See `Suite.video_folder`."""
        return video_folder(task)

    def run(self, cell: Cell, arm: Arm, shifts: Sequence[str]) -> tuple[dict[str, list[bool]], dict[str, Any]]:
        """See `Suite.run`."""
        begin = time.monotonic()
        encoder = make_encoder(arm, self._work)
        policy, extra = self._policies.get(cell, arm, encoder, lambda options: self._train(cell, encoder, options))
        trained_s = time.monotonic() - begin
        seeds = EVALUATION_SEEDS[cell.first : cell.first + cell.episodes]
        success = roll_out(cell.task, seeds, policy, encoder if encoder is None else lighten(encoder))
        return {shift: success for shift in shifts}, {**extra, "training_s": round(trained_s, 1)}

    def _data(self, task: str) -> MetaWorldData:
        return MetaWorldData(self._work, task)

    def _train(self, cell: Cell, encoder: Encoder | None, options: ImitationOptions) -> Imitated:
        count = max(cell.demos, *self.demos)
        examples = self._data(cell.task).examples(count + self._held_out, encoder, HISTORY)
        held_out = examples.of(count, count + self._held_out)
        return imitate(examples.of(0, cell.demos), held_out, (CAMERA,), 0, _MOTION, options, cell.seed)


def roll_out(task: str, seeds: Sequence[int], policy: Policy, encoder: Encoder | None) -> list[bool]:
    """Success at the end of the episodes of these seeds, run side by side.

    Args:
        task: Name of the task.
        seeds: Of the initial states.
        policy: In evaluation mode.
        encoder: None for a policy without images.

    Raises:
        SparkError: MetaWorld cannot be started.
    """
    with MetaWorldEnvs(task, len(seeds), IMAGE_SIZE) as envs:
        seen = envs.reset(seeds, draw=encoder is not None)
        history: list[np.ndarray] = []
        for _ in range(TASKS[task].horizon):
            if encoder is None:
                tokens = np.zeros((len(seeds), 1, 1, 1), np.float32)
            else:
                now = encode(encoder, np.array(seen.images)).astype(np.float32)  # (N, 1, D)
                history = [*history, now][-HISTORY:] if history else [now] * HISTORY
                tokens = fuse(history)
            with torch.inference_mode():
                actions = policy(torch.from_numpy(tokens), torch.from_numpy(np.array(seen.proprioception)))[:, 0]
            seen = envs.step(actions.numpy(), draw=encoder is not None)
    return [bool(value) for value in seen.success]
