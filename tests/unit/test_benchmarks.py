"""Every program in benchmarks/ keeps the house rule: a quick run, JSON for programs, kept results say whence."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.precision_success import FORMS
from spark_ros.bundle.precisions import PRECISIONS

ROOT = Path(__file__).resolve().parents[2]
HELPERS = ("common", "own_environment", "__init__")
PROGRAMS = sorted(path.stem for path in (ROOT / "benchmarks").glob("*.py") if path.stem not in HELPERS)
KEPT = sorted((ROOT / "benchmarks" / "results").glob("*.json"))


def run(program: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.{program}", *arguments]
    return subprocess.run(command, cwd=ROOT, env={**os.environ, "COLUMNS": "120"}, capture_output=True, text=True)


@pytest.mark.parametrize("program", PROGRAMS)
def test_a_benchmark_has_a_quick_run_and_a_result_for_programs(program: str) -> None:
    answer = run(program, "--help")
    assert answer.returncode == 0, answer.stderr[-2000:]
    for option in ("--quick", "--json", "--save"):
        assert option in answer.stdout


def test_a_quick_result_is_not_kept() -> None:
    answer = run("control", "--quick", "--save")
    assert answer.returncode == 2
    assert "leave out --quick" in answer.stderr


@pytest.mark.parametrize("precision", PRECISIONS)
def test_no_precision_is_offered_that_is_known_to_cost_success(precision: str) -> None:
    measured = json.loads((ROOT / "benchmarks" / "results" / "precision_success.json").read_text(encoding="utf-8"))
    forms = {name: form for name, form in measured["forms"].items() if FORMS[name][0] == precision}
    assert forms, f"measure {precision}: python -m benchmarks.precision_success --save"
    assert all(form["offered"] for form in forms.values()), forms


@pytest.mark.parametrize("path", KEPT, ids=lambda path: path.stem)
def test_a_kept_result_says_what_made_it(path: Path) -> None:
    record = json.loads(path.read_text(encoding="utf-8"))
    assert record["command"].startswith(("python -m benchmarks.", "make "))
    assert record["commit"] and "with changes" not in record["commit"]
    assert record["environment"]["machine"]
    assert not record["quick"]
