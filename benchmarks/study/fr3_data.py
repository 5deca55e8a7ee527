"""Demonstrations of an FR3 task as arrays: read once, so that every arm pays for its encoding alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from benchmarks.study.arms import IMAGE_SIZE
from benchmarks.study.imitation import Examples
from spark_ros.contracts import ActionKind, ImageArray
from spark_ros.data.codec import ActionCodec, Proprioception
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.preprocess import ImagePreprocess
from spark_ros.data.samples import load_samples
from spark_ros.encoders.base import Encoder
from spark_ros.evaluation.demos import DemoOptions, record_demos
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot
from spark_ros.training.features import encode, fingerprint, save_atomically

ROBOT = "fr3"
CAMERAS = ("front", "wrist")
HORIZON, DT_S = 10, 0.1
_NAMES = ("proprioception", "action", "valid", "episode")


class Fr3Data:
    """The demonstrations of one task, and what encoders make of them.

    Args:
        work: The study's folder; ``work/fr3/demos/<task>`` holds the recordings, the nominal scene's.
        task: Name of the task.
    """

    def __init__(self, work: Path, task: str) -> None:
        self.demos = work / "fr3" / "demos" / task
        self._arrays = work / "fr3" / "arrays" / task
        self._task = task

    def ready(self, count: int) -> bool:
        """Whether `prepare` has been done for so many demonstrations."""
        return (self._arrays / f"{count}" / "images.npy").exists()

    def prepare(self, count: int) -> None:
        """Records what is missing and lays the first `count` demonstrations out as arrays.

        Raises:
            SparkError: The expert fails, the disk is full, or a recording is damaged.
        """
        record_demos(self.demos, count, DemoOptions(task=self._task, robot=ROBOT))
        robot = load_robot(ROBOT)
        kinematics = Kinematics(robot)
        codec = ActionCodec(ActionKind.EE_POSE, HORIZON, DT_S, kinematics)
        samples = load_samples(DemoFolder(self.demos), CAMERAS, Proprioception(kinematics, robot.gripper), codec)
        episodes = samples.episodes[:count]
        preprocess = ImagePreprocess(IMAGE_SIZE)
        kept = [np.flatnonzero(episode.valid[:, 0]) for episode in episodes]
        pairs = list(zip(episodes, kept, strict=True))
        images = np.stack(
            [
                np.stack([preprocess(episode.image(camera, int(row))) for camera in CAMERAS])
                for episode, rows in pairs
                for row in rows
            ]
        )
        folder = self._arrays / f"{count}"
        numbers = np.repeat(np.arange(len(episodes)), [len(rows) for rows in kept])
        for name in _NAMES[:-1]:
            values = np.concatenate([getattr(episode, name)[rows] for episode, rows in pairs])
            save_atomically(folder / f"{name}.npy", values)
        save_atomically(folder / "episode.npy", numbers)
        save_atomically(folder / "images.npy", images)  # last: it says that all is there

    def examples(self, count: int, encoder: Encoder | None) -> Examples:
        """The steps of the demonstrations with an encoder's tokens, (N, 2, 1, 1) zeros without one."""
        folder = self._arrays / f"{count}"
        proprioception, action, valid, episode = (np.load(folder / f"{name}.npy") for name in _NAMES)
        if encoder is None:
            return Examples(no_tokens(len(episode)), proprioception, action, valid, episode)
        path = folder / f"tokens-{fingerprint(encoder)[:32]}.npy"
        if not path.exists():
            images = np.load(folder / "images.npy", mmap_mode="r")  # (N, C, S, S, 3)
            save_atomically(path, encode_in_parts(encoder, images))
        return Examples(np.load(path, mmap_mode="r"), proprioception, action, valid, episode)


def encode_in_parts(encoder: Encoder, images: ImageArray) -> np.ndarray:
    """(N, C, S, S, 3) uint8, possibly mapped from disk, to (N, C, K, D) float16 without loading all of it."""
    parts = []
    for start in range(0, len(images), 256):
        part = np.array(images[start : start + 256])
        tokens = encode(encoder, part.reshape(-1, *part.shape[2:]))
        parts.append(tokens.reshape(*part.shape[:2], *tokens.shape[1:]))
    return np.concatenate(parts)


def no_tokens(count: int, cameras: int = len(CAMERAS)) -> np.ndarray:
    """What a policy without images gets in their place."""
    return np.zeros((count, cameras, 1, 1), np.float16)
