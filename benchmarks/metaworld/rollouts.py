"""Episodes of a MetaWorld task side by side, in a process of MetaWorld's own environment."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from types import TracebackType
from typing import IO

import numpy as np

from benchmarks.common import ROOT
from benchmarks.metaworld import environment
from benchmarks.metaworld.protocol import Message, read, write
from benchmarks.metaworld.tasks import IMAGE_SIZE, TASKS
from spark_ros.contracts import ImageArray, SparkError


@dataclass(frozen=True)
class Seen:
    """What N episodes show after a reset or a step.

    Attributes:
        images: (N, S, S, 3) uint8 RGB; S is 0 where nothing was drawn.
        proprioception: (N, 4) float32, `tasks.PROPRIOCEPTION`.
        success: (N,) bool, whether the task is done at this moment.
    """

    images: ImageArray
    proprioception: np.ndarray
    success: np.ndarray


class MetaWorldEnvs:
    """A context manager around `count` episodes of a task; an episode depends on its seed alone."""

    def __init__(
        self, task: str, count: int, image_size: int = IMAGE_SIZE, command: Sequence[str] | None = None
    ) -> None:
        """Starts nothing yet.

        Args:
            task: Of `TASKS`.
            count: Episodes side by side.
            image_size: Side of the pictures in pixels.
            command: Of the worker; by default that in MetaWorld's environment, which is created if need be.

        Raises:
            SparkError: There is no such task.
        """
        if task not in TASKS:
            raise SparkError(f"there is no MetaWorld task {task!r} here: expected one of {', '.join(TASKS)}")
        self.task, self.count = task, count
        self._image_size, self._command = image_size, command
        self._process: subprocess.Popen[bytes] | None = None
        self._complaints: IO[bytes] | None = None

    def __enter__(self) -> MetaWorldEnvs:
        command = self._command or [str(environment.ensure()), "-m", "benchmarks.metaworld.worker"]
        self._complaints = tempfile.TemporaryFile()
        try:
            self._process = subprocess.Popen(
                command,
                cwd=ROOT,
                env={**environment.clean_variables(), "PYTHONPATH": str(ROOT)},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._complaints,
            )
        except OSError as error:
            raise SparkError(f"MetaWorld's worker cannot be started: {error}; delete {environment.folder()}") from error
        try:
            self._ask({"do": "open", "task": self.task, "count": self.count, "image_size": self._image_size})
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def reset(self, seeds: Sequence[int], which: Sequence[int] | None = None, draw: bool = True) -> Seen:
        """Begins episodes.

        Args:
            seeds: One for each.
            which: The episodes' indices, by default all of them.
            draw: Whether pictures are wanted.

        Raises:
            SparkError: The worker has died or refuses.
        """
        return self._seen("reset", which, draw, seeds=np.asarray(seeds, np.int64))

    def step(self, actions: np.ndarray, which: Sequence[int] | None = None, draw: bool = True) -> Seen:
        """One control period, `tasks.CONTROL_DT_S`.

        Args:
            actions: (N, 4), `tasks.ACTION`; what exceeds -1..1 is clipped.
            which: The episodes' indices, by default all of them.
            draw: Whether pictures are wanted.

        Raises:
            SparkError: The actions are not finite, or the worker has died or refuses.
        """
        actions = np.asarray(actions, np.float32)
        if not np.isfinite(actions).all():
            raise SparkError(f"an action for MetaWorld's {self.task} is not finite: the policy that made it is broken")
        return self._seen("step", which, draw, actions=actions)

    def expert(self, which: Sequence[int] | None = None) -> np.ndarray:
        """(N, 4) float32, what the scripted expert would do now.

        Raises:
            SparkError: The worker has died or refuses.
        """
        return self._ask({"do": "expert", "which": self._indices(which)}).arrays["actions"]

    def close(self) -> None:
        """Ends the worker."""
        process, self._process = self._process, None
        if process is None:
            return
        if process.stdin is not None and process.stdout is not None:
            try:
                process.stdin.close()  # the worker ends with its input
            except BrokenPipeError:
                pass
            process.stdout.close()
        try:
            process.wait(10.0)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
        if self._complaints is not None:
            self._complaints.close()

    def _indices(self, which: Sequence[int] | None) -> list[int]:
        return list(range(self.count)) if which is None else [int(index) for index in which]

    def _seen(self, do: str, which: Sequence[int] | None, draw: bool, **arrays: np.ndarray) -> Seen:
        indices = self._indices(which)
        given = next(iter(arrays.values()))
        if len(given) != len(indices):
            raise SparkError(
                f"MetaWorld's {self.task} got {len(given)} {next(iter(arrays))} for {len(indices)} episodes"
            )
        got = self._ask({"do": do, "which": indices, "draw": draw}, arrays).arrays
        images = got.get("images", np.empty((len(indices), 0, 0, 3), np.uint8))
        return Seen(images, got["proprioception"], got["success"])

    def _ask(self, fields: dict[str, object], arrays: dict[str, np.ndarray] | None = None) -> Message:
        process = self._process
        if process is None or process.stdin is None or process.stdout is None:
            raise SparkError(f"MetaWorld's {self.task} is not open: use it in a with block")
        try:
            write(process.stdin, Message(fields, arrays or {}))  # type: ignore[arg-type]
            answer = read(process.stdout)  # type: ignore[arg-type]
        except BrokenPipeError:
            answer = None
        if answer is None:
            raise SparkError(
                f"MetaWorld's worker for {self.task} died ({self._last_words()}); "
                f"run it again, or delete {environment.folder()} to install it anew"
            )
        if "error" in answer.fields:
            raise SparkError(f"MetaWorld's worker for {self.task} refuses {fields['do']}: {answer.fields['error']}")
        return answer

    def _last_words(self) -> str:
        if self._process is None or self._complaints is None:
            return "no reason given"
        try:
            self._process.wait(5.0)
        except subprocess.TimeoutExpired:
            pass
        self._complaints.seek(0)
        lines = self._complaints.read().decode(errors="replace").strip().splitlines()
        return lines[-1].strip() if lines else f"exit status {self._process.returncode}"
