"""What an evaluation leaves behind: `report.json` for programs and one self-contained `report.html` for people."""

from __future__ import annotations

import base64
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from spark_ros.contracts import SparkError
from spark_ros.evaluation.page import render_page
from spark_ros.evaluation.results import EpisodeResult, summary
from spark_ros.evaluation.statistics import percentiles

JSON_FILE, HTML_FILE, VIDEO_FOLDER = "report.json", "report.html", "videos"
EMBEDDED_VIDEOS = 6  # about 100 kB each; the others stay beside the report


@dataclass(frozen=True)
class Evaluation:
    """What was evaluated, and how.

    Attributes:
        pilot: Id of the bundle or run.
        pilot_facts: More about it, by heading.
        task: Name of the simulated task.
        instruction: The task in words.
        mode: ``in process`` or ``through ROS``.
        latency_of: What `EpisodeResult.latency_ms` measures.
        rate_hz: How often the policy should act.
        max_duration_s: After which an episode is over.
        environment: Machine and versions, by heading.
        command: What repeats the evaluation.
        settings: Anything else that was set, by heading.
    """

    pilot: str
    pilot_facts: Mapping[str, str]
    task: str
    instruction: str
    mode: str
    latency_of: str
    rate_hz: float
    max_duration_s: float
    environment: Mapping[str, str]
    command: str
    settings: Mapping[str, str]


def make_report(evaluation: Evaluation, results: Sequence[EpisodeResult]) -> dict[str, Any]:
    """The content of `report.json`; times of chunks in ms, durations in s."""
    return {
        **summary(results),
        "latency_of": evaluation.latency_of,
        "loop": _loop(evaluation.rate_hz, results),
        "speed": round(float(np.median([result.speed for result in results])), 3) if results else None,
        "mode": evaluation.mode,
        "pilot": evaluation.pilot,
        "task": evaluation.task,
        "instruction": evaluation.instruction,
        "max_duration_s": evaluation.max_duration_s,
        "command": evaluation.command,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "pilot_facts": dict(evaluation.pilot_facts),
        "settings": dict(evaluation.settings),
        "environment": dict(evaluation.environment),
        "per_episode": [_row(result) for result in results],
    }


def write_report(folder: Path, evaluation: Evaluation, results: Sequence[EpisodeResult]) -> dict[str, Any]:
    """Writes both files; returns the content of `report.json`.

    Raises:
        SparkError: They cannot be written.
    """
    report = make_report(evaluation, results)
    chosen = choose_videos(results)
    videos = {result.seed: _encoded(folder / VIDEO_FOLDER / result.video) for result in chosen}
    page = render_page(report, results, {seed: video for seed, video in videos.items() if video})
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, text in ((JSON_FILE, json.dumps(report, indent=1) + "\n"), (HTML_FILE, page)):
            part = folder / (name + ".part")
            part.write_text(text, encoding="utf-8")
            os.replace(part, folder / name)
    except OSError as error:
        raise SparkError(f"cannot write the report to {folder}: {error.strerror}; run again with --out") from error
    return report


def choose_videos(results: Sequence[EpisodeResult], count: int = EMBEDDED_VIDEOS) -> list[EpisodeResult]:
    """The episodes worth looking at: failures first, at most half of the places, then successes across the run."""
    filmed = [result for result in results if result.video]
    failures = [result for result in filmed if not result.success]
    successes = [result for result in filmed if result.success]
    failures = failures[: max(count // 2, count - len(successes))]
    places = min(count - len(failures), len(successes))
    return failures + [successes[i] for i in np.linspace(0, len(successes) - 1, places).round().astype(int)]


def _loop(rate_hz: float, results: Sequence[EpisodeResult]) -> dict[str, Any] | None:
    """Whether the policy kept its rate; None where the clock was simulated and it could not have failed to."""
    intervals = [value for result in results for value in result.interval_ms]
    measured = percentiles(intervals)
    if measured is None:
        return None
    period = 1e3 / rate_hz
    return {
        "period_ms": round(period, 2),
        "rate_hz": round(1e3 / float(np.mean(intervals)), 3),
        "interval_ms": {name: round(value, 2) for name, value in measured.items()},
        "over_two_periods": round(float(np.mean(np.asarray(intervals) > 2 * period)), 5),
        "sustained": measured["p99"] <= 2 * period,
    }


def _row(result: EpisodeResult) -> dict[str, Any]:
    latency = percentiles(result.latency_ms)
    return {
        "seed": result.seed,
        "success": result.success,
        "duration_s": result.duration_s,
        "ending": result.ending,
        "chunks": len(result.latency_ms),
        "latency_ms": None if latency is None else {name: round(value, 2) for name, value in latency.items()},
        "speed": result.speed,
        "video": f"{VIDEO_FOLDER}/{result.video}" if result.video else None,
    }


def _encoded(video: Path) -> str:
    """The video as base64; empty if it has been deleted."""
    try:
        return base64.b64encode(video.read_bytes()).decode("ascii")
    except OSError:
        return ""
