"""The study as pictures: success with its intervals, success by shift, success over demonstrations."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("Agg")

import numpy as np
from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.study.arms import ARMS
from benchmarks.study.summary import is_whole, marked

COLOURS = {"spark": "#2a9d5c", "vanilla": "#3b6fb6", "control": "#9a9a9a", "ablation": "#e0a030", "other": "#8a63b0"}


def draw(summary: Mapping[str, Mapping[str, Any]], folder: Path) -> list[Path]:
    """Draws what there is to draw.

    Args:
        summary: Of `summary.summarise`.
        folder: Where the PNG files go.

    Returns:
        The files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    files = []
    for suite, arms in summary.items():
        files.append(_save(_bars(suite, arms), folder / f"results_{suite}.png"))
        if any("shifts" in arm for arm in arms.values()):
            files.append(_save(_heat_map(arms), folder / f"results_{suite}_shifts.png"))
        if any("by_demos" in arm for arm in arms.values()):
            files.append(_save(_demo_curves(arms), folder / f"results_{suite}_demos.png"))
    return files


def _bars(suite: str, arms: Mapping[str, Any]) -> Figure:
    figure, axes = plt.subplots(figsize=(8, 0.6 + 0.36 * len(arms)), layout="constrained")
    names = list(arms)[::-1]
    rates = np.array([arms[name]["success"] for name in names])
    low, high = np.array([arms[name]["ci95"] for name in names]).T
    errors = np.clip([rates - low, high - rates], 0.0, None)
    colours = [_colour(name, suite) for name in names]
    shown = [marked(name, arms) for name in names]
    bars = axes.barh(shown, 100 * rates, xerr=100 * errors, color=colours, error_kw={"capsize": 3, "lw": 1})
    for name, bar in zip(names, bars, strict=True):
        bar.set_alpha(1.0 if is_whole(arms[name], arms.values()) else 0.35)
    axes.set(xlim=(0, 100), xlabel="success, % (95% interval)")
    axes.grid(axis="x", alpha=0.3)
    axes.set_axisbelow(True)
    return figure


def _heat_map(arms: Mapping[str, Any]) -> Figure:
    arms = {name: arm for name, arm in arms.items() if is_whole(arm, arms.values())}
    shifts = list(dict.fromkeys(shift for arm in arms.values() for shift in arm.get("shifts", {})))
    values = np.full((len(arms), len(shifts)), np.nan)
    for row, arm in enumerate(arms.values()):
        for column, shift in enumerate(shifts):
            if shift in arm.get("shifts", {}):
                values[row, column] = 100 * arm["shifts"][shift]["success"]
    figure, axes = plt.subplots(figsize=(2.2 + 0.8 * len(shifts), 1.0 + 0.34 * len(arms)), layout="constrained")
    image = axes.imshow(values, cmap="viridis", vmin=0, vmax=100, aspect="auto")
    axes.set_xticks(range(len(shifts)), [shift.replace("_", "\n") for shift in shifts])
    axes.set_yticks(range(len(arms)), list(arms))
    for (row, column), value in np.ndenumerate(values):
        if np.isfinite(value):
            colour = "white" if value < 60 else "black"
            axes.text(column, row, f"{value:.0f}", ha="center", va="center", color=colour, fontsize=8)
    figure.colorbar(image, label="success, %")
    return figure


def _demo_curves(arms: Mapping[str, Any]) -> Figure:
    figure, axes = plt.subplots(figsize=(7, 4.2), layout="constrained")
    for place, (name, arm) in enumerate(arms.items()):
        points = {
            count: rate
            for count, rate in arm.get("by_demos", {}).items()
            if is_whole(rate, (other.get("by_demos", {}).get(count) for other in arms.values()))
        }
        if points:
            _curve(axes, name, points, place, len(arms))
    axes.set(xlabel="demonstrations", ylabel="success, % (95% interval)", ylim=(0, 100), xscale="log")
    axes.minorticks_off()
    counts = sorted({int(count) for arm in arms.values() for count in arm.get("by_demos", {})})
    axes.set_xticks(counts, list(map(str, counts)))
    axes.grid(alpha=0.3)
    axes.legend(fontsize=7, ncols=2)
    return figure


def _curve(axes: Axes, name: str, points: Mapping[str, Any], place: int, count: int) -> None:
    """One arm; a little aside, so that intervals do not cover each other."""
    demos = np.array([int(number) for number in points]) * 1.02 ** (place - count / 2)
    rates = np.array([point["success"] for point in points.values()])
    low, high = np.array([point["ci95"] for point in points.values()]).T
    style = "-" if name.startswith("spark") else "--"
    errors = 100 * np.clip([rates - low, high - rates], 0.0, None)
    colour = plt.get_cmap("tab20")(place % 20)
    axes.errorbar(demos, 100 * rates, errors, label=name, color=colour, ls=style, marker="o", ms=3, lw=1.2, capsize=2)


def _colour(name: str, suite: str) -> str:
    arm = ARMS[name]
    if arm.reference:
        return COLOURS["vanilla"]
    if arm.post_training is None:
        return COLOURS["control"]
    if not arm.in_domain(suite):
        return COLOURS["other"]
    return COLOURS["spark" if name.startswith("spark") else "ablation"]


def _save(figure: Figure, path: Path) -> Path:
    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
