"""metrics.csv, and the same as a picture."""

from __future__ import annotations

import csv
import os
from collections.abc import Mapping, Sequence
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

    def append(self, row: Mapping[str, float | int]) -> None:
        """Add one row."""
        with self._path.open("a", newline="") as file:
            csv.DictWriter(file, self._columns).writerow(row)

    def rows(self) -> list[dict[str, str]]:
        """All complete rows; one torn by a power cut is left out."""
        if not self._path.exists():
            return []
        with self._path.open(newline="") as file:
            return [row for row in csv.DictReader(file) if tuple(row) == self._columns and None not in row.values()]


def plot_curves(rows: Sequence[Mapping[str, str]], path: Path) -> None:
    """Losses and physical errors over steps, as PNG.

    Args:
        rows: Of a `MetricsFile` with the columns ``step``, ``train_loss``, ``val_loss`` and any ``val_<what>_<unit>``.
        path: Where to.
    """
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    steps = [int(row["step"]) for row in rows]
    figure, (losses, errors) = plt.subplots(1, 2, figsize=(10, 4), layout="constrained")
    for column, label in (("train_loss", "training"), ("val_loss", "validation (averaged weights)")):
        losses.plot(steps, [float(row[column]) for row in rows], label=label)
    losses.set(yscale="log", xlabel="step", title="loss")
    losses.legend()
    for column in rows[0] if rows else ():
        if column.startswith("val_") and column != "val_loss":
            errors.plot(steps, [float(row[column]) for row in rows], label=column.removeprefix("val_"))
    errors.set(yscale="log", xlabel="step", title="mean error on held-out episodes")
    errors.legend()
    for axes in (losses, errors):
        axes.grid(True, which="both", alpha=0.3)
    figure.savefig(path, dpi=100)
    plt.close(figure)
