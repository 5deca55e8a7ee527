"""The fault table of docs/safety.md, written between its markers."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT
from benchmarks.study.results_page import fill
from spark_ros.contracts import SparkError

PAGE = ROOT / "docs" / "safety.md"


def write_page(record: Mapping[str, Any], page: Path = PAGE) -> None:
    """Fills the marked places of the page from a kept result.

    Raises:
        SparkError: The page is missing, or a marker has no end.
    """
    if not page.is_file():
        raise SparkError(f"no {page}: it holds the text around the table; restore it")
    parts = {"fault table": fault_table(record), "fault origin": origin(record)}
    page.write_text(fill(page.read_text(encoding="utf-8"), parts), encoding="utf-8")


def fault_table(record: Mapping[str, Any]) -> str:
    """A row for each drill; worst of its runs."""
    lines = [
        "| fault | then | noticed, ms | braking after, periods | at rest after, ms | acceleration, jerk | remedy | "
        "back after, s | runs as they should be |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for row in record["drills"].values():
        then = " or ".join(row["mode"]) if row["stops"] else f"{' or '.join(row['mode'])}, goes on"
        lines.append(
            f"| {row['fault']} | {then} | {_both(row['noticed_ms'], 0)} | {_worst(row['brakes_periods'], 1)} | "
            f"{_worst(row['rest_ms'], 0)} | {row['acceleration']:.2f}, {row['jerk']:.2f} | {row['remedy']} | "
            f"{_both(row['recovery_s'], 1)} | {row['as_it_should_be']} of {row['runs']} |"
        )
    return "\n".join(lines)


def origin(record: Mapping[str, Any]) -> str:
    """Where the table comes from."""
    runs = sum(row["runs"] for row in record["drills"].values())
    return (
        f"`{record['command']}`: {runs} runs on {record['created'][:10]}, commit {record['commit']}, "
        f"{record['environment']['machine']}; other programs kept {record['cores_busy_with_other_programs']} of its "
        "cores busy."
    )


def _both(spread: Mapping[str, float] | None, digits: int) -> str:
    return f"{spread['median']:.{digits}f} / {spread['max']:.{digits}f}" if spread else ""


def _worst(spread: Mapping[str, float] | None, digits: int) -> str:
    return f"{spread['max']:.{digits}f}" if spread else ""
