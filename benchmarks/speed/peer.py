"""LeRobot's ACT policy in its own environment, which takes its turns among the forms measured here."""

from __future__ import annotations

import json
import subprocess
from types import TracebackType

from benchmarks.common import ROOT
from benchmarks.lerobot.environment import LEROBOT, VERSION, variables
from spark_ros.contracts import SparkError

TITLE = f"LeRobot {VERSION} ACT"


def open_peer(threads: int) -> Peer | None:
    """The worker; None, with a sentence, where LeRobot's environment is not there."""
    if not LEROBOT.is_created():
        print("LeRobot's policy is left out: `python -m benchmarks.lerobot.environment` makes its environment first")
        return None
    return Peer(threads)


class Peer:
    """The worker, as a context manager.

    Args:
        threads: Of its torch.

    Raises:
        SparkError: It does not start.
    """

    def __init__(self, threads: int) -> None:
        command = [str(LEROBOT.ensure()), "-m", "benchmarks.lerobot.policy_worker", str(threads)]
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            env={**variables(), "OMP_NUM_THREADS": str(threads)},
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        self._answer()

    def milliseconds(self, size: int, times: int) -> list[float]:
        """From two images (size, size, 3) to a chunk of actions, so many times in a row."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{size} {times}\n")
        self._process.stdin.flush()
        return self._answer()

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.communicate()

    def _answer(self) -> list[float]:
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        if not line:
            raise SparkError("LeRobot's ACT policy ended early: run `python -m benchmarks.lerobot.policy_worker 2`")
        return json.loads(line)
