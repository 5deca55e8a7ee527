"""What a person at the terminal sees of a running graph: every node's lines, each under its name and colour."""

from __future__ import annotations

import os
import sys
import threading
from typing import TextIO

_COLOURS = (36, 32, 35, 34, 33, 96, 92, 95)  # readable on dark and light; red stays for errors
_RED, _BOLD = 31, 1


class Console:
    """Prints whole lines from several threads.

    Args:
        stream: Where to; stderr by default, so that stdout stays for a program's result.
        width: Columns reserved for the names.
    """

    def __init__(self, stream: TextIO | None = None, width: int = 17) -> None:
        self._stream = sys.stderr if stream is None else stream
        self._width = width
        self._colour = self._stream.isatty() and "NO_COLOR" not in os.environ
        self._order: dict[str, int] = {}
        self._lock = threading.Lock()

    def line(self, name: str, text: str) -> None:
        """A line of a node."""
        with self._lock:
            number = self._order.setdefault(name, len(self._order))
            prefix = f"{name:<{self._width}} | "
            shown = self._painted(text, _RED) if "[ERROR]" in text or "[FATAL]" in text else text
            self._write(self._painted(prefix, _COLOURS[number % len(_COLOURS)]) + shown)

    def say(self, text: str) -> None:
        """A line of the supervisor's own."""
        with self._lock:
            self._write(self._painted(text, _BOLD))

    def _painted(self, text: str, code: int) -> str:
        return f"\x1b[{code}m{text}\x1b[0m" if self._colour else text

    def _write(self, text: str) -> None:
        try:
            self._stream.write(text + "\n")
            self._stream.flush()
        except (BrokenPipeError, ValueError):  # the reader (| head) has gone, or the stream is closed: the logs remain
            pass
