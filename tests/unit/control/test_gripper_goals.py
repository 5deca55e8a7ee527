from __future__ import annotations

import numpy as np
import pytest

from spark_ros.control.gripper_goals import Grasp, Move, Positions, TwoWays

RAMP = np.linspace(0.08, 0.0, 81)  # what the gateway sends while the hand closes


def test_a_falling_width_closes_once_and_early() -> None:
    plan = TwoWays(0.08, 0.08)
    goals = [plan.goal(width, 0.01 * i) for i, width in enumerate(RAMP)]
    assert [goal for goal in goals if goal is not None] == [Grasp()]
    assert goals.index(Grasp()) < 15


def test_a_rising_width_opens_once() -> None:
    plan = TwoWays(0.08, 0.0)
    assert [g for i, w in enumerate(RAMP[::-1]) if (g := plan.goal(w, 0.01 * i))] == [Move(0.08)]


@pytest.mark.parametrize("width", [0.03, 0.045, 0.07])
def test_a_hand_that_begins_half_open_goes_both_ways(width: float) -> None:
    assert TwoWays(0.08, width).goal(width, 0.0) is None
    assert TwoWays(0.08, width).goal(width + 0.011, 0.0) == Move(0.08)
    assert TwoWays(0.08, width).goal(width - 0.011, 0.0) == Grasp()


def test_a_trembling_width_does_nothing() -> None:
    rng = np.random.default_rng(0)
    plan = TwoWays(0.08, 0.04)  # around a cube
    plan.goal(0.0, 0.0)
    assert not any(plan.goal(abs(width), 0.0) for width in rng.normal(0.0, 0.002, 1000))


def test_positions_are_gone_to_when_they_stay() -> None:
    plan = Positions(0.08, 0.08)
    goals = {i: g for i in range(200) if (g := plan.goal(max(0.03, 0.08 - 0.001 * i), 0.01 * i)) is not None}
    assert list(goals.values()) == [Move(pytest.approx(0.03, abs=0.003))]
    assert 50 <= next(iter(goals)) <= 70
