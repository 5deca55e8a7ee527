"""Memory that is no longer needed goes back to the system, which by itself glibc would keep."""

from __future__ import annotations

import ctypes


def give_back_freed_memory() -> None:
    """To be called once after something large was read; does nothing where the C library is another.

    A model's file and what compiling it took are freed in small pieces: 20 MB of the perception node's.
    """
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)  # malloc_trim(3)
    if trim is not None:
        trim(0)
