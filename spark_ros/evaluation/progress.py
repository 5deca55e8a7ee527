"""One progress bar for everything that runs episodes."""

from __future__ import annotations

import sys

from tqdm import tqdm

_LOG_EVERY_S = 15.0  # in a log file, where every update is a line of its own


def progress_bar(description: str, total: int, done: int, shown: bool) -> tqdm:
    """A bar on stderr that counts episodes.

    Args:
        description: What is being done, in a word.
        total: Episodes in the end.
        done: Those that were there before.
        shown: False for silence.
    """
    return tqdm(
        total=total,
        initial=min(done, total),
        desc=description,
        unit="episode",
        disable=not shown,
        mininterval=0.1 if sys.stderr.isatty() else _LOG_EVERY_S,
    )
