"""A session without ROS: a gateway and a recorder as simple as can be, a camera that shows a growing number."""

from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import numpy as np

from spark_ros.console.session import (
    Answer,
    Command,
    GatewayView,
    Level,
    NodeHealth,
    Outcome,
    RecorderView,
    Snapshot,
)
from spark_ros.contracts import Frame
from spark_ros.data.cdr_messages import encode_frame
from spark_ros.data.recorder_status import RecorderState, RecorderStatus, StreamStatus


class FakeSession:
    """Answers at once.

    Attributes:
        now: What is shown; tests may replace it.
        asked: Every command so far.
        watched: The cameras somebody watches.
        delay_s: How long commands other than a stop take.
        silent: Whether the camera sends nothing.
    """

    def __init__(self, folder: Path) -> None:
        streams = (StreamStatus("/camera/front/color/image_raw", 30.0, age_s=0.02, required=True, limit_s=0.5),)
        status = RecorderStatus(RecorderState.READY, "ready to record", str(folder), task="lift", streams=streams)
        self.now = Snapshot(
            GatewayView(True, "idle", "just started"),
            RecorderView(True, status),
            ("front",),
            (NodeHealth("gateway", Level.OK, "idle: just started", 0.1, {"secret": "not shown"}),),
        )
        self.asked: list[object] = []
        self.watched: set[str] = set()
        self.delay_s = 0.0
        self.silent = False
        self.released = threading.Event()
        self._number = 0

    def snapshot(self) -> Snapshot:
        return self.now

    def change(self, **values: object) -> None:
        """Other values of the recorder's status."""
        status = self.now.recorder.status
        assert status is not None
        self.now = replace(self.now, recorder=RecorderView(True, replace(status, **values)))

    def command(self, command: Command) -> Answer:
        self.asked.append(command)
        if command is not Command.STOP:
            time.sleep(self.delay_s)
        if not self.now.gateway.present:
            return Answer(Outcome.UNANSWERED, "no service")
        if command is Command.STOP:
            self.now = replace(self.now, gateway=GatewayView(True, "fault", "asked to stop"))
            return Answer(Outcome.DONE, "asked to stop")
        if not self.now.allows(command):
            return Answer(Outcome.REFUSED, f"{command.value} is not possible now")
        return Answer(Outcome.DONE, command.value)

    def describe(self, task: str) -> Answer:
        self.asked.append(("task", task))
        self.change(task=task)
        return Answer(Outcome.DONE, task)

    def mark(self, file: str, success: bool | None = None, note: str | None = None) -> Answer:
        self.asked.append(("mark", file, success, note))
        return Answer(Outcome.DONE, file)

    def watch(self, cameras: set[str]) -> None:
        self.watched = set(cameras)

    def picture(self, camera: str) -> tuple[int, bytes] | None:
        if self.silent or camera not in self.watched:
            return None
        self._number += 1
        image = np.full((480, 1280, 3), self._number % 256, np.uint8)
        return self._number, encode_frame(Frame(camera, image, self._number))[1]
