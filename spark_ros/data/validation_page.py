"""A page about a folder of demonstrations: every finding, and plots to see it on. One file, opens anywhere."""

from __future__ import annotations

import base64
import io
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

import cv2
import numpy as np

from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import EpisodeEntry
from spark_ros.data.episode_reader import Episode
from spark_ros.data.inspect_episode import Finding, Inspection, Severity

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_STYLE = """
:root { color-scheme: light dark; } body { font: 15px/1.5 system-ui, sans-serif; max-width: 1100px; margin: 0 auto;
  padding: 24px 16px; } table { border-collapse: collapse; width: 100%; } td, th { padding: 4px 10px; text-align: left;
  border-bottom: 1px solid #8884; vertical-align: top; } img { max-width: 100%; background: #fff; }
.bad { color: #d64545; font-weight: 600; } .odd { color: #c77d0a; font-weight: 600; } .good { color: #1f9d61; }
details { margin: 12px 0; } summary { cursor: pointer; font-weight: 600; } .soft { opacity: .7; }
"""
_PICTURES = 4  # of each camera, from first to last
_PICTURE_PX = 160


@dataclass(frozen=True)
class Inspected:
    """An episode of the page.

    Attributes:
        entry: Its line in the index.
        inspection: What was found; None if it could not be read at all.
        findings: All that was found, also across episodes.
        plot: PNG.
    """

    entry: EpisodeEntry
    inspection: Inspection | None
    findings: Sequence[Finding]
    plot: bytes = b""

    @property
    def verdict(self) -> str:
        """In a word."""
        found = {finding.severity for finding in self.findings}
        return "bad" if Severity.BAD in found else "odd" if found else "good"


def validation_page(title: str, episodes: Sequence[Inspected], created: str) -> str:
    """The page as HTML.

    Args:
        title: What was validated.
        episodes: In order.
        created: When.
    """
    counts = {word: sum(episode.verdict == word for episode in episodes) for word in ("good", "odd", "bad")}
    rows = "".join(map(_row, episodes))
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>'
        f"{escape(title)}</title><style>{_STYLE}</style></head><body><h1>{escape(title)}</h1>"
        f"<p><span class=good>{counts['good']} good</span>, <span class=odd>{counts['odd']} odd</span>, "
        f"<span class=bad>{counts['bad']} bad</span> of {len(episodes)} episodes.</p>"
        "<table><tr><th>episode</th><th></th><th>length</th><th>frames</th><th>observations</th><th>found</th></tr>"
        f"{rows}</table>{''.join(map(_section, episodes))}<p class=soft>Written {escape(created)} by spark_ros.</p>"
        "</body></html>\n"
    )


def plot_episode(episode: Episode, findings: Sequence[Finding]) -> bytes:
    """Joints, time between messages and a few pictures of an episode, as PNG.

    Raises:
        ModuleNotFoundError: There is no matplotlib.
    """
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    cameras = [frames for frames in episode.cameras.values() if len(frames)]
    figure = Figure(figsize=(11, 5.6 + 1.6 * len(cameras)), layout="constrained")
    grid = figure.add_gridspec(2 + len(cameras), _PICTURES, height_ratios=[3, 2] + [1.6] * len(cameras))
    streams = [frames.stamps_ns for frames in cameras] + [episode.joints.stamps_ns]
    begin = min((int(stamps.min()) for stamps in streams if len(stamps)), default=0)
    _plot_joints(figure.add_subplot(grid[0, :]), episode, begin, findings)
    _plot_intervals(figure.add_subplot(grid[1, :]), episode, begin)
    for row, frames in enumerate(cameras):
        for column, index in enumerate(np.linspace(0, len(frames) - 1, _PICTURES).round().astype(int)):
            axes = figure.add_subplot(grid[2 + row, column])
            axes.set_axis_off()
            try:
                image = frames[int(index)].image
            except SparkError:
                continue
            scale = _PICTURE_PX / image.shape[0]
            axes.imshow(cv2.resize(image, (max(1, round(image.shape[1] * scale)), _PICTURE_PX)))
            axes.set_title(f"{frames.camera} {(int(frames.stamps_ns[index]) - begin) * 1e-9:.1f} s", fontsize=8)
    FigureCanvasAgg(figure)
    file = io.BytesIO()
    figure.savefig(file, format="png", dpi=80, metadata={"Software": None})
    return file.getvalue()


def _plot_joints(axes: Axes, episode: Episode, begin: int, findings: Sequence[Finding]) -> None:
    for series, style in ((episode.setpoints, ":"), (episode.joints, "-")):
        for number, name in enumerate(series.names):
            times, values = (series.stamps_ns - begin) * 1e-9, series.position[:, number]
            axes.plot(times, values, style, color=f"C{number % 10}", lw=1.0, label=name if style == "-" else None)
    for finding in findings:
        if finding.at_s is not None:
            colour = "tab:red" if finding.severity is Severity.BAD else "tab:orange"
            axes.axvline(finding.at_s, color=colour, lw=1.0, alpha=0.7)
    axes.set_ylabel("joints, rad or m")
    axes.set_title("measured (line) and commanded (dots); vertical lines: findings", fontsize=9)
    if episode.joints.names:
        axes.legend(fontsize=7, ncols=2, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _plot_intervals(axes: Axes, episode: Episode, begin: int) -> None:
    streams: dict[str, Any] = {name: frames.stamps_ns for name, frames in episode.cameras.items()}
    streams |= {"joints": episode.joints.stamps_ns, "setpoints": episode.setpoints.stamps_ns}
    for name, stamps in streams.items():
        if len(stamps) > 1:
            axes.plot((stamps[1:] - begin) * 1e-9, np.diff(stamps) * 1e-6, ".", ms=3, label=name)
    axes.set_xlabel("s")
    axes.set_ylabel("ms since the last")
    if axes.lines:
        axes.legend(fontsize=7, loc="center left", bbox_to_anchor=(1.0, 0.5))


def _row(episode: Inspected) -> str:
    entry, found = episode.entry, episode.inspection
    cells = [
        f"<a href='#{escape(entry.file)}'>{escape(entry.file)}</a>",
        f"<span class={episode.verdict}>{episode.verdict}</span>",
        f"{entry.duration_s:.1f} s",
        str(entry.frames),
        str(found.observations if found is not None else 0),
        "; ".join(escape(finding.sentence) for finding in episode.findings) or "nothing",
    ]
    return f"<tr>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _section(episode: Inspected) -> str:
    found = episode.inspection
    facts = ""
    if found is not None:
        rates = ", ".join(f"{topic} {rate:.1f} Hz" for topic, rate in found.rates_hz.items())
        facts = (
            f"<p>{escape(rates)}; frames of an observation apart {found.skew_ms[0]} ms, at most {found.skew_ms[1]}</p>"
        )
    lines = "".join(
        f"<li><span class={finding.severity.value}>{finding.severity.value}</span> {escape(finding.sentence)}</li>"
        for finding in episode.findings
    )
    picture = base64.b64encode(episode.plot).decode()
    image = f"<img alt='plots' src='data:image/png;base64,{picture}'>" if picture else ""
    opened = "" if episode.verdict == "good" else " open"
    return (
        f"<details id='{escape(episode.entry.file)}'{opened}><summary>{escape(episode.entry.file)}: "
        f"<span class={episode.verdict}>{episode.verdict}</span></summary>{facts}<ul>{lines}</ul>{image}</details>"
    )
