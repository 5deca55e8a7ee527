"""A session that a test speaks for, and the terminal console on it as a program."""

from __future__ import annotations

import signal
import sys
import threading
from dataclasses import replace
from typing import Any

from spark_ros.console.session import Answer, Command, GatewayView, Outcome, RecorderView, Snapshot
from spark_ros.console.terminal import TerminalConsole
from spark_ros.console.terminal_screen import show
from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import EpisodeEntry
from spark_ros.data.recorder_status import RecorderState, RecorderStatus, StreamStatus

FRONT = "/camera/front/color/image_raw"
STREAMS = (
    StreamStatus(FRONT, 29.9, 30.0, 0.02, required=True, limit_s=0.5, gap_s=0.05),
    StreamStatus("/joint_states", 200.0, 200.0, 0.004, required=True, limit_s=0.25, gap_s=0.01),
    StreamStatus("/gateway/setpoint", 99.8, 100.0, 0.01),
)
READY = RecorderStatus(
    RecorderState.READY, "ready to record", "/demos", "lift the cube", free_disk_mb=81_000.0, start_disk_mb=2000.0,
    queue_mb=512.0, skew_limit_s=0.06, streams=STREAMS,
)  # fmt: skip
RECORDING = replace(READY, state=RecorderState.RECORDING, episode="episode_000003.mcap", elapsed_s=7.2)
EPISODES = [
    EpisodeEntry(f"episode_{n:06d}.mcap", "0" * 64, 100 * n, float(n), "lift the cube", "fr3", True, None)
    for n in (2, 1)
]


class FakeSession:
    """Remembers what was asked for; answers at once, or when `gate` opens."""

    def __init__(self) -> None:
        self.now = Snapshot(GatewayView(True, "idle", "started"), RecorderView(True, READY), domain=7, simulated=True)
        self.asked: list[Any] = []
        self.gate = threading.Event()
        self.gate.set()
        self.answer = Answer(Outcome.DONE, "as asked")
        self.stop_answer = Answer(Outcome.DONE, "stopped")

    def snapshot(self) -> Snapshot:
        return self.now

    def command(self, command: Command) -> Answer:
        self.asked.append(command)
        if command is Command.STOP:
            return self.stop_answer
        self.gate.wait()
        return self.answer

    def describe(self, task: str) -> Answer:
        self.asked.append(("task", task))
        return self.answer

    def mark(self, file: str, success: bool | None = None, note: str | None = None) -> Answer:
        self.asked.append((file, success, note))
        return self.answer

    def watch(self, cameras: set[str]) -> None:
        raise AssertionError("a terminal shows no pictures")

    def picture(self, camera: str) -> None:
        raise AssertionError("a terminal shows no pictures")

    def shows(self, status: RecorderStatus | None = None, gateway: GatewayView | None = None) -> None:
        self.now = replace(
            self.now,
            recorder=self.now.recorder if status is None else RecorderView(True, status),
            gateway=gateway or self.now.gateway,
        )


def main() -> int:
    """As `nodes.console_terminal` does it, without ROS."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        show(TerminalConsole(FakeSession(), lambda _: EPISODES))
    except SparkError as error:
        print(error, file=sys.stderr)
        return 2
    except KeyboardInterrupt:
        return 130
    print("a word after the end", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
