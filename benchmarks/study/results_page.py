"""The tables and pictures of docs/results.md, written between its markers; everything else there is written by hand."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT
from benchmarks.study.arms import ARMS
from benchmarks.study.plots import draw
from benchmarks.study.rows import Row
from benchmarks.study.summary import is_whole, marked
from spark_ros.contracts import SparkError

PAGE = ROOT / "docs" / "results.md"
PICTURES = ROOT / "docs" / "images"


def write_results(
    summary: Mapping[str, Mapping[str, Any]], rows: Sequence[Row], page: Path = PAGE, pictures: Path = PICTURES
) -> None:
    """Draws the pictures and fills every ``<!-- generated: NAME -->`` ... ``<!-- end -->`` of the page.

    Args:
        summary: Of `summary.summarise`.
        rows: What it was made of.
        page: The page.
        pictures: Folder of its pictures.

    Raises:
        SparkError: The page is missing, or a marker asks for something unknown.
    """
    if not page.is_file():
        raise SparkError(f"no {page}: it holds the text around the tables; restore it")
    draw(summary, pictures)
    parts = {f"table {suite}": success_table(suite, arms) for suite, arms in summary.items()}
    parts |= {f"tasks {suite}": task_table(arms) for suite, arms in summary.items()}
    parts |= {f"rows {suite}": origin(suite, rows) for suite in summary}
    page.write_text(fill(page.read_text(encoding="utf-8"), parts), encoding="utf-8")


def fill(text: str, parts: Mapping[str, str]) -> str:
    """The page with its marked places filled; a place whose suite has no rows says so.

    Raises:
        SparkError: A place has no end.
    """
    pattern = re.compile(r"(<!-- generated: (?P<name>[^>]+?) -->\n).*?(<!-- end -->)", re.DOTALL)
    if len(pattern.findall(text)) != text.count("<!-- generated: "):
        raise SparkError("a generated part of the page has no end: close each with <!-- end -->")
    return pattern.sub(lambda m: f"{m[1]}{parts.get(m['name'], 'No results are kept yet.').strip()}\n{m[3]}", text)


def success_table(suite: str, arms: Mapping[str, Any]) -> str:
    """Arms with success, interval, and the difference to the foundation model."""
    lines = [
        "| arm | what it is | video | success | 95% interval | episodes | seeds | against the foundation model |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for name, figures in arms.items():
        domain = {None: "none", True: "in-domain", False: "out-of-domain"}[ARMS[name].in_domain(suite)]
        low, high = figures["ci95"]
        lines.append(
            f"| {marked(name, arms)} | {ARMS[name].text} | {domain} | {figures['success']:.1%} | "
            f"{low:.1%} to {high:.1%} | {figures['episodes']} | {len(figures['seeds'])} | {_against(name, figures)} |"
        )
    return "\n".join(lines) + _best(arms)


def task_table(arms: Mapping[str, Any]) -> str:
    """Success by task, by shift and by demonstrations, in percent."""
    groups = []
    for key, title in (("tasks", "task"), ("shifts", "shift"), ("by_demos", "demonstrations")):
        columns = list(dict.fromkeys(column for arm in arms.values() for column in arm.get(key, {})))
        if len(columns) < 2:
            continue
        if key == "by_demos":  # arms may have been run at different numbers of them
            columns.sort(key=int)
        lines = [f"Success in % by {title}:", "", f"| arm | {' | '.join(columns)} |", "|---" * (len(columns) + 1) + "|"]
        for name, arm in arms.items():
            cells = [arm.get(key, {}).get(column) for column in columns]
            beside = [[other.get(key, {}).get(column) for other in arms.values()] for column in columns]
            shown = [
                f"{100 * cell['success']:.0f}" if cell and is_whole(cell, others) else ""
                for cell, others in zip(cells, beside, strict=True)
            ]
            if any(shown):
                lines.append(f"| {name} | {' | '.join(shown)} |")
        groups.append("\n".join(lines))
    return "\n\n".join(groups)


def origin(suite: str, rows: Sequence[Row]) -> str:
    """Where the rows come from."""
    chosen = [row for row in rows if row.suite == suite]
    days = sorted(row.created[:10] for row in chosen)
    commits = list(dict.fromkeys(row.commit for row in chosen))
    hours = sum(row.seconds for row in chosen) / 3600
    episodes = sum(len(row.success) for row in chosen)
    return (
        f"{episodes} episodes of {len({row.policy for row in chosen})} policies, {hours:.1f} worker hours, "
        f"{days[0]} to {days[-1]}, commits {', '.join(commits)}."
    )


def _against(name: str, figures: Mapping[str, Any]) -> str:
    if "difference_to_vanilla" not in figures:
        return "the reference" if figures.get("reference") == name else ""
    low, high = figures["difference_ci95"]
    mean = _points(figures["difference_to_vanilla"])
    return f"{mean} ({_points(low)} to {_points(high)}) against {figures['reference']}"


def _best(arms: Mapping[str, Any]) -> str:
    told = {name: arm["best"] for name, arm in arms.items() if "best" in arm}
    if not told:
        return ""
    lines = ["", "", "The best checkpoint beside the last one, on the same episodes:", ""]
    lines += ["| arm | best | best minus last, points | 95% interval |", "|---|---|---|---|"]
    for name, best in told.items():
        low, high = best["difference_ci95"]
        shown = f"{_points(best['difference_to_last'])} | {_points(low)} to {_points(high)}"
        lines.append(f"| {name} | {best['success']:.1%} | {shown} |")
    return "\n".join(lines)


def _points(part: float) -> str:
    return f"{100 * part:+.1f}"
