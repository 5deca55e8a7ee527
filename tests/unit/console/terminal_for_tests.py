"""A program in a real pseudo-terminal, and what a terminal would show of it."""

from __future__ import annotations

import fcntl
import os
import pty
import re
import select
import struct
import subprocess
import termios
import threading
import time
from collections.abc import Callable, Mapping, Sequence

import pyte

COLOUR = re.compile(rb"\x1b\[[\d;]*\b[34]\d(;\d+)*m")
TERM = "screen-256color"  # whose sequences pyte knows; it lacks xterm's "repeat the last character"
LEFT = b"\x1b[?1049l"  # the screen is given back that was there before


class Terminal:
    """The program, and what a terminal of 80x24 makes of what it writes."""

    def __init__(self, program: Sequence[str], environment: Mapping[str, str], **more: str) -> None:
        self.keyboard, slave = pty.openpty()
        fcntl.ioctl(slave, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 80, 0, 0))
        self.before = termios.tcgetattr(slave)
        environment = {**environment, "TERM": TERM, "LC_ALL": "C.UTF-8", **more}
        # Its own terminal, so that Ctrl-C and the end of a connection reach it.
        command = ["setsid", "--ctty", *program]
        self.process = subprocess.Popen(command, env=environment, stdin=slave, stdout=slave, stderr=slave)
        self._slave = slave  # kept open: what the program set can be asked for after its end
        self._screen = pyte.Screen(80, 24)
        self._stream = pyte.ByteStream(self._screen)
        self._lock = threading.Lock()
        self.written = b""
        self._enough = threading.Event()
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        while not self._enough.is_set():
            if not select.select([self.keyboard], [], [], 0.05)[0]:
                continue  # not in `read`, which would keep a closed terminal open
            data = os.read(self.keyboard, 4096)
            with self._lock:
                self.written += data
                self._stream.feed(data)

    @property
    def rows(self) -> list[str]:
        with self._lock:
            return list(self._screen.display)

    def shows(self, *parts: str, seconds: float = 60.0) -> None:
        seen = until(lambda: all(part in "\n".join(self.rows) for part in parts), seconds)
        assert seen, "\n".join([*parts, "is not on", *self.rows])

    def type(self, keys: str) -> None:
        """Once the last answer has come."""
        assert until(lambda: not any(row.rstrip().endswith(" ...") for row in self.rows))
        os.write(self.keyboard, keys.encode())

    def restored(self) -> bool:
        return termios.tcgetattr(self._slave) == self.before and LEFT in self.written

    def resize(self, rows: int, columns: int) -> None:
        """As when somebody pulls at the corner of a window."""
        with self._lock:
            self._screen.resize(rows, columns)
        fcntl.ioctl(self.keyboard, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))

    def hang_up(self) -> None:
        """As when a connection is lost."""
        self._enough.set()
        self._reader.join()
        os.close(self._slave)
        os.close(self.keyboard)
        self._slave = self.keyboard = -1

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        if self.keyboard >= 0:
            self.hang_up()


def until(condition: Callable[[], bool], seconds: float = 20.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()
