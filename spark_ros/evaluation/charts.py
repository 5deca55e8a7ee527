"""The report's charts as SVG, in colours of the page (CSS variables), legible on a phone."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import ceil, floor, log10

import numpy as np

from spark_ros.evaluation.results import EpisodeResult

_WIDTH, _HEIGHT = 480, 290
_LEFT, _RIGHT, _TOP, _BOTTOM = 40, 56, 30, 52
_BINS = 36


def histogram(values: Sequence[float], label: str, marks: dict[str, float], limit: float | None = None) -> str:
    """A histogram with its cumulative curve.

    Args:
        values: At least one.
        label: Of the horizontal axis, with the unit.
        marks: Vertical lines by name, e.g. percentiles.
        limit: A line that the values should stay left of.
    """
    data = np.asarray(values, np.float64)
    shown = [data.max(), *marks.values(), *([limit] if limit is not None else [])]
    step = _nice_step(max(shown) * 1.02 / 6)
    right = step * max(1, ceil(max(shown) * 1.02 / step))
    counts, edges = np.histogram(data, bins=_BINS, range=(0.0, right))
    x, y = _Scale(0.0, right, _LEFT, _WIDTH - _RIGHT), _Scale(0.0, float(counts.max()), _HEIGHT - _BOTTOM, _TOP)
    share = _Scale(0.0, 1.0, _HEIGHT - _BOTTOM, _TOP)
    parts = [_grid(x, np.arange(0.0, right + step / 2, step).tolist(), label)]
    for count, begin, end in zip(counts, edges, edges[1:], strict=False):
        if count:
            width = max(x(end) - x(begin) - 1.5, 1.0)
            parts.append(
                f'<rect class="bar" x="{x(begin) + 0.75:.1f}" y="{y(count):.1f}" width="{width:.1f}" '
                f'height="{y(0) - y(count):.1f}" rx="1.5"><title>{begin:.0f} to {end:.0f}: {count}</title></rect>'
            )
    ordered = np.sort(data)
    every = max(1, len(ordered) // 200)
    points = [(0.0, 0.0), *((value, (i + 1) / len(ordered)) for i, value in enumerate(ordered))]
    chosen = [points[0], *points[1::every], points[-1]]
    parts.append(
        f'<polyline class="curve" points="{" ".join(f"{x(value):.1f},{share(part):.1f}" for value, part in chosen)}"/>'
    )
    for part in (0.0, 0.5, 1.0):
        parts.append(_text(_WIDTH - _RIGHT + 5, share(part) + 5, f"{100 * part:.0f}%", "start"))
    parts.append(_marks(x, marks))
    if limit is not None:
        parts.append(f'<line class="limit" x1="{x(limit):.1f}" x2="{x(limit):.1f}" y1="{_TOP}" y2="{y(0):.1f}"/>')
    return _svg(_HEIGHT, parts, f"Histogram of {label}")


def timeline(results: Sequence[EpisodeResult], longest_s: float) -> str:
    """One bar per episode, as long as it took, coloured by how it ended."""
    row = max(5.0, min(22.0, 210 / max(len(results), 1)))
    height = round(_TOP / 2 + row * len(results) + _BOTTOM)
    right = max([longest_s, *(result.duration_s for result in results)])
    step = _nice_step(right / 6)
    x = _Scale(0.0, right, _LEFT, _WIDTH - _RIGHT / 2)
    parts = [_grid(x, np.arange(0.0, right + 1e-9, step).tolist(), "task time in s", _TOP / 2, height)]
    for number, result in enumerate(results):
        top = _TOP / 2 + row * number
        kind = "good" if result.success else "bad"
        title = escape(f"seed {result.seed}: {result.ending}, {result.duration_s:.1f} s")
        parts.append(
            f'<rect class="{kind}" x="{x(0):.1f}" y="{top + row * 0.12:.1f}" '
            f'width="{max(x(result.duration_s) - x(0), 2.0):.1f}" height="{row * 0.76:.1f}" rx="2">'
            f"<title>{title}</title></rect>"
        )
        if (number + 1) % 5 == 0 or number == 0:
            parts.append(_text(_LEFT - 6, top + row / 2 + 5, str(number + 1), "end"))
    return _svg(height, parts, "Duration of each episode")


def interval(rate: float, low: float, high: float) -> str:
    """A success rate on a line from 0 to 100%, with its confidence interval."""
    x = _Scale(0.0, 1.0, 12, _WIDTH - 12)
    parts = [
        f'<line class="axis thick" x1="{x(0):.1f}" x2="{x(1):.1f}" y1="18" y2="18"/>',
        f'<line class="range" x1="{x(low):.1f}" x2="{x(high):.1f}" y1="18" y2="18"/>',
        f'<circle class="point" cx="{x(rate):.1f}" cy="18" r="8"/>',
    ]
    parts += [_text(x(0), 44, "0%", "start"), _text(x(0.5), 44, "50%", "middle"), _text(x(1), 44, "100%", "end")]
    return _svg(50, parts, f"Success rate {rate:.0%}, 95% interval {low:.0%} to {high:.0%}")


class _Scale:
    """Values to pixels."""

    def __init__(self, low: float, high: float, begin: float, end: float) -> None:
        self._low, self._factor, self._begin = low, (end - begin) / max(high - low, 1e-12), begin

    def __call__(self, value: float) -> float:
        return self._begin + (value - self._low) * self._factor


def _grid(x: _Scale, ticks: Sequence[float], label: str, top: float = _TOP, height: float = _HEIGHT) -> str:
    bottom = height - _BOTTOM
    lines = [
        f'<line class="axis" x1="{x(tick):.1f}" x2="{x(tick):.1f}" y1="{top}" y2="{bottom}"/>'
        + _text(x(tick), bottom + 21, f"{tick:g}", "middle")
        for tick in ticks
    ]
    return "".join(lines) + _text(_WIDTH / 2, height - 6, label, "middle")


def _marks(x: _Scale, marks: dict[str, float]) -> str:
    """Lines with their names above; names that would overlap move aside."""
    parts, free = [], 0.0
    for name, value in sorted(marks.items(), key=lambda mark: mark[1]):
        at = max(x(value), free)
        free = at + 11 * len(name) + 6
        parts.append(
            f'<line class="mark" x1="{x(value):.1f}" x2="{x(value):.1f}" y1="{_TOP - 6}" y2="{_HEIGHT - _BOTTOM}"/>'
            + _text(at, _TOP - 10, name, "middle")
        )
    return "".join(parts)


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'


def _svg(height: float, parts: Sequence[str], title: str) -> str:
    return f'<svg viewBox="0 0 {_WIDTH} {height}" role="img" aria-label="{escape(title)}">' + "".join(parts) + "</svg>"


def _nice_step(rough: float) -> float:
    """1, 2 or 5 times a power of ten, at least `rough`."""
    power = 10.0 ** floor(log10(max(rough, 1e-9)))
    return next(factor * power for factor in (1.0, 2.0, 5.0, 10.0) if factor * power >= rough * 0.999)
