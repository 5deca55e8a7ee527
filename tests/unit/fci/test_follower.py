"""Velocities that take an arm along with its setpoint, and what an FR3 would refuse of them."""

from __future__ import annotations

import numpy as np
import pytest

from spark_ros.contracts import FloatArray
from spark_ros.fci.follower import RATE, Follower
from spark_ros.fci.pace import FRANKY_VELOCITY, pace
from spark_ros.robots.spec import load_robot

LIMITS = load_robot("fr3").limits
TICK_S, CYCLE_S = 0.01, 0.001
ANSWER_S = 0.02  # of an arm on the FCI to a new velocity


def follow(start: FloatArray, setpoints: FloatArray) -> tuple[FloatArray, FloatArray, FloatArray]:
    """An arm that answers late: where it is (T, J), how fast, once a cycle, and what it was told, once a tick."""
    follower = Follower(LIMITS)
    follower.start(setpoints[0])
    position, velocity = start.copy(), np.zeros_like(start)
    positions, velocities, told = [], [], []
    for setpoint in setpoints:
        told.append(follower.velocity(setpoint, position.copy(), TICK_S))
        for _ in range(round(TICK_S / CYCLE_S)):
            change = (told[-1] - velocity) / ANSWER_S
            velocity = velocity + CYCLE_S * np.clip(change, -0.95 * LIMITS.acceleration, 0.95 * LIMITS.acceleration)
            position = position + CYCLE_S * velocity
            positions.append(position)
            velocities.append(velocity)
    return np.array(positions), np.array(velocities), np.array(told)


@pytest.mark.parametrize("upwards", [True, False])
@pytest.mark.parametrize("speed", [0.3, 1.0, 2.6])
def test_a_joint_led_into_its_limit_is_never_faster_than_its_taper_permits(upwards: bool, speed: float) -> None:
    taper = LIMITS.taper
    assert taper is not None
    end = (taper.upper if upwards else taper.lower) - (1 if upwards else -1) * taper.offset**2 / taper.gain
    start = end - (1.2 if upwards else -1.2)
    steps = np.arange(round(1.2 / speed / TICK_S) + 300)[:, None] * TICK_S * speed
    way = start + steps if upwards else start - steps
    position, velocity, _ = follow(start, np.minimum(way, end) if upwards else np.maximum(way, end))
    lowest, highest = np.array([LIMITS.velocity_bounds(q) for q in position]).transpose(1, 0, 2)
    assert (velocity <= highest + 1e-9).all() and (velocity >= lowest - 1e-9).all()
    assert np.abs(position[-1] - end).max() < 0.03, "it still arrives"


def test_no_joint_is_told_more_than_it_manages_until_the_next_tick() -> None:
    start = np.array(load_robot("fr3").home)
    setpoints = start + 0.15 * np.sign(np.sin(np.arange(200)[:, None] * 0.1 + np.arange(7)))
    _, _, told = follow(start, setpoints)
    assert np.abs(np.diff(told, axis=0)).max() <= RATE * LIMITS.acceleration.max() * TICK_S + 1e-9


def test_a_steady_motion_is_followed_closely() -> None:
    start = np.array(load_robot("fr3").home)
    setpoints = start + np.linspace(0.0, 0.4, 100)[:, None]
    position, _, _ = follow(start, setpoints)
    assert np.abs(position[-1] - setpoints[-1]).max() < 0.02


@pytest.mark.parametrize("name", ["fr3", "fer"])
def test_the_gateway_asks_for_no_more_than_franky_moves(name: str) -> None:
    limits = load_robot(name).limits
    settings = pace(limits)
    assert (settings["velocity_scale"] * limits.velocity < FRANKY_VELOCITY).all()
    assert settings["acceleration_scale"] < RATE
    assert 0.4 < settings["velocity_scale"] <= 1.0
