"""Devices without a hand: a gamepad at the other end of a pipe, and somebody who types in a terminal."""

from __future__ import annotations

import os
import pty
import re
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from spark_ros.contracts import SparkError
from spark_ros.teleop.gamepad import LEFT_BUMPER, LEFT_X, LEFT_Y, RIGHT_BUMPER, RIGHT_Y, WEST
from spark_ros.teleop.input_events import EV_ABS, EV_KEY

PATIENCE_S = 60.0
MOTIONS = ("forward", "left", "down", "right", "back", "up")
_STICKS = {
    "forward": (LEFT_Y, -32768), "back": (LEFT_Y, 32767),
    "left": (LEFT_X, -32768), "right": (LEFT_X, 32767),
    "up": (RIGHT_Y, -32768), "down": (RIGHT_Y, 32767),
}  # fmt: skip
_KEYS = {"forward": "w", "back": "s", "left": "a", "right": "d", "up": "r", "down": "f"}
_TYPED_EVERY_S = 0.05  # as a held key repeats


class Terminal:
    """A program in a pseudo-terminal, and all that it has printed."""

    def __init__(self, module: str, *words: str, environment: Mapping[str, str]) -> None:
        self._terminal, slave = pty.openpty()
        command = [sys.executable, "-m", module, *words]
        self.process = subprocess.Popen(command, env=dict(environment), stdin=slave, stdout=slave, stderr=slave)
        os.close(slave)
        self._printed = ""
        threading.Thread(target=self._read, daemon=True).start()

    def type(self, keys: str) -> None:
        """Type these keys."""
        os.write(self._terminal, keys.encode())

    def expect(self, pattern: str) -> str:
        """Wait until what was printed since the last call matches; the match.

        Raises:
            SparkError: It never did.
        """
        deadline = time.monotonic() + PATIENCE_S
        while not (found := re.search(pattern, self._printed)) and time.monotonic() < deadline:
            time.sleep(0.02)
        if not found:
            raise SparkError(f"the terminal never showed {pattern!r}, but: {self._printed}")
        self._printed = ""
        return found[0]

    def end(self) -> None:
        """Whatever it is doing."""
        self.process.kill()
        self.process.wait()

    def _read(self) -> None:
        try:
            while True:
                typed = os.read(self._terminal, 4096).decode(errors="replace")
                self._printed += typed  # not in one line: what is printed may be emptied while reading waits
        except OSError:  # the program has ended
            pass


class GamepadOperator:
    """Sticks and buttons of a gamepad, as the kernel's events."""

    def __init__(self, pipe: Path) -> None:
        os.mkfifo(pipe)
        self._pipe = os.open(pipe, os.O_RDWR)  # both, so that opening waits for nobody
        self._stick: int | None = None

    def move(self, motion: str) -> None:
        """Hold the deadman and push the stick that way."""
        self.rest()
        self._stick, value = _STICKS[motion]
        self._send(EV_ABS, self._stick, value)
        self._send(EV_KEY, LEFT_BUMPER, 1)

    def grip(self) -> None:
        """Close or open the gripper."""
        for value in (1, 0):
            self._send(EV_KEY, RIGHT_BUMPER, value)

    def hand_back(self) -> None:
        """Let go, and give the arm to the policy."""
        self.rest()
        for value in (1, 0):
            self._send(EV_KEY, WEST, value)

    def rest(self) -> None:
        """Let go of everything."""
        self._send(EV_KEY, LEFT_BUMPER, 0)
        if self._stick is not None:
            self._send(EV_ABS, self._stick, 0)

    def close(self) -> None:
        """Unplug it."""
        os.close(self._pipe)

    def _send(self, kind: int, code: int, value: int) -> None:
        os.write(self._pipe, struct.pack("llHHi", 0, 0, kind, code, value))


class KeyboardOperator:
    """Somebody who holds keys in the terminal of `teleop_keyboard`."""

    def __init__(self, terminal: Terminal) -> None:
        self._terminal = terminal
        self._key, self._ended = "", threading.Event()
        self._thread = threading.Thread(target=self._hold)
        self._thread.start()

    def move(self, motion: str) -> None:
        """Hold the key of this motion, which is the deadman as well."""
        self._key = _KEYS[motion]

    def grip(self) -> None:
        """Close or open the gripper."""
        self._terminal.type("g")

    def rest(self) -> None:
        """Let go of everything."""
        self._key = ""
        self._terminal.type(" ")

    def close(self) -> None:
        """Take the hands off."""
        self._ended.set()
        self._thread.join()

    def _hold(self) -> None:
        while not self._ended.wait(_TYPED_EVERY_S):
            if key := self._key:
                self._terminal.type(key)


Operator = GamepadOperator | KeyboardOperator


@contextmanager
def gamepad(environment: Mapping[str, str], work: Path) -> Iterator[GamepadOperator]:
    """A gamepad and the teleop node that reads it."""
    operator = GamepadOperator(work / "pad")
    words = ["--ros-args", "-p", "device:=gamepad", "-p", f"path:={work / 'pad'}"]
    node = subprocess.Popen([sys.executable, "-m", "spark_ros.nodes.teleop", *words], env=dict(environment))
    try:
        yield operator
    finally:
        node.terminate()
        code = node.wait(PATIENCE_S)
        operator.close()
    if code != 0:
        raise SparkError(f"the teleop node ended with exit code {code}")


@contextmanager
def keyboard(environment: Mapping[str, str], work: Path) -> Iterator[KeyboardOperator]:
    """A terminal with the keyboard's node, and somebody at its keys."""
    terminal = Terminal("spark_ros.nodes.teleop_keyboard", environment=environment)
    try:
        terminal.expect("deadman free")
        operator = KeyboardOperator(terminal)
        try:
            yield operator
        finally:
            operator.close()
        terminal.type("q")
        code = terminal.process.wait(PATIENCE_S)
    finally:
        terminal.end()
    if code != 0:
        raise SparkError(f"the keyboard's node ended with exit code {code}")


DEVICES: Mapping[str, Callable[..., object]] = {"gamepad": gamepad, "keyboard": keyboard}
