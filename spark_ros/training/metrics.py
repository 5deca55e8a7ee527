"""metrics.csv, and the same as a picture."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class MetricsFile:
    """A CSV file with one row per validation.

    Args:
        path: The file.
        columns: Its columns; ``step`` must be one of them.
    """

    def __init__(self, path: Path, columns: Sequence[str]) -> None:
        self._path = path
        self._columns = tuple(columns)

    def truncate(self, step: int) -> None:
        """Keep the rows up to `step`: what came later is about to be computed again. Makes the file if need be."""
        rows = [row for row in self.rows() if int(row["step"]) <= step]
        temporary = self._path.with_name(self._path.name + ".part")
        with temporary.open("w", newline="") as file:
            writer = csv.DictWriter(file, self._columns)
            writer.writeheader()
            writer.writerows(rows)
        os.replace(temporary, self._path)

    def append(self, row: Mapping[str, float | int | str]) -> None:
        """Add one row."""
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    def rows(self) -> list[dict[str, str]]:
        """All complete rows; one torn by a power cut is left out."""
        if not self._path.exists():
            return []
        with self._path.open(newline="") as file:
            return [row for row in csv.DictReader(file) if tuple(row) == self._columns and None not in row.values()]


@dataclass(frozen=True)
class Panel:
    """One of the plots beside each other.

    Attributes:
        title: Above it.
        columns: What is drawn over steps; a column that no row has is left out.
        labels: The columns' names in the legend; that of the column by default.
        log: Logarithmic values.
    """

    title: str
    columns: Sequence[str]
    labels: Sequence[str] | None = None
    log: bool = True


def plot_curves(rows: Sequence[Mapping[str, str]], panels: Sequence[Panel], path: Path) -> None:
    """Columns over steps, as PNG.

    Args:
        rows: Each with ``step``; an empty value is not drawn.
        panels: What to draw.
        path: Where to.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    figure, axes = plt.subplots(1, len(panels), figsize=(5 * len(panels), 4), layout="constrained", squeeze=False)
    for axis, panel in zip(axes[0], panels, strict=True):
        for column, label in zip(panel.columns, panel.labels or panel.columns, strict=True):
            drawn = [(int(row["step"]), float(row[column])) for row in rows if row.get(column)]
            if drawn:
                axis.plot(*zip(*drawn, strict=True), label=label)
        axis.set(yscale="log" if panel.log else "linear", xlabel="step", title=panel.title)
        axis.grid(True, which="both", alpha=0.3)
        if axis.lines:
            axis.legend()
    figure.savefig(path, dpi=100)
    plt.close(figure)
