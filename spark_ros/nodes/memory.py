"""Memory that is no longer needed goes back to the system, which by itself glibc would keep."""

from __future__ import annotations

import ctypes


def give_back_freed_memory() -> None:
    """To be called after something large was read; does nothing where the C library is another.

    An encoder's file and what preparing it took are freed in small pieces: 16 MB of the perception node's.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # malloc_trim(3)
    if trim is not None:
        trim(0)
