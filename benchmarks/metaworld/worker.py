"""Runs MetaWorld for a program in another environment: reads requests, answers each, ends with its input.

``open`` (task, count, image_size) comes first. ``reset`` (seeds), ``step`` (actions) and ``expert`` take ``which``, the
episodes they are for; ``reset`` and ``step`` answer with images, unless ``draw`` is false, proprioception and success.
A request that cannot be met is answered with an ``error``.
"""

from __future__ import annotations

import os
import sys
import warnings
from typing import TYPE_CHECKING, Any

import numpy as np

from benchmarks.metaworld.protocol import Message, read, write

if TYPE_CHECKING:
    from benchmarks.metaworld.worker_camera import Camera
    from benchmarks.metaworld.worker_scenes import Scenes


def main() -> None:
    """Until the input ends."""
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # a library that prints must not spoil an answer
    os.environ.setdefault("MUJOCO_GL", "egl")
    os.environ.setdefault("LP_NUM_THREADS", "0")  # Mesa's threads cost more than they save on a picture so small
    warnings.filterwarnings("ignore")  # the scripted experts ask for more than is granted, by design
    worker = _Worker()
    while (request := read(sys.stdin.buffer)) is not None:
        try:
            answer = worker.answer(request)
        except Exception as error:  # whatever it is, the program that asked must hear of it
            answer = Message({"error": f"{type(error).__name__}: {error}"})
        write(answers, answer)
    worker.close()


class _Worker:
    def __init__(self) -> None:
        self._scenes: Scenes
        self._camera: Camera | None = None

    def answer(self, request: Message) -> Message:
        return getattr(self, f"_{request.fields['do']}")(request)

    def close(self) -> None:
        if self._camera is not None:
            self._camera.close()

    def _open(self, request: Message) -> Message:
        from benchmarks.metaworld.worker_camera import Camera
        from benchmarks.metaworld.worker_scenes import Scenes

        self._scenes = Scenes(request.fields["task"], request.fields["count"])
        self._camera = Camera(self._scenes.model, request.fields["image_size"])
        return Message({})

    def _reset(self, request: Message) -> Message:
        for index, seed in zip(request.fields["which"], request.arrays["seeds"], strict=True):
            self._scenes.reset(index, int(seed))
        return self._seen(request)

    def _step(self, request: Message) -> Message:
        for index, action in zip(request.fields["which"], request.arrays["actions"], strict=True):
            self._scenes.step(index, action)
        return self._seen(request)

    def _expert(self, request: Message) -> Message:
        actions = [self._scenes.expert(index) for index in request.fields["which"]]
        return Message({}, {"actions": np.array(actions, np.float32).reshape(-1, 4)})

    def _seen(self, request: Message) -> Message:
        which, scenes = request.fields["which"], self._scenes
        arrays: dict[str, Any] = {
            "proprioception": np.array([scenes.proprioception(index) for index in which], np.float32),
            "success": np.array([scenes.success(index) for index in which], bool),
        }
        if request.fields["draw"] and self._camera is not None:
            arrays["images"] = np.stack([self._camera.picture(scenes.data(index)) for index in which])
        return Message({}, arrays)


if __name__ == "__main__":
    main()
