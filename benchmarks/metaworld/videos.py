"""Video of the MetaWorld tasks for the post-training of encoders: the expert, disturbed, and play without an aim.

What an encoder learns from should show more than the way a policy is taught: objects missed, pushed and dropped. None
of it is a demonstration, and no initial state is one that a policy learns from or is tested on.
"""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np

from benchmarks.metaworld.recordings import open_recordings, recording_folder
from benchmarks.metaworld.rollouts import MetaWorldEnvs
from benchmarks.metaworld.tasks import CONTROL_DT_S, TASKS, VIDEO_SEEDS
from spark_ros.contracts import ImageArray, SparkError

_NOISE = (0.0, 0.4, 0.8, 1.2)  # standard deviations of what is added to the expert's action; 1 is a centimetre a step
_KEEP = 0.85  # of the noise from step to step: white noise would only shake the hand
_PLAY_EVERY = 3  # one episode in so many is play
_PLAY_STEPS = (12, 45)  # how long the hand goes somewhere at random, or follows the expert, in turn
_BESIDE = 8  # episodes at a time
_QUALITY = "10"  # x264's constant rate factor: these pictures are learned from, 18 is said to look lossless


def video_folder(task: str) -> Path:
    """Where the videos of a task are: MP4, 80 frames a second with true stamps, one episode each."""
    return recording_folder("video", task)


def record_videos(task: str, count: int) -> Path:
    """Records what is missing of `count` videos.

    Returns:
        Their folder.

    Raises:
        SparkError: MetaWorld cannot be installed or started, or the folder holds other recordings.
    """
    with open_recordings("video", task) as folder:
        missing = [seed for seed in VIDEO_SEEDS[:count] if not _path(folder, seed).exists()]
        if missing:
            with MetaWorldEnvs(task, min(_BESIDE, len(missing))) as envs:
                for start in range(0, len(missing), _BESIDE):
                    seeds = missing[start : start + _BESIDE]
                    for seed, images in zip(seeds, _film(envs, seeds), strict=True):
                        write_video(_path(folder, seed), images)
                    print(f"  {task}: video {count - len(missing) + start + len(seeds)} of {count}", flush=True)
    return folder


def write_video(path: Path, images: ImageArray) -> None:
    """Writes (T, S, S, 3) RGB, one a control period, as an MP4 that appears whole or not at all.

    Raises:
        SparkError: The file cannot be written.
    """
    part = path.with_name(path.name + ".part")
    try:
        with av.open(str(part), "w", format="mp4") as container:
            stream = container.add_stream("libx264", rate=round(1.0 / CONTROL_DT_S))
            stream.width, stream.height = images.shape[2], images.shape[1]
            stream.pix_fmt = "yuv444p"  # colours halved in size would be a knob's whole edge
            stream.options = {"crf": _QUALITY, "preset": "fast", "g": "16"}  # short groups: pairs are read at random
            stream.codec_context.thread_count = 1
            for image in images:
                container.mux(stream.encode(av.VideoFrame.from_ndarray(np.ascontiguousarray(image), "rgb24")))
            container.mux(stream.encode())
        part.replace(path)
    except OSError as error:
        part.unlink(missing_ok=True)
        raise SparkError(f"cannot write {path}: {error.strerror}; make room or choose another folder") from error


def _film(envs: MetaWorldEnvs, seeds: list[int]) -> ImageArray:
    """(N, T, S, S, 3) of the episodes of these seeds."""
    which = list(range(len(seeds)))
    hands = [_Hand(seed) for seed in seeds]
    frames = [envs.reset(seeds, which).images]
    for _ in range(TASKS[envs.task].horizon - 1):
        expert = envs.expert(which)
        actions = np.stack([hand.act(action) for hand, action in zip(hands, expert, strict=True)])
        frames.append(envs.step(actions, which).images)
    return np.stack(frames, axis=1)


class _Hand:
    """What becomes of the expert's actions in the episode of one seed."""

    def __init__(self, seed: int) -> None:
        self._draw = np.random.default_rng(seed)
        self._plays = seed % _PLAY_EVERY == 0
        self._scale = _NOISE[seed % len(_NOISE)]
        self._noise = np.zeros(4)
        self._left, self._aimless, self._going = 0, False, np.zeros(4)

    def act(self, expert: np.ndarray) -> np.ndarray:
        """(4,) action in place of the expert's."""
        if self._plays:
            if self._left == 0:
                self._left, self._aimless = int(self._draw.integers(*_PLAY_STEPS)), not self._aimless
                self._going = self._draw.uniform(-1.0, 1.0, 4)
            self._left -= 1
            return self._going if self._aimless else expert
        fresh = self._draw.normal(0.0, self._scale * np.sqrt(1.0 - _KEEP**2), 4)
        self._noise = _KEEP * self._noise + fresh
        return expert + self._noise * (1.0, 1.0, 1.0, 0.3)  # a hand that always drops things shows little


def _path(folder: Path, seed: int) -> Path:
    return folder / f"{'play' if seed % _PLAY_EVERY == 0 else 'expert'}_{seed}.mp4"
