"""The lag of an arm is found from a recording, whatever its rate, and not made up where nothing moves."""

from __future__ import annotations

import numpy as np
import pytest

from spark_ros.data.episode_reader import JointSeries
from spark_ros.data.lag import measured_lag

NAMES = ("a", "b")


def series(times: np.ndarray, lag_s: float, sag: float = 0.0, size: float = 0.3) -> JointSeries:
    late = times - lag_s
    position = size * np.column_stack([np.sin(2 * late), np.sin(3.1 * late + 1)]) + sag
    return JointSeries(NAMES, (1e18 + times * 1e9).astype(np.int64), position, np.zeros_like(position))


@pytest.mark.parametrize("lag_s", [0.0, 0.035, 0.1, 0.24])
@pytest.mark.parametrize("rate", [30, 100, 500])
def test_the_lag_is_found_although_the_arm_sags_and_is_noisy(lag_s: float, rate: int) -> None:
    told = series(np.arange(0, 6, 0.01), 0.0)
    measured = series(np.arange(0.003, 6, 1 / rate), lag_s, sag=0.02)
    measured.position[:] += np.random.default_rng(0).normal(0, 1e-3, measured.position.shape)
    lag = measured_lag(told, measured, NAMES)
    assert lag is not None and abs(lag.lag_s - lag_s) <= 0.004
    assert lag.rms <= lag.rms_unshifted


def test_joints_that_rest_say_nothing() -> None:
    times = np.arange(0, 5, 0.01)
    assert measured_lag(series(times, 0, size=1e-4), series(times, 0.1, size=1e-4), NAMES) is None


def test_too_short_a_recording_says_nothing() -> None:
    times = np.arange(0, 0.4, 0.01)
    assert measured_lag(series(times, 0), series(times, 0.1), NAMES) is None
    assert measured_lag(series(times[:1], 0), series(times, 0.1), NAMES) is None


def test_fingers_that_an_object_stops_say_nothing() -> None:
    times = np.arange(0, 5, 0.01)
    told, measured = series(times, 0.0), series(times, 0.1)
    measured.position[:] = np.maximum(measured.position, 0.1)
    assert measured_lag(told, measured, NAMES) is None
