"""Drills as `python -m benchmarks.faults` does them: real processes, an arm in motion, a fault, the remedy.

What is timed there depends on the machine, and is not looked at here; a busy one must not stop the arm before the
drill does.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks.drills import runner
from benchmarks.drills.table import drills
from spark_ros.control.modes import Mode

pytestmark = pytest.mark.ros

PATIENT = """
sim_arm:
  ros__parameters: {image_size: 32, camera_rate_hz: 1.0}
gateway:
  ros__parameters: {joint_timeout_s: 1.0, teleop_timeout_s: 1.0, start_timeout_s: 10.0}
"""


def test_a_fault_stops_the_arm_within_its_limits_and_the_remedy_gets_it_going(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    params = tmp_path / "patient.yaml"
    params.write_text(PATIENT)
    monkeypatch.setattr(runner, "ROOT", tmp_path)
    monkeypatch.setitem(runner.GRAPHS, "lift", ("teleop", {"robot": "fr3", "params_file": str(params)}))
    known = drills()
    chosen = [replace(known["e-stop"], drives=Mode.TELEOP), known["deadman"]]
    rows = runner.run_all(chosen, 1, "", lambda key, make: make())
    for row, mode in zip(rows, ("fault", "teleop"), strict=True):
        assert row["mode"] == mode, row
        assert row["rest_ms"] is not None, row
        assert row["commands"]["acceleration"] <= runner.OVER_LIMIT, row
        assert row["commands"]["jerk"] <= runner.OVER_LIMIT, row
        assert row["as_stated"] and row["recovered"] and not row["hurt"], row
