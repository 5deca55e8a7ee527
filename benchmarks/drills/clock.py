"""Runs a node of the product by a clock of the drill's: the computer's, off by as much as a file says.

    python -m benchmarks.drills.clock FILE MODULE [the node's arguments]

What a node stamps with, `get_clock().now()`, jumps for all nodes at the same moment, at no cost: /clock, told to five
nodes often enough for their stamps, took so much of two cores that the gateway's ticks came late. What the middleware
stamps with stays true, and so does monotonic time, as where time synchronisation sets a computer's clock.
"""

from __future__ import annotations

import importlib
import mmap
import struct
import sys
from pathlib import Path

import rclpy.clock
from rclpy.duration import Duration
from rclpy.time import Time

_OFFSET = struct.Struct("<q")  # ns


class DrillClock:
    """By how much the clock is off; who has the same file reads what the other one writes."""

    def __init__(self, path: Path) -> None:
        """Makes the file where there is none."""
        if not path.exists():
            path.write_bytes(_OFFSET.pack(0))
        with path.open("r+b") as file:
            self._shared = mmap.mmap(file.fileno(), _OFFSET.size)

    @property
    def offset_ns(self) -> int:
        """Nanoseconds that the clock is ahead of the computer's."""
        offset: int = _OFFSET.unpack(self._shared[:])[0]
        return offset

    def jump(self, seconds: float) -> None:
        """Puts the clock forward by this much, and leaves it there."""
        self._shared[:] = _OFFSET.pack(self.offset_ns + round(1e9 * seconds))

    def drive(self) -> None:
        """Has all nodes of this process stamp by it."""
        true_now = rclpy.clock.Clock.now

        def now(clock: rclpy.clock.Clock) -> Time:
            time = true_now(clock)
            if clock.clock_type is rclpy.clock.ClockType.STEADY_TIME:
                return time
            return time + Duration(nanoseconds=self.offset_ns)

        rclpy.clock.Clock.now = now


def main() -> int:
    """Does what the node's module does."""
    path, module, *arguments = sys.argv[1:]
    DrillClock(Path(path)).drive()
    sys.argv = [module, *arguments]
    code: int = importlib.import_module(module).main()
    return code


if __name__ == "__main__":
    raise SystemExit(main())
