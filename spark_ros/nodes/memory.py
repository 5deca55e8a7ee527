"""How a node's process keeps and returns memory, where the C library is glibc; elsewhere these do nothing."""

from __future__ import annotations

import ctypes
from typing import Any

# Parameters of mallopt(3), from <malloc.h>.
_M_TRIM_THRESHOLD, _M_MMAP_THRESHOLD, _M_ARENA_MAX = -1, -3, -8
# A picture of full HD has 6.2 MB, and there are two or three copies of one on its way through a node.
LARGEST_KEPT = 8 << 20  # bytes
MOST_KEPT = 16 << 20  # bytes


def keep_memory_of_images() -> None:
    """To be called before a node is made: what an image leaves is used by the next one.

    By itself glibc gives large blocks back to the system as soon as they are free. Each of an image's copies then
    begins with fresh pages, which take longer to come by than to fill: from camera to callback 3.2 ms for 640x480
    instead of 2.0. And it gives threads heaps of their own, of which DDS makes a dozen: memory that nobody uses.
    """
    _call("mallopt", _M_MMAP_THRESHOLD, LARGEST_KEPT)
    _call("mallopt", _M_TRIM_THRESHOLD, MOST_KEPT)
    _call("mallopt", _M_ARENA_MAX, 2)


def give_back_freed_memory() -> None:
    """To be called after something large was read.

    An encoder's file and what preparing it took are freed in small pieces: 16 MB of the perception node's.
    """
    _call("malloc_trim", 0)


def _call(name: str, *values: int) -> Any:
    function = getattr(ctypes.CDLL(None), name, None)
    return None if function is None else function(*values)
