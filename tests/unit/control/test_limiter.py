"""Every setpoint is within position, velocity, acceleration and jerk; moving targets are tracked without lag."""

from dataclasses import replace

import numpy as np
import pytest

from spark_ros.contracts import Pose, SparkError
from spark_ros.control.config import GatewayConfig
from spark_ros.control.limiter import Limiter
from spark_ros.robots.kinematics import Kinematics

PERIOD = 0.01


def check(limits, setpoints, elapsed=PERIOD, slack=1e-9):
    position = np.array([s.position for s in setpoints])
    velocity = np.array([s.velocity for s in setpoints])
    acceleration = np.array([s.acceleration for s in setpoints])
    assert np.all((position >= limits.position_lower) & (position <= limits.position_upper))
    assert np.all(np.abs(velocity) <= limits.velocity)
    assert np.all(np.abs(acceleration) <= limits.acceleration)
    for q, v in zip(position, velocity, strict=True):
        lowest, highest = limits.velocity_bounds(q)
        assert np.all((v >= lowest - slack) & (v <= highest + slack))
    # By differences too: what an arm sees is positions.
    assert np.all(np.abs(np.diff(position, axis=0)) <= limits.velocity * elapsed)
    assert np.all(np.abs(np.diff(position, n=2, axis=0)) <= limits.acceleration * elapsed**2)
    assert np.all(np.abs(np.diff(position, n=3, axis=0)) <= limits.jerk * elapsed**3)


@pytest.mark.parametrize("tapered", [True, False], ids=["velocity tapers near limits", "constant velocity limit"])
@pytest.mark.parametrize("seed", range(3))
def test_random_targets_never_leave_any_limit(fr3, seed, tapered):
    spec = fr3 if tapered else replace(fr3, limits=replace(fr3.limits, taper=None))
    limits, rng = spec.limits, np.random.default_rng(seed)
    limiter = Limiter(spec, GatewayConfig())
    setpoints, target, velocity = [limiter.setpoint], spec.home, np.zeros(7)
    for step in range(2500):
        if step % rng.integers(3, 90) == 0:
            target = rng.uniform(limits.position_lower - 1, limits.position_upper + 1)
            velocity = rng.normal(0, 3, 7) * rng.integers(0, 2)
        target = target + velocity * PERIOD
        if rng.random() < 0.01:
            setpoints.append(limiter.stop(PERIOD))
        else:
            setpoints.append(limiter.track(target, velocity, PERIOD))
    check(limits, setpoints)


@pytest.mark.parametrize(("rate_hz", "jerk"), [(5.0, None), (10.0, None), (30.0, None), (250.0, None), (100.0, 30.0)])
def test_slow_gateways_and_sluggish_arms_keep_the_limits_too(fr3, rate_hz, jerk):
    limits, rng, period = fr3.limits, np.random.default_rng(0), 1 / rate_hz
    if jerk is not None:
        limits = replace(limits, jerk=np.full(7, jerk))
    limiter = Limiter(replace(fr3, limits=limits), GatewayConfig(rate_hz=rate_hz))
    setpoints, target, velocity = [limiter.setpoint], fr3.home, np.zeros(7)
    for step in range(2500):
        if step % rng.integers(3, 90) == 0:
            target = rng.uniform(limits.position_lower - 1, limits.position_upper + 1)
            velocity = rng.normal(0, 3, 7)
        target = target + velocity * period
        setpoints.append(limiter.track(target, velocity, period))
    check(limits, setpoints, period, slack=1e-6)  # what `JointLaw.permits` forgives


@pytest.mark.parametrize(("side", "sign"), [("position_lower", -1.0), ("position_upper", 1.0)])
def test_racing_into_a_position_limit_ends_at_rest_there(fr3, side, sign):
    limiter = Limiter(fr3, GatewayConfig())
    limit = getattr(fr3.limits, side)
    setpoints = [limiter.track(limit + sign, np.full(7, 5 * sign), PERIOD) for _ in range(600)]
    check(fr3.limits, setpoints)
    np.testing.assert_allclose(setpoints[-1].position, limit, atol=0.01)
    assert np.abs(setpoints[-1].velocity).max() < 0.01


def test_a_tool_moving_at_a_quarter_metre_per_second_is_tracked_without_lag(fr3):
    kinematics, limiter = Kinematics(fr3), Limiter(fr3, GatewayConfig())
    start = kinematics.forward(fr3.home)
    q, errors = fr3.home, []
    for step in range(1, 301):
        phase = 2.5 * max(0.0, step * PERIOD - 0.25) + 5 * min(0.25, step * PERIOD) ** 2  # speeds up within 0.25 s
        offset = 0.1 * np.array([1 - np.cos(phase), np.sin(phase), 0.0])
        rate = 2.5 * min(1.0, step * PERIOD / 0.25)
        twist = np.append(0.1 * rate * np.array([np.sin(phase), np.cos(phase), 0.0]), [0, 0, 0])
        q, _ = kinematics.solve(Pose(start.position + offset, start.quaternion), q)
        setpoint = limiter.track(q, kinematics.joint_velocity(q, twist), PERIOD)
        errors.append(np.linalg.norm(kinematics.forward(setpoint.position).position - start.position - offset))
    # 0.25 m/s: 1 mm is 4 ms of lag.
    assert np.max(errors[50:]) < 0.001


