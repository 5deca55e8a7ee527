"""Ways to a wanted velocity are those that Ruckig's velocity interface plans, to rounding."""

import numpy as np
import pytest
import ruckig
from hypothesis import given, settings
from hypothesis import strategies as st

from spark_ros.control.joint_law import Dynamics
from spark_ros.control.ramps import Ramps

PERIOD = 0.01
parts = st.floats(-1, 1)


def by_ruckig(state, velocity, dynamics):
    size = len(dynamics)
    task = ruckig.InputParameter(size)
    task.control_interface = ruckig.ControlInterface.Velocity
    task.synchronization = ruckig.Synchronization.No
    task.max_velocity = [10.0] * size
    task.max_acceleration = [joint.acceleration for joint in dynamics]
    task.max_jerk = [joint.jerk for joint in dynamics]
    task.current_position, task.current_velocity, task.current_acceleration = state
    task.target_velocity = velocity
    trajectory = ruckig.Trajectory(size)
    ruckig.Ruckig(size).calculate(task, trajectory)
    return trajectory


def assert_same(state, velocity, dynamics, time_slack=1e-9):
    """Where a ramp has no top, its height is the root of a difference: rounding is then 1e-8 s."""
    ramps, trajectory = Ramps(len(dynamics)), by_ruckig(state, velocity, dynamics)
    ramps.plan(state, velocity, dynamics)
    assert ramps.duration == pytest.approx(trajectory.duration, abs=time_slack)
    jerk = max(joint.jerk for joint in dynamics)
    for time in (*np.linspace(0, 1.2 * trajectory.duration, 25), PERIOD):
        (q, v, a), (expected_q, expected_v, expected_a) = ramps.at(time), trajectory.at_time(time)[:3]
        np.testing.assert_allclose(q, expected_q, rtol=0, atol=max(1e-9, 10 * time_slack))
        np.testing.assert_allclose(v, expected_v, rtol=0, atol=max(1e-9, 10 * time_slack))
        np.testing.assert_allclose(a, expected_a, rtol=0, atol=max(1e-9, jerk * time_slack))


@settings(max_examples=500, deadline=None)
@given(
    v=parts, a=parts, aim=parts, share=st.sampled_from([0.02, 0.1, 1.0]), jerk=st.sampled_from([50.0, 500.0, 5000.0])
)
def test_one_joint_from_anything_to_anything(v, a, aim, share, jerk):
    # With a low share it begins with more acceleration than it may use: the end of a hard stop.
    assert_same(([0.3], [5 * v], [10 * a]), [5 * aim], [Dynamics(10 * share, jerk, PERIOD)], time_slack=1e-7)


@pytest.mark.parametrize("seed", range(5))
def test_every_joint_takes_its_own_time(seed):
    rng = np.random.default_rng(seed)
    for _ in range(100):
        dynamics = [Dynamics(rng.uniform(0.1, 15), rng.choice([50.0, 500.0, 5000.0]), PERIOD) for _ in range(7)]
        moving = rng.random((2, 7)) < 0.7
        state = (
            rng.normal(0, 1, 7).tolist(),
            (rng.normal(0, 2, 7) * moving[0]).tolist(),
            (rng.normal(0, 5, 7) * moving[1]).tolist(),
        )
        assert_same(state, (rng.normal(0, 2, 7) * (rng.random(7) < 0.7)).tolist(), dynamics)


@pytest.mark.parametrize("v", [0.0, 1e-300, -1e-12, 1e-6, 3.0])
def test_what_has_its_velocity_keeps_it(v):
    ramps = Ramps(1)
    ramps.plan(([0.5], [v], [0.0]), [v], [Dynamics(10.0, 5000.0, PERIOD)])
    assert ramps.duration < 1e-6
    (position,), velocity, acceleration = ramps.at(2.0)
    assert (velocity, acceleration) == ([v], [0.0]) and position == pytest.approx(0.5 + 2 * v)


def test_what_is_passed_begins_at_the_start_and_ends_at_the_aims():
    ramps = Ramps(2)
    ramps.plan(([0.1, 0.2], [1.0, -0.5], [3.0, 0.0]), [0.0, 0.25], [Dynamics(10.0, 500.0, PERIOD)] * 2)
    passed = ramps.passed(7)
    assert len(passed) == 8 and passed[0] == ([0.1, 0.2], [1.0, -0.5])
    np.testing.assert_allclose(passed[-1][1], [0.0, 0.25], atol=1e-12)
    for row, (position, velocity) in enumerate(passed):
        assert (position, velocity) == ramps.at(ramps.duration * row / 7)[:2]
