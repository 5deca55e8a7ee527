"""What the limiter and its guards take as settled without a look is what a look at everything would have settled."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.limits.streams import Stream
from spark_ros.contracts import ActionKind
from spark_ros.control import tool_guard as guard
from spark_ros.control.collision_guard import CollisionGuard
from spark_ros.control.config import GatewayConfig
from spark_ros.control.executor import Target
from spark_ros.control.joint_law import Dynamics, JointLaw
from spark_ros.control.limiter import Limiter
from spark_ros.control.motion import Motion
from spark_ros.control.ramps import Ramps
from spark_ros.control.tool_guard import ToolGuard
from spark_ros.control.way import WayToRest
from spark_ros.robots.chain import tool_levers
from spark_ros.robots.clearance import Clearance
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot, robot_names

PERIOD, MARGIN = 0.01, 0.02
parts = st.floats(-1, 1)
scales = st.sampled_from([0.02, 0.1, 1.0])


def planned_stop(dynamics, state):
    """A stop of joints (J) from there, and positions and velocities (T, J) along it."""
    stop = Ramps(len(dynamics))
    stop.plan(tuple(map(list, state)), [0.0] * len(dynamics), dynamics)
    position, velocity = zip(*stop.passed(400), strict=True)
    return stop, np.array(position), np.array(velocity)


@settings(max_examples=400, deadline=None)
@given(v=parts, a=parts, scale=scales, jerk=st.sampled_from([50.0, 500.0, 5000.0]))
def test_no_stop_is_faster_or_leads_further_than_its_bounds(v, a, scale, jerk):
    dynamics = Dynamics(10.0 * scale, jerk, PERIOD)
    velocity, acceleration = 5.0 * v, 10.0 * a  # also more than motion with a low scale may use: the end of a hard stop
    speed, reach = dynamics.stop(velocity, acceleration)
    _, position, passed = planned_stop([dynamics], ([0.0], [velocity], [acceleration]))
    assert np.abs(passed).max() <= speed + 1e-9
    assert np.abs(position).max() <= reach + 1e-9


@settings(max_examples=400, deadline=None)
@given(data=st.data(), scale=scales)
def test_a_joint_that_surely_stops_inside_passes_nothing_that_it_may_not(fr3, data, scale):
    joint = data.draw(st.integers(0, 6))
    law = JointLaw(fr3.limits, joint, GatewayConfig(acceleration_scale=scale))
    far = (law.upper - law.lower) * data.draw(st.floats(0, 0.5)) ** 2  # more often near a limit
    position = law.lower + far if data.draw(st.booleans()) else law.upper - far
    velocity, acceleration = law.velocity * data.draw(parts), law.stopping.acceleration * data.draw(parts)
    if law.surely_stops_inside(position, velocity, acceleration):
        _, passed, speeds = planned_stop([law.moving], ([position], [velocity], [acceleration]))
        assert all(law.permits(q, v) for q, v in zip(passed[:, 0], speeds[:, 0], strict=True))


def way_from(spec, laws, rng):
    """A stop from anywhere, the tool often near a wall or its highest speed; and the posture a step before it."""
    limits, kinematics = spec.limits, Kinematics(spec)
    q = spec.home + rng.normal(0, 0.6, spec.home.size)
    q = np.clip(q, limits.position_lower, limits.position_upper)
    velocity = rng.normal(0, 1, q.size) * (rng.random(q.size) < 0.7)
    twist = kinematics.jacobian(q) @ velocity
    share = max(np.linalg.norm(twist[:3]) / spec.ee_max_linear_speed, np.linalg.norm(twist[3:]) / 2, 1e-3)
    velocity *= rng.choice([0.3, 0.8, 1.0, 1.005, 1.02]) / share
    velocity = np.clip(velocity, -limits.velocity, limits.velocity)
    state = (q.tolist(), velocity.tolist(), (limits.acceleration * rng.uniform(-0.9, 0.9, q.size)).tolist())
    stop, _, _ = planned_stop([law.stopping for law in laws], state)
    return (q - velocity * PERIOD).tolist(), WayToRest(stop, laws, state)


@pytest.mark.parametrize("name", robot_names())
def test_the_tool_guard_judges_as_a_look_at_every_position_does(name):
    spec = load_robot(name)
    laws = [JointLaw(spec.limits, joint, GatewayConfig()) for joint in range(spec.home.size)]
    kinematics, rng, verdicts = Kinematics(spec), np.random.default_rng(7), []
    tool_guard = ToolGuard(spec)
    for _ in range(1500):
        before, way = way_from(spec, laws, rng)
        tool = kinematics.forward(np.array(before)).position
        lower = np.minimum(spec.workspace.lower - guard.WALL_TOLERANCE, tool)
        upper = np.maximum(spec.workspace.upper + guard.WALL_TOLERANCE, tool)
        right = True
        for q, v in way.passed:
            place, twist = kinematics.forward(np.array(q)).position, kinematics.jacobian(np.array(q)) @ v
            right &= bool(np.all(place >= lower) and np.all(place <= upper))
            right &= bool(np.linalg.norm(twist[:3]) <= guard.SPEED_TOLERANCE * spec.ee_max_linear_speed)
            right &= bool(np.linalg.norm(twist[3:]) <= guard.SPEED_TOLERANCE * spec.ee_max_angular_speed)
        verdicts.append(right)
        assert tool_guard.permits(before, way) == right
    assert 0.1 < np.mean(verdicts) < 0.9


@pytest.mark.parametrize("name", robot_names())
def test_what_the_collision_guard_takes_as_free_keeps_the_margin_all_along(name):
    spec = load_robot(name)
    laws = [JointLaw(spec.limits, joint, GatewayConfig()) for joint in range(spec.home.size)]
    clearance, rng, permitted = Clearance(spec), np.random.default_rng(8), 0
    collision_guard = CollisionGuard(clearance, MARGIN)
    for _ in range(1500):
        before, way = way_from(spec, laws, rng)
        if clearance.distance(before) > MARGIN and collision_guard.permits(before, way):
            permitted += 1
            # Between two of its looks, where it is close to something, the arm turns by hundredths of a rad.
            assert min(clearance.distance(q) for q, _ in way.passed) > MARGIN - 0.003
    assert permitted > 200


@pytest.mark.parametrize("name", robot_names())
def test_no_tool_moves_faster_than_its_levers_say(name):
    kinematics, rng = Kinematics(load_robot(name)), np.random.default_rng(2)
    levers, limits = tool_levers(kinematics.spec), kinematics.spec.limits
    for _ in range(500):
        q = rng.uniform(limits.position_lower, limits.position_upper)
        assert np.all(np.linalg.norm(kinematics.jacobian(q)[:3], axis=0) <= levers + 1e-9)


@pytest.mark.parametrize("name", ["fr3", "ur5e"])
@pytest.mark.parametrize("seed", range(6))
def test_without_its_shortcuts_the_limiter_says_the_same(monkeypatch, name, seed):
    """Streams that go for every limit, once as it is and once with a look at everything that could matter."""

    def told():
        config = GatewayConfig(acceleration_scale=[1.0, 0.1][seed % 2])
        return Stream(load_robot(name), config, np.random.default_rng([11, seed])).run(250)

    as_it_is = told()
    monkeypatch.setattr(Limiter, "_in_doubt", lambda _, state: list(range(len(state[0]))))
    monkeypatch.setattr(ToolGuard, "_surely_passes", lambda *_: False)
    monkeypatch.setattr(CollisionGuard, "_is_free", lambda *_: False)
    looked = told()
    np.testing.assert_array_equal(as_it_is.position, looked.position)
    np.testing.assert_array_equal(as_it_is.velocity, looked.velocity)


def test_a_limiter_far_from_every_limit_looks_at_no_way(fr3, monkeypatch):
    """The shortcuts are taken where an arm works at moderate speed."""
    looks = []
    look = WayToRest.passed.func
    monkeypatch.setattr(WayToRest, "passed", property(lambda way: looks.append(way) or look(way)))
    made = Motion(fr3, GatewayConfig())
    made.start(fr3.home, 0.04)
    for step in range(200):
        angle = 1.3 * step * PERIOD
        q, rate = fr3.home + 0.05 * np.sin(angle), np.full(7, 0.065 * np.cos(angle))
        made.follow(Target(ActionKind.JOINT_POSITION, q, rate, 0.04), PERIOD)
    assert len(looks) < 20


@pytest.mark.parametrize("claimed", [1e7, 1e150, 1.7e308])
def test_a_target_that_claims_to_be_absurdly_fast_is_followed_by_its_position(fr3, claimed):
    made = Motion(fr3, GatewayConfig())
    made.start(fr3.home, 0.04)
    for sign in (1, -1) * 50:
        rate = sign * claimed * np.array([1, -1, 1, 1, -1, 1, 1])
        made.follow(Target(ActionKind.JOINT_POSITION, fr3.home + 0.1, rate, 0.04), PERIOD)
    np.testing.assert_allclose(made.setpoint.position, fr3.home + 0.1, atol=0.01)
