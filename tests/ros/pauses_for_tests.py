"""Whether the machine stood still while a test ran: nothing keeps real time on one that does.

A shared machine is now and then taken away for some tenths of a second. The gateway then holds, as it must, and a test
that wants to see the arm move fails for no fault of the code. Only such a test is run again (see `conftest`); what
fails on a machine that ran on has failed.
"""

from __future__ import annotations

import subprocess
import sys
import threading
import time

PAUSE_S = 0.08  # arms are given up after 0.2 s without joint states, some of which wait for others meanwhile
# In a process of its own: a thread of this one waits for its interpreter's lock too.
_WATCH = f"""
import time
last = time.monotonic()
while True:
    time.sleep(0.01)
    now = time.monotonic()
    if now - last > {PAUSE_S}:
        print(now, now - last, flush=True)
    last = now
"""


class PauseWatch:
    """Looks on from its making to `close`."""

    def __init__(self) -> None:
        self._pauses: list[tuple[float, float]] = []  # when it ended on the monotonic clock, and how long it was, s
        self._since = 0.0
        self._process = subprocess.Popen([sys.executable, "-c", _WATCH], stdout=subprocess.PIPE, text=True)
        self._reader = threading.Thread(target=self._read, name="pauses", daemon=True)
        self._reader.start()

    def begin(self) -> None:
        """From now on counts."""
        self._since = time.monotonic()

    def stood_still(self) -> bool:
        """Whether the machine did since `begin`."""
        time.sleep(0.05)  # the word of a pause at the very end is on its way
        return any(ended >= self._since for ended, _ in self._pauses)

    def summary(self) -> str:
        """What was seen from the beginning, for a person; empty if nothing was."""
        lengths = [length for _, length in self._pauses]
        return f"the machine stood still {len(lengths)} times, for up to {max(lengths):.2f} s" if lengths else ""

    def close(self) -> None:
        """Ends the process."""
        self._process.kill()
        self._process.wait()
        self._reader.join()
        assert self._process.stdout is not None
        self._process.stdout.close()

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            ended, length = map(float, line.split())
            self._pauses.append((ended, length))
