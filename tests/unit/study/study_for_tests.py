"""A suite without simulators, and rows made by hand."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.study.arms import Arm
from benchmarks.study.cells import Cell
from benchmarks.study.jobs import Settings
from benchmarks.study.rows import Row
from benchmarks.study.suite import Suite
from spark_ros.contracts import SparkError


class ToySuite(Suite):
    """Every episode succeeds whose number is even; what is run is written into ``work/ran.jsonl``."""

    name = "toy"
    protocol = 1
    tasks = ("reach", "push")
    shifts = ("nominal", "light")
    demos = (3,)
    arms = ("proprio", "vanilla-9")
    episodes = 4
    batch = 2

    def __init__(self, work: Path) -> None:
        self._work = work

    def prepared(self, task: str, demos: int) -> bool:
        return (self._work / f"{task}{demos}").exists()

    def prepare(self, task: str, demos: int) -> None:
        self._log(f"prepare {task}")
        (self._work / f"{task}{demos}").touch()

    def filmed(self, task: str) -> bool:
        return True

    def film(self, task: str) -> None:
        raise AssertionError

    def video_folder(self, task: str) -> Path:
        return self._work / task

    def run(self, cell: Cell, arm: Arm, shifts: Sequence[str]) -> tuple[dict[str, list[bool]], dict[str, Any]]:
        if cell.task == "push" and (self._work / "broken").exists():
            raise SparkError("the cube fell off the table")
        time.sleep(0.05)
        self._log(str(cell))
        episodes = range(cell.first, cell.first + cell.episodes)
        return {shift: [number % 2 == 0 for number in episodes] for shift in shifts}, {"steps": 7}

    def _log(self, what: str) -> None:
        with (self._work / "ran.jsonl").open("a") as stream:
            stream.write(json.dumps(what) + "\n")


def make_toys(settings: Settings) -> dict[str, Suite]:
    return {"toy": ToySuite(settings.work)}


def ran(work: Path) -> list[str]:
    file = work / "ran.jsonl"
    return [json.loads(line) for line in file.read_text().splitlines()] if file.exists() else []


def row(arm: str, success: Sequence[int], **other: Any) -> Row:
    values: dict[str, Any] = {
        "suite": "fr3-shift",
        "protocol": 1,
        "task": "lift",
        "arm": arm,
        "demos": 50,
        "seed": 0,
        "checkpoint": "last",
        "shift": "light",
        "first": 0,
        "success": tuple(bool(value) for value in success),
        "encoder_sha256": "a",
        "commit": "c",
        "created": "2026-11-21T00:00:00+00:00",
        "seconds": 1.0,
        "extra": {},
    }
    return Row(**{**values, **other})
