"""Whether the disk and the memory have room for what is being recorded."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

MB = 1_000_000


@dataclass(frozen=True)
class Room:
    """What a recording needs.

    Attributes:
        disk_mb: Free space on the folder's file system, MB.
        ram_mb: Memory that can be had without swapping, MB.
    """

    disk_mb: float
    ram_mb: float

    def lacking(self, folder: Path) -> str:
        """A sentence where there is less than that; empty where there is enough."""
        disk, ram = free_disk_mb(folder), available_ram_mb()
        if disk < self.disk_mb:
            return (
                f"{folder} has {disk:.0f} MB of free disk, {self.disk_mb:.0f} MB are needed: make room, or record to "
                "another disk"
            )
        if ram < self.ram_mb:
            return f"{ram:.0f} MB of memory are free, {self.ram_mb:.0f} MB are needed: close other programs"
        return ""


def free_disk_mb(folder: Path) -> float:
    """MB that may still be written to the folder by who we are."""
    status = os.statvfs(folder)
    return status.f_bavail * status.f_frsize / MB


def available_ram_mb() -> float:
    """MB that the kernel expects to hand out without swapping."""
    for line in Path("/proc/meminfo").read_text(encoding="ascii").splitlines():
        if line.startswith("MemAvailable:"):
            return int(line.split()[1]) * 1024 / MB
    return float("inf")  # no such line before Linux 3.14: then nobody can tell
