"""Single keys from the terminal: works on a console, in every desktop's terminal and over ssh, needs no window."""

from __future__ import annotations

import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager

from spark_ros.contracts import SparkError

ESCAPE = "\x1b"


class Keys:
    """Reads keys from a terminal that `single_keys` has switched."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    def read(self, timeout_s: float) -> list[str]:
        """The characters typed by now; waits at most `timeout_s` for the first one.

        Arrow and function keys, which arrive as several characters after an escape, are left out.

        Raises:
            EOFError: The terminal has gone.
        """
        if not select.select([self._descriptor], [], [], timeout_s)[0]:
            return []
        try:
            typed = os.read(self._descriptor, 1024).decode("utf-8", errors="ignore")
        except OSError:
            typed = ""
        if not typed:
            raise EOFError("the terminal has gone")
        return list(typed.partition(ESCAPE)[0])


@contextmanager
def single_keys(program: str) -> Iterator[Keys]:
    """Deliver keys one by one, unechoed, while the block runs; Ctrl-C stays an interrupt.

    Args:
        program: Who needs the terminal, for the message.

    Raises:
        SparkError: Standard input is no terminal.
    """
    if not sys.stdin.isatty():
        raise SparkError(
            f"{program} needs a terminal to read keys from and its standard input is none; "
            f"start it by itself in a terminal: ros2 run spark_ros {program}"
        )
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    try:
        tty.setcbreak(descriptor)
        yield Keys(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)
