"""Linux input events (``struct input_event``) from a device of /dev/input, or from a pipe that replays recorded ones.

A pipe is not for driving a real arm from afar: a connection that stalls looks like a button that is held.
"""

from __future__ import annotations

import os
import stat
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from spark_ros.contracts import SparkError

_EVENT = struct.Struct("llHHi")  # seconds, microseconds, type, code, value
EV_SYN, EV_KEY, EV_ABS, SYN_DROPPED = 0, 1, 3, 3

Event = tuple[int, int, int]  # type, code, value


class InputEvents:
    """An open source of events.

    Args:
        path: Device or pipe.

    Attributes:
        path: What was opened.
        ranges: Lowest and highest value of each absolute axis that the device knows of, by code; {} for a pipe.
        name: What the device calls itself.

    Raises:
        SparkError: It cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.ranges: Mapping[int, tuple[int, int]] = {}
        self.name = path.name
        self._rest = b""
        self._connected = False
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        except OSError as error:
            raise SparkError(
                f"cannot read {path}: {error.strerror}; plug the device in, and be in the group that owns it (input)"
            ) from error
        self._pipe = stat.S_ISFIFO(os.fstat(self._descriptor).st_mode)
        if not self._pipe:
            self._ask()

    def read(self) -> list[Event]:
        """What has come since the last time, without waiting.

        Raises:
            SparkError: The device has gone.
        """
        ended = False
        try:
            while data := os.read(self._descriptor, 64 * _EVENT.size):
                self._rest += data
                self._connected = True
            ended, self._connected = self._connected, False  # nobody holds the other end of the pipe any more
        except BlockingIOError:
            pass
        except OSError as error:
            raise SparkError(f"{self.name} ({self.path}) has gone: {error.strerror}; plug it in again") from error
        whole = len(self._rest) - len(self._rest) % _EVENT.size
        events = [event[2:] for event in _EVENT.iter_unpack(self._rest[:whole])]
        self._rest = self._rest[whole:]
        return [*events, (EV_SYN, SYN_DROPPED, 0)] if ended else events

    def close(self) -> None:
        """Let go of the device."""
        os.close(self._descriptor)

    def _ask(self) -> None:
        device = _evdev().InputDevice(str(self.path))
        with device:
            self.name = device.name
            axes = device.capabilities(absinfo=True).get(EV_ABS, [])
            self.ranges = {code: (info.min, info.max) for code, info in axes}


def find_device(kind: str, keys: set[int], axes: set[int]) -> Path:
    """The first device of /dev/input that has all these keys and absolute axes.

    Raises:
        SparkError: There is none.
    """
    evdev = _evdev()
    for path in sorted(evdev.list_devices()):
        with evdev.InputDevice(path) as device:
            has = device.capabilities(absinfo=False)
        if keys <= set(has.get(EV_KEY, [])) and axes <= set(has.get(EV_ABS, [])):
            return Path(path)
    raise SparkError(
        f"no {kind} in /dev/input that this user may read: plug it in, and be in the group that owns it (input), or "
        "name it with the parameter path"
    )


def _evdev() -> Any:  # the module
    try:
        import evdev
    except ImportError as error:
        raise SparkError("this device needs the library evdev: pip install evdev-binary") from error
    return evdev
