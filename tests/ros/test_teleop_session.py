"""A whole recording session in the simulator, driven by a gamepad or by the keys of a terminal.

SPARK_ROS_FULL_SESSION=1 makes it 5 episodes kept, 2 discarded and 1 recorded again with each device, and a policy that
is trained on them and exported; `python -m benchmarks.teleop_session` keeps the result of that.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from benchmarks.teleop.operators import DEVICES
from benchmarks.teleop.session import record, train
from benchmarks.teleop_session import DECISIONS, QUICK_STEPS

pytestmark = pytest.mark.ros

FULL = bool(os.environ.get("SPARK_ROS_FULL_SESSION"))


@pytest.mark.parametrize("device", DEVICES)
def test_a_person_records_a_session_with_a_device(device: str, tmp_path: Path) -> None:
    decisions = DECISIONS if FULL else "rdk"
    said = record(device, decisions, tmp_path)
    assert (said["kept"], said["discarded"], said["recorded_again"]) == ((5, 2, 1) if FULL else (1, 1, 1))
    seeds = [episode["seed"] for episode in said["episodes"]]
    assert len(set(seeds)) == len(seeds), "a scene is kept once, also the one that was recorded again"
    if FULL:
        assert train(tmp_path / "demos", tmp_path, *QUICK_STEPS)["bundle_cameras"] == ["front", "wrist"]
