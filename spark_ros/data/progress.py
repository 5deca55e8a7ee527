"""Progress of long work on data, on stderr, for those who wait."""

from __future__ import annotations

import sys

from tqdm import tqdm

_LOG_EVERY_S = 15.0  # in a log file, where every update is a line of its own


def data_bar(description: str, total: int, unit: str = "frame", shown: bool = True) -> tqdm:
    """A bar to update by hand.

    Args:
        description: What is being done, in a word.
        total: How many in the end.
        unit: Of what.
        shown: False for silence.
    """
    interval = 0.1 if sys.stderr.isatty() else _LOG_EVERY_S
    return tqdm(total=total, desc=description, unit=unit, disable=not shown, mininterval=interval, leave=False)
