"""A whole recording session in the simulator, driven by a gamepad or by the keys of a terminal.

SPARK_ROS_FULL_SESSION=1 makes it 5 episodes kept, 2 discarded and 1 recorded again, with each device.
"""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest

from spark_ros.bringup.supervisor import Bringup
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.robots.spec import load_robot
from spark_ros.teleop.gamepad import LEFT_BUMPER, LEFT_Y
from spark_ros.teleop.input_events import EV_ABS, EV_KEY

pytestmark = pytest.mark.ros

# What the person does with each recording: k keep, d discard, r discard and record again at once.
DECISIONS = "kkdkrkdk" if os.environ.get("SPARK_ROS_FULL_SESSION") else "rdk"
PATIENCE_S = 60.0
SPEC = load_robot("fr3")


class Terminal:
    """A program in a pseudo-terminal, and all that it has printed."""

    def __init__(self, module: str, *words: str, environment: dict[str, str]) -> None:
        self._terminal, slave = pty.openpty()
        command = [sys.executable, "-m", module, *words]
        self.process = subprocess.Popen(command, env=environment, stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self.printed = ""
        threading.Thread(target=self._read, daemon=True).start()

    def type(self, keys: str) -> None:
        os.write(self._terminal, keys.encode())

    def expect(self, pattern: str) -> None:
        deadline = time.monotonic() + PATIENCE_S
        while not re.search(pattern, self.printed) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert re.search(pattern, self.printed), f"{pattern!r} never came:\n{self.printed}"
        self.printed = ""

    def end(self) -> None:
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        try:
            while True:
                typed = os.read(self._terminal, 4096).decode(errors="replace")
                self.printed += typed  # not in one line: what is printed may be emptied while reading waits
        except OSError:  # the program has ended
            pass


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[Bringup]:
    arguments = {"sim": "true", "operator": "human", "folder": str(tmp_path / "demos"), "domain": "auto"}
    with Bringup("teleop", arguments, log_directory=tmp_path / "logs") as graph:
        graph.wait_ready()
        yield graph
        graph.check()


@pytest.fixture
def gamepad(graph: Bringup, tmp_path: Path) -> Iterator[Callable[[], None]]:
    """Pushes the stick forward while the deadman is held."""
    os.mkfifo(tmp_path / "pad")
    pad = os.open(tmp_path / "pad", os.O_RDWR)
    words = ["--ros-args", "-p", "device:=gamepad", "-p", f"path:={tmp_path / 'pad'}"]
    node = subprocess.Popen([sys.executable, "-m", "spark_ros.nodes.teleop", *words], env=graph.environment)

    def push() -> None:
        os.write(pad, struct.pack("llHHi", 0, 0, EV_KEY, LEFT_BUMPER, 1))
        os.write(pad, struct.pack("llHHi", 0, 0, EV_ABS, LEFT_Y, -32768))

    yield push
    node.terminate()
    assert node.wait(PATIENCE_S) == 0
    os.close(pad)


@pytest.fixture
def keyboard(graph: Bringup) -> Iterator[Callable[[], None]]:
    """Holds the key w."""
    terminal = Terminal("spark_ros.nodes.teleop_keyboard", environment=graph.environment)
    terminal.expect("deadman free")
    ended, held = threading.Event(), threading.Event()

    def hold() -> None:
        while not ended.wait(0.05):
            if held.is_set():
                terminal.type("w")

    thread = threading.Thread(target=hold)
    thread.start()
    yield held.set
    ended.set()
    thread.join()
    terminal.type("q")
    assert terminal.process.wait(PATIENCE_S) == 0


@pytest.mark.parametrize("device", ["gamepad", "keyboard"])
def test_a_person_records_a_session_with_a_device(
    graph: Bringup, device: str, request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    drive = request.getfixturevalue(device)
    kept = DECISIONS.count("k")
    words = ("--operator", "human", "--sim", "--episodes", str(kept), "--seed", "40")
    session = Terminal("spark_ros.bringup.record_demos", *words, environment=graph.environment)
    try:
        drive()
        again = False
        for decision in DECISIONS:
            if not again:
                session.expect("s: start")
                session.type("s")
            session.expect("recording;")
            time.sleep(3.0)  # something to record
            session.type(decision)
            again = decision == "r"
        session.expect("holds [0-9]+ successful episodes")
        assert session.process.wait(PATIENCE_S) == 0
    finally:
        session.end()

    folder = DemoFolder(tmp_path / "demos")
    entries = folder.episodes()
    assert len(entries) == kept and folder.unfinished() == []
    for entry in entries:
        episode = folder.read(entry)
        assert entry.success and episode.metadata.operator == "human"
        assert episode.teleop is not None and episode.teleop.deadman.any()
        commanded = episode.setpoints.columns(SPEC.joint_names)
        assert np.ptp(commanded, axis=0).max() > 0.01, "the arm was driven"
        assert episode.modes.driven_by("teleop", episode.setpoints.stamps_ns).any()
