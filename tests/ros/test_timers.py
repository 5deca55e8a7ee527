"""Timers where the computer's clock stands still, or is set."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from graph_for_tests import GraphUnderTest
from rclpy.clock import Clock, ClockType
from rclpy.parameter import Parameter

from benchmarks.drills.clock import DrillClock
from spark_ros.nodes.timers import every

pytestmark = pytest.mark.ros


def test_a_timer_fires_where_the_clock_of_the_node_stands_still(graph: GraphUnderTest) -> None:
    graph.client.set_parameters([Parameter("use_sim_time", value=True)])  # and nobody tells the time
    ours, usual = threading.Event(), threading.Event()
    graph.client.create_timer(0.01, usual.set)
    every(graph.client, 0.01, ours.set)
    assert ours.wait(5.0)
    assert not usual.is_set()


def test_a_clock_of_a_drill_moves_stamps_and_no_monotonic_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Clock, "now", Clock.now)  # put back afterwards
    clock, same = DrillClock(tmp_path / "clock"), DrillClock(tmp_path / "clock")
    stamps, steady = Clock(clock_type=ClockType.ROS_TIME), Clock(clock_type=ClockType.STEADY_TIME)
    true = stamps.now().nanoseconds, steady.now().nanoseconds
    clock.drive()
    same.jump(-100.0)
    moved = stamps.now().nanoseconds - true[0], steady.now().nanoseconds - true[1]
    assert moved[0] < -90e9 and 0 <= moved[1] < 10e9
    same.jump(100.0)
    assert stamps.now().nanoseconds >= true[0]
