"""A gamepad as the kernel shows it (Linux gamepad specification: sticks, bumpers and buttons by where they are)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from spark_ros.contracts import FloatArray
from spark_ros.teleop.base import Grip, Hand, Request, Settings, shaped
from spark_ros.teleop.input_events import EV_ABS, EV_KEY, EV_SYN, SYN_DROPPED, InputEvents, find_device

SOUTH, EAST, NORTH, WEST = 0x130, 0x131, 0x133, 0x134
LEFT_BUMPER, RIGHT_BUMPER, SELECT, START = 0x136, 0x137, 0x13A, 0x13B
LEFT_THUMB, RIGHT_THUMB = 0x13D, 0x13E
LEFT_X, LEFT_Y, LEFT_TRIGGER, RIGHT_X, RIGHT_Y, HAT_X, HAT_Y = 0, 1, 2, 3, 4, 0x10, 0x11

HELP = """\
  left bumper   deadman: hold it to move          A south   engage        B east   hold
  left stick    forward, back, left, right        X west    hand back to the policy
  right stick   up, down, yaw                     Y north   these steps are not for imitation, and back
  left trigger  with it the left stick rolls      start     reset         select   stop (latched until reset)
  right bumper  close or open the gripper         cross     up: start, right: keep, left: discard, down: again
  stick press   left: slower, right: faster"""

_BUTTONS = {
    SOUTH: Request.ENGAGE, EAST: Request.HOLD, WEST: Request.HAND_BACK, START: Request.RESET, SELECT: Request.STOP,
}  # fmt: skip
_CROSS = {
    (HAT_Y, -1): Request.START, (HAT_X, 1): Request.KEEP, (HAT_X, -1): Request.DISCARD, (HAT_Y, 1): Request.AGAIN,
}  # fmt: skip
_STICK, _TRIGGER = (-32768, 32767), (0, 255)  # where nobody can be asked: the values of most
_SLOWEST, _FASTEST, _STEP = 0.1, 1.0, 1.5


class Gamepad:
    """The first gamepad found, or the one at `Settings.path`."""

    inputs: Mapping[str, str] = {}

    def __init__(self, settings: Settings) -> None:
        path = Path(settings.path) if settings.path else find_device("gamepad", {SOUTH, LEFT_BUMPER}, {LEFT_X, RIGHT_X})
        self._events = InputEvents(path)
        self._speeds = np.array([settings.linear_speed] * 3 + [settings.angular_speed] * 3)
        self._dead_zone = settings.dead_zone
        self._axes: dict[int, float] = {}
        self._keys: set[int] = set()
        self._grip, self._imitate, self._speed = Grip(), True, 0.5
        self.note = f"{self._events.name}\n{HELP}"

    def poll(self, now: float) -> list[Request]:
        """Read the events; what the buttons asked for."""
        requests: list[Request] = []
        for kind, code, value in self._events.read():
            self.note = ""
            if kind == EV_SYN and code == SYN_DROPPED:  # some events are lost, perhaps the one of letting go
                self._keys.clear()
                self._axes.clear()
            elif kind == EV_KEY:
                requests += self._key(code, bool(value), repeated=value == 2)
            elif kind == EV_ABS:
                requests += [_CROSS[code, value]] if (code, value) in _CROSS else []
                self._axes[code] = self._share(code, value)
        return requests

    def receive(self, topic: str, message: Any, now: float) -> None:
        """It listens to no topic."""

    def adopt(self, opening: float, joints: FloatArray) -> None:
        """The gripper goes on from here."""
        self._grip.opening = opening

    def hand(self, now: float) -> Hand:
        """What the sticks say."""
        left_x, left_y, right_x, right_y = (
            -shaped(self._axes.get(code, 0.0), self._dead_zone) for code in (LEFT_X, LEFT_Y, RIGHT_X, RIGHT_Y)
        )  # forward and left are negative on a stick, positive on an arm
        if self._axes.get(LEFT_TRIGGER, -1.0) > 0.0:
            twist = np.array([0.0, 0.0, right_y, -left_x, left_y, right_x])
        else:
            twist = np.array([left_y, left_x, right_y, 0.0, 0.0, right_x])
        return Hand(twist * self._speeds * self._speed, self._grip.opening, LEFT_BUMPER in self._keys, self._imitate)

    def close(self) -> None:
        """Let go of it."""
        self._events.close()

    def _key(self, code: int, down: bool, repeated: bool) -> list[Request]:
        if not down:
            self._keys.discard(code)
            return []
        if repeated:
            return []
        self._keys.add(code)
        if code == RIGHT_BUMPER:
            self._grip.toggle()
        elif code == NORTH:
            self._imitate = not self._imitate
        elif code in (LEFT_THUMB, RIGHT_THUMB):
            factor = _STEP if code == RIGHT_THUMB else 1 / _STEP
            self._speed = float(np.clip(self._speed * factor, _SLOWEST, _FASTEST))
        return [_BUTTONS[code]] if code in _BUTTONS else []

    def _share(self, code: int, value: int) -> float:
        """A value as -1..1 of its range."""
        lowest, highest = self._events.ranges.get(code, _TRIGGER if code == LEFT_TRIGGER else _STICK)
        return float(np.clip(2.0 * (value - lowest) / max(highest - lowest, 1) - 1.0, -1.0, 1.0))
