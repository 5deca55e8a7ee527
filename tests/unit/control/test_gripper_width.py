"""The commanded opening changes no faster than the fingers can and stays within them."""

import math

import numpy as np
import pytest

from spark_ros.contracts import SparkError
from spark_ros.control.gripper import WidthLimiter


def test_width_follows_at_the_grippers_speed_and_within_its_opening(fr3):
    limiter, rng = WidthLimiter(fr3.gripper, 0.01), np.random.default_rng(0)
    limiter.reset(0.05)
    before = limiter.width
    for _ in range(500):
        elapsed = float(rng.choice([0.0, 0.01, 0.015, 9.0, -1.0]))
        width = limiter.track(rng.uniform(-0.1, 0.2), elapsed)
        assert abs(width - before) <= fr3.gripper.max_speed * min(max(elapsed, 0.0), 0.02) + 1e-15
        assert 0.0 <= width <= fr3.gripper.max_width
        before = width


def test_width_arrives_exactly(fr3):
    limiter = WidthLimiter(fr3.gripper, 0.01)
    limiter.reset(0.08)
    for _ in range(41):
        limiter.track(0.04, 0.01)
    assert limiter.width == 0.04


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_width_that_is_no_number_is_refused(fr3, bad):
    limiter = WidthLimiter(fr3.gripper, 0.01)
    limiter.reset(0.03)
    with pytest.raises(SparkError, match="gripper width"):
        limiter.track(bad, 0.01)
    assert limiter.width == 0.03
