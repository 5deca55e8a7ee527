"""A 3Dconnexion SpaceMouse, from the raw HID reports of the kernel: no driver and no library needed.

Reports: 1 is translation (x y z, int16 each; newer models add rotation to the same report), 2 rotation, 3 buttons.
Axes as the cap is pushed: x right, y towards the person, z down; about 350 counts at the end of the way.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spark_ros.contracts import FloatArray, SparkError
from spark_ros.teleop.base import Grip, Hand, Request, Settings, shaped

FULL = 350.0
_VENDORS = {("046D", "C6"), ("256F", "C6")}  # Logitech's and its own number, and how its products begin
_CLASS = Path("/sys/class/hidraw")
_STALE_S = 0.2  # it reports every 8 ms while the cap is off its middle


class SpaceMouse:
    """The first SpaceMouse found, or the one at `Settings.path` (/dev/hidraw3).

    The left button is the deadman, since the cap is easily touched: hold it to move. The right one toggles the gripper.
    Both at once engage teleoperation.
    """

    inputs: Mapping[str, str] = {}

    def __init__(self, settings: Settings) -> None:
        path = Path(settings.path) if settings.path else find_hidraw()
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise SparkError(
                f"cannot read {path}: {error.strerror}; give yourself access with a udev rule, see docs/teleop.md"
            ) from error
        self._path = path
        self._speeds = np.array([settings.linear_speed] * 3 + [settings.angular_speed] * 3)
        self._dead_zone = settings.dead_zone
        self._cap = np.zeros(6)
        self._moved = float("-inf")
        self._buttons = 0
        self._grip = Grip()
        self.note = f"{path}: left button deadman, right button gripper, both engage"

    def poll(self, now: float) -> list[Request]:
        """Read the reports."""
        requests: list[Request] = []
        while True:
            try:
                report = os.read(self._descriptor, 64)  # one report a read, see hidraw
            except BlockingIOError:
                return requests
            except OSError as error:
                raise SparkError(f"the SpaceMouse ({self._path}) has gone: {error.strerror}; plug it in") from error
            if not report:
                return requests
            requests += self.report(report, now)

    def report(self, report: bytes, now: float) -> list[Request]:
        """Take one HID report."""
        kind, values = report[0], report[1:]
        if kind == 1 and len(values) >= 12:
            self._cap[:] = struct.unpack_from("<6h", values)
        elif kind == 1 and len(values) >= 6:
            self._cap[:3] = struct.unpack_from("<3h", values)
        elif kind == 2 and len(values) >= 6:
            self._cap[3:] = struct.unpack_from("<3h", values)
        elif kind == 3 and values:
            return self._press(values[0])
        else:
            return []  # battery and settings of the wireless models
        self._moved = now
        return []

    def receive(self, topic: str, message: Any, now: float) -> None:
        """It listens to no topic."""

    def adopt(self, opening: float, joints: FloatArray) -> None:
        """The gripper goes on from here."""
        self._grip.opening = opening

    def hand(self, now: float) -> Hand:
        """What the cap says; one that has not reported lately is in its middle."""
        x, y, z, roll, pitch, yaw = (
            shaped(value / FULL, self._dead_zone) if now - self._moved < _STALE_S else 0.0 for value in self._cap
        )
        twist = np.array([-y, -x, -z, -pitch, -roll, -yaw])  # x forward, y left, z up: pushed away is forward
        return Hand(twist * self._speeds, self._grip.opening, bool(self._buttons & 1))

    def close(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)

    def _press(self, buttons: int) -> list[Request]:
        down, self._buttons = buttons & ~self._buttons, buttons
        if buttons & 3 == 3 and down & 3:
            return [Request.ENGAGE]
        if down & 2:
            self._grip.toggle()
        return []


def find_hidraw(directory: Path = _CLASS) -> Path:
    """The first SpaceMouse of the machine.

    Raises:
        SparkError: There is none.
    """
    for entry in sorted(directory.glob("hidraw*")) if directory.is_dir() else []:
        lines = (entry / "device" / "uevent").read_text(encoding="utf-8", errors="replace").splitlines()
        number = next((line.split("=")[1] for line in lines if line.startswith("HID_ID=")), "::")
        _, vendor, product = number.upper().split(":")
        if (vendor[-4:], product[-4:-2]) in _VENDORS:
            return Path("/dev") / entry.name
    raise SparkError("no SpaceMouse is connected: plug it in, or name its /dev/hidraw with the parameter path")
