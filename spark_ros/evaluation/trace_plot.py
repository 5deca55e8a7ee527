"""A picture of a latency trace: what each command waited for, and how the waits are spread."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from spark_ros.contracts import SparkError
from spark_ros.runtime.trace import STAGES, Stamps, durations_ms


def plot_trace(paths: Sequence[Stamps], file: Path) -> None:
    """Write a PNG: above, the parts of every path over time, stacked; below, the share of paths within a latency.

    Args:
        paths: At least one.
        file: Where to write.

    Raises:
        SparkError: The file cannot be written.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    parts = durations_ms(paths)
    seconds = np.array([path.capture_ns - paths[0].capture_ns for path in paths]) * 1e-9
    total = parts.sum(axis=1)
    figure = Figure(figsize=(10, 7), layout="constrained")
    FigureCanvasAgg(figure)
    above, below = figure.subplots(2, 1)
    above.stackplot(seconds, np.maximum(parts, 0.0).T, labels=list(STAGES), step="mid", alpha=0.9)
    above.set(xlabel="capture, s", ylabel="ms since capture", title="from camera to command, by stage")
    above.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0), reverse=True)
    share = np.arange(1, len(paths) + 1) / len(paths)
    reached = np.cumsum(parts, axis=1)
    for number, name in enumerate(STAGES):
        below.plot(np.sort(reached[:, number]), 100 * share, label=name)
    for quantile in (0.5, 0.95, 0.99):
        value = float(np.quantile(total, quantile))
        below.axvline(value, color="0.5", linewidth=0.8)
        below.text(value, 2, f" p{100 * quantile:.0f} {value:.0f} ms", rotation=90, va="bottom", fontsize=8)
    below.set(xlabel="ms since capture", ylabel="% of paths that are there", xlim=(0, None), ylim=(0, 101))
    below.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    try:
        figure.savefig(file, dpi=110)
    except OSError as error:
        raise SparkError(f"cannot write {file} ({error.strerror}): give another folder") from error
