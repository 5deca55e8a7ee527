from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from study_for_tests import ToySuite, make_toys, ran

from benchmarks.study.cells import SuitePlan, batches, plan
from benchmarks.study.jobs import Settings
from benchmarks.study.rows import RowFile
from benchmarks.study.runner import Runner

ROOT = Path(__file__).resolve().parents[3]
PLAN = plan([SuitePlan("toy", ToySuite.tasks, ("proprio",), (3,), (0,), batches(4, 2))])

STUDY = """
import sys, time
from pathlib import Path
sys.path[:0] = [sys.argv[2], sys.argv[3]]
from test_study_runner import PLAN, here
here(Path(sys.argv[1])).run(PLAN, 1, time.monotonic() + 100.0)
"""


def here(work: Path) -> Runner:
    return Runner(Settings(work), RowFile(work / "rows.jsonl"), "abc", make=make_toys)


def study(work: Path, minutes: float = 1.0) -> bool:
    return here(work).run(PLAN, 1, time.monotonic() + 60.0 * minutes)


def test_a_study_runs_what_is_missing_and_nothing_twice(tmp_path: Path) -> None:
    assert study(tmp_path)
    assert study(tmp_path)
    cells = [what for what in ran(tmp_path) if not what.startswith("prepare")]
    assert cells == [str(cell) for cell in PLAN]
    rows = RowFile(tmp_path / "rows.jsonl").read()
    assert [(row.task, row.shift, row.first, row.success) for row in rows[:2]] == [
        ("reach", "nominal", 0, (True, False)),
        ("reach", "light", 0, (True, False)),
    ]
    assert rows[0].extra == {"steps": 7} and rows[0].commit == "abc"


def test_demonstrations_are_made_once_before_the_first_cell_that_needs_them(tmp_path: Path) -> None:
    study(tmp_path)
    assert [what for what in ran(tmp_path) if what.startswith("prepare")] == ["prepare reach", "prepare push"]
    assert ran(tmp_path)[0] == "prepare reach"


def test_nothing_begins_when_the_time_is_over(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert not study(tmp_path, minutes=0.0)
    assert ran(tmp_path) == [] and "the same command goes on" in capsys.readouterr().out


def test_a_cell_that_fails_does_not_stop_the_others(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "broken").touch()
    assert not study(tmp_path)
    assert "failed: toy/push/proprio/demos3/seed0 last, episodes 0 to 1" in capsys.readouterr().out
    assert {row.task for row in RowFile(tmp_path / "rows.jsonl").read()} == {"reach"}


def test_a_killed_study_goes_on_and_ends_with_the_same_rows(tmp_path: Path) -> None:
    killed, whole = tmp_path / "killed", tmp_path / "whole"
    for folder in (killed, whole):
        folder.mkdir()
    study(whole)
    command = [sys.executable, "-c", STUDY, str(killed), str(ROOT), str(Path(__file__).parent)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL)
    deadline = time.monotonic() + 120  # for a busy machine; otherwise three seconds
    while not (killed / "rows.jsonl").exists():
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    study(killed)
    results = [
        [(row.policy, row.shift, row.first, row.success) for row in RowFile(folder / "rows.jsonl").read()]
        for folder in (killed, whole)
    ]
    assert sorted(results[0]) == sorted(results[1])