def test_a_step_is_reached_fast_and_without_overshoot(fr3):
    limiter = Limiter(fr3, GatewayConfig())
    step = np.array([1.0, 0.5, -1.0, 0.5, 1.0, 1.0, -1.0])
    path = np.array([limiter.track(fr3.home + step, np.zeros(7), PERIOD).position for _ in range(300)]) - fr3.home
    assert np.all(np.sign(step) * (path - step) < 1e-9)
    assert np.all(np.abs(path[130] - step) < 0.01)


def test_stop_comes_to_rest_and_stays(fr3):
    limiter = Limiter(fr3, GatewayConfig())
    setpoints = [limiter.track(fr3.home + 1, np.zeros(7), PERIOD) for _ in range(30)]
    assert np.abs(setpoints[-1].velocity).max() > 1.0
    assert not limiter.at_rest
    setpoints += [limiter.stop(PERIOD) for _ in range(50)]
    assert limiter.at_rest
    check(fr3.limits, setpoints)
    rested = limiter.setpoint.position
    for _ in range(10):
        np.testing.assert_array_equal(limiter.stop(PERIOD).position, rested)


@pytest.mark.parametrize("bad", [np.full(7, np.nan), np.append(np.zeros(6), np.inf), np.zeros(6), np.zeros((1, 7))])
def test_what_is_not_a_joint_vector_is_refused_and_moves_nothing(fr3, bad):
    limiter = Limiter(fr3, GatewayConfig())
    for _ in range(20):
        limiter.track(fr3.home + 0.5, np.zeros(7), PERIOD)
    before = limiter.setpoint
    for arguments in ((bad, np.zeros(7)), (fr3.home, bad)):
        with pytest.raises(SparkError, match="joint target"):
            limiter.track(*arguments, PERIOD)
    with pytest.raises(SparkError, match="joint position"):
        limiter.reset(bad)
    assert limiter.setpoint is before


def test_irregular_periods_keep_the_limits_and_a_pause_makes_no_jump(fr3):
    limiter, rng = Limiter(fr3, GatewayConfig()), np.random.default_rng(0)
    target = fr3.home + 0.6
    for _ in range(400):
        before = limiter.setpoint
        elapsed = float(rng.choice([0.0, 0.001, 0.008, 0.01, 0.013, 3.0, -1.0]))
        after = limiter.track(target, np.zeros(7), elapsed)
        counted = min(max(elapsed, 0.0), 2 * PERIOD)
        assert np.all(np.abs(after.position - before.position) <= fr3.limits.velocity * counted + 1e-12)
        assert np.all(np.abs(after.velocity - before.velocity) <= fr3.limits.acceleration * counted + 1e-12)
        if rng.random() < 0.05:
            target = rng.uniform(fr3.limits.position_lower, fr3.limits.position_upper)


def test_scales_lower_the_limits(fr3):
    limiter = Limiter(fr3, GatewayConfig(velocity_scale=0.1, acceleration_scale=0.2))
    setpoints = [limiter.track(fr3.home + 1, np.zeros(7), PERIOD) for _ in range(200)]
    assert np.all(np.abs([s.velocity for s in setpoints]) <= 0.1 * fr3.limits.velocity)
    assert np.all(np.abs([s.acceleration for s in setpoints]) <= 0.2 * fr3.limits.acceleration)


def test_the_velocity_cap_is_asked_and_kept(fr3):
    limiter = Limiter(fr3, GatewayConfig(), lambda position, velocity: np.clip(velocity, -0.3, 0.3))
    setpoints = [limiter.track(fr3.home + 0.5, np.zeros(7), PERIOD) for _ in range(100)]
    assert 0.29 < np.abs([s.velocity for s in setpoints]).max() <= 0.3


@pytest.mark.parametrize("setting", [{"rate_hz": 0.0}, {"joint_timeout_s": float("nan")}, {"velocity_scale": 1.5}])
def test_settings_that_make_no_sense_are_refused_by_name(setting):
    with pytest.raises(SparkError, match=next(iter(setting))):
        GatewayConfig(**setting)


@pytest.mark.parametrize("seed", range(2))
def test_a_low_acceleration_scale_does_not_make_stops_longer(fr3, seed):
    duration, rng = {}, np.random.default_rng(seed)
    start = rng.uniform(-0.3, 0.3, 7)
    for scale in (1.0, 0.05):
        limiter = Limiter(fr3, GatewayConfig(acceleration_scale=scale))
        setpoints, target = [limiter.setpoint], fr3.home.copy()
        while np.abs(limiter.setpoint.velocity).max() < 0.25:
            target = target + start * PERIOD
            setpoints.append(limiter.track(target, start, PERIOD))
        moving = len(setpoints)
        while not limiter.at_rest:
            setpoints.append(limiter.stop(PERIOD))
        duration[scale] = len(setpoints) - moving
        check(fr3.limits, setpoints)
    assert duration[0.05] <= duration[1.0] + 1, duration


def test_going_on_in_the_middle_of_a_stop_does_not_swing_back(fr3):
    limiter = Limiter(fr3, GatewayConfig(acceleration_scale=0.02))
    velocity, target = np.full(7, 0.3), fr3.home.copy()
    setpoints = [limiter.setpoint]
    for step in range(900):
        target = target + velocity * PERIOD * (step < 300)
        stopping = step > 200 and step % 4 != 0
        setpoints.append(limiter.stop(PERIOD) if stopping else limiter.track(target, velocity, PERIOD))
    check(fr3.limits, setpoints)
    assert min(s.velocity.min() for s in setpoints) > -0.01
