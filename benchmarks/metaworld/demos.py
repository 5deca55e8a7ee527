"""Demonstrations of the MetaWorld tasks by the scripted experts, kept in the cache.

    python -m benchmarks.metaworld.demos [--tasks T ...] [--demos K] [--videos V]

Also records the videos to post-train encoders on (`videos`). What is there already is kept; the same command goes on.
"""

from __future__ import annotations

import argparse
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.common import entry
from benchmarks.metaworld.recordings import open_recordings, recording_folder
from benchmarks.metaworld.rollouts import MetaWorldEnvs
from benchmarks.metaworld.tasks import DEMO_SEEDS, TASKS
from benchmarks.metaworld.videos import record_videos
from spark_ros.contracts import ImageArray, SparkError
from spark_ros.shares import cache_dir

_ARRAYS = ("images", "proprioception", "actions", "success")
_BESIDE = 8  # episodes at a time
_MISSES = 40  # episodes without a success before it is clear that something is wrong


@dataclass(frozen=True)
class Demo:
    """One episode of the expert, as long as the task's horizon, done at its end.

    Attributes:
        images: (T, S, S, 3) uint8 RGB, what is seen before each action; mapped from disk.
        proprioception: (T, 4) float32, `tasks.PROPRIOCEPTION`, before each action.
        actions: (T, 4) float32, `tasks.ACTION`.
        success: (T,) bool, whether the task is done after each action.
        seed: Of the initial state.
    """

    images: ImageArray
    proprioception: np.ndarray
    actions: np.ndarray
    success: np.ndarray
    seed: int


def load_demos(task: str, count: int) -> list[Demo]:
    """The first `count` demonstrations of a task; those that are not there yet are recorded.

    Raises:
        SparkError: They cannot be recorded, or were recorded by another version of this program.
    """
    record_demos(task, count)
    return [_load(path) for path in _episodes(recording_folder("demos", task))[:count]]


def record_demos(task: str, count: int) -> None:
    """Records what is missing of `count` demonstrations, from the seeds in order; failures are left out.

    Raises:
        SparkError: MetaWorld cannot be installed or started, the expert fails too often, or other recordings are there.
    """
    with open_recordings("demos", task) as folder:
        there = len(_episodes(folder))
        if there >= count:
            return
        begin = int(_episodes(folder)[-1].name) + 1 if there else DEMO_SEEDS.start
        with MetaWorldEnvs(task, min(_BESIDE, count - there)) as envs:
            for demo in _successes(envs, begin, count - there):
                _save(folder / str(demo.seed), demo)
                there += 1
                print(f"  {task}: demonstration {there} of {count}", flush=True)


def _successes(envs: MetaWorldEnvs, seed: int, wanted: int) -> Iterator[Demo]:
    """The first `wanted` episodes that end well, from `seed` on."""
    misses = 0
    while wanted > 0:
        seeds = [seed + index for index in range(min(envs.count, wanted))]
        for demo in _play(envs, seeds):
            if demo.success[-1]:
                wanted -= 1
                yield demo
            else:
                misses += 1
        if misses > _MISSES:
            raise SparkError(f"the expert of {envs.task} failed {misses} times: this is not the MetaWorld expected")
        seed += len(seeds)


def _play(envs: MetaWorldEnvs, seeds: list[int]) -> list[Demo]:
    which = list(range(len(seeds)))
    rows = []
    seen = envs.reset(seeds, which)
    for _ in range(TASKS[envs.task].horizon):
        actions = envs.expert(which)
        after = envs.step(actions, which)
        rows.append((seen.images, seen.proprioception, actions, after.success))
        seen = after
    images, proprioception, actions, success = (np.stack(column, axis=1) for column in zip(*rows, strict=True))
    return [
        Demo(images[index], proprioception[index], actions[index], success[index], seed)
        for index, seed in enumerate(seeds)
    ]


def _save(folder: Path, demo: Demo) -> None:
    part = folder.with_name(f".{folder.name}.part")
    shutil.rmtree(part, ignore_errors=True)
    part.mkdir(parents=True)
    for name in _ARRAYS:
        np.save(part / f"{name}.npy", getattr(demo, name))
    part.rename(folder)


def _load(folder: Path) -> Demo:
    images = np.load(folder / "images.npy", mmap_mode="r")
    proprioception, actions, success = (np.load(folder / f"{name}.npy") for name in _ARRAYS[1:])
    return Demo(images, proprioception, actions, success, int(folder.name))


def _episodes(folder: Path) -> list[Path]:
    return sorted((path for path in folder.glob("[0-9]*") if path.is_dir()), key=lambda path: int(path.name))


def _main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tasks", nargs="+", default=list(TASKS), choices=list(TASKS), metavar="T")
    parser.add_argument("--demos", type=int, default=28, help="of each task (default 28: 25 and 3 to validate with)")
    parser.add_argument("--videos", type=int, default=40, help="of each task (default 40)")
    options = parser.parse_args()
    begin = time.monotonic()
    for task in options.tasks:
        record_demos(task, options.demos)
    for task in options.tasks:
        record_videos(task, options.videos)
    print(f"all there after {time.monotonic() - begin:.0f} s: demos and video in {cache_dir() / 'metaworld5'}")


if __name__ == "__main__":
    entry(_main)
