"""One node as a child process: its log file, its prefixed output, its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from spark_ros.bringup.child import START_SIGNALS

# rcutils prints "[ERROR] [stamp] [node]: text", a Python traceback ends in "SomeError: text".
_ROS_ERROR = re.compile(r"\[(?:ERROR|FATAL)\](?: \[[^\]]*\])* ?:? ?(?P<text>.+)")
_PYTHON_ERROR = re.compile(r"^(?:[\w.]+\.)?\w*(?:Error|Exception|Interrupt)(?:: .*)?$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


class NodeProcess:
    """A running node.

    Attributes:
        name: The node's name in the graph.
        log: The file that receives everything it prints.
    """

    def __init__(
        self,
        name: str,
        module: str,
        arguments: Sequence[str],
        environment: Mapping[str, str],
        log: Path,
        lifeline: int,
        on_line: Callable[[str, str], None],
    ) -> None:
        """Start the node.

        Args:
            name: The node's name in the graph.
            module: Python module with the node's `main`.
            arguments: Its command line.
            environment: Its complete environment.
            log: Where its output goes.
            lifeline: Reading end of the supervisor's pipe, see `bringup.child`.
            on_line: Called with the name and each line, from this object's reading thread.
        """
        self.name = name
        self.log = log
        log.touch()
        self._on_line = on_line
        self._recent: deque[str] = deque(maxlen=200)
        # Blocked across the start, so that a signal finds the child only once it can take it: no traceback out of an
        # interpreter that was still importing.
        before = signal.pthread_sigmask(signal.SIG_BLOCK, START_SIGNALS)
        try:
            self._process = subprocess.Popen(
                [sys.executable, "-m", "spark_ros.bringup.child", str(lifeline), module, *arguments],
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                pass_fds=(lifeline,),
                start_new_session=True,  # Ctrl-C in the terminal reaches the supervisor alone, which passes it on
            )
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
        self._reader = threading.Thread(target=self._read, name=f"output of {name}", daemon=True)
        self._reader.start()

    @property
    def exit_code(self) -> int | None:
        """None while it runs; negative for the signal that ended it."""
        return self._process.poll()

    @property
    def pid(self) -> int:
        """Its process id, for whoever measures it."""
        return self._process.pid

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the node and whatever it started."""
        if self._process.poll() is None:
            try:
                os.killpg(self._process.pid, number)
            except ProcessLookupError:  # it ended between the two lines
                pass

    def wait(self, timeout_s: float) -> bool:
        """Whether it ended, output read to the last line, within the time."""
        try:
            self._process.wait(timeout_s)
        except subprocess.TimeoutExpired:
            return False
        self._reader.join(1.0)  # a grandchild may still hold the pipe open: do not wait for it
        return True

    def last_error(self) -> str:
        """The last line that reads like an error, else the last line, else a note that it was silent."""
        return last_error(list(self._recent))

    def _read(self) -> None:
        assert self._process.stdout is not None
        with self.log.open("a", encoding="utf-8") as file:
            for raw in self._process.stdout:
                line = raw.decode("utf-8", errors="replace").rstrip("\n")
                plain = without_colour(line)
                self._recent.append(plain)
                file.write(plain + "\n")
                file.flush()
                self._on_line(self.name, line)


def without_colour(line: str) -> str:
    """The line without a terminal's colour codes."""
    return _COLOUR.sub("", line)


def last_error(lines: Sequence[str]) -> str:
    """The line of a node's output that best says why it ended."""
    for line in reversed(lines):
        ros = _ROS_ERROR.search(line)
        if ros:
            return ros["text"].strip()
        if _PYTHON_ERROR.match(line):
            return line.strip()
    spoken = [line.strip() for line in lines if line.strip()]
    return spoken[-1] if spoken else "it printed nothing"


def describe_exit(code: int | None) -> str:
    """An exit status in words."""
    if code is None:
        return "still running"
    if code < 0:
        return f"killed by {signal.Signals(-code).name}"
    return f"exit status {code}"
