"""Nothing that a limiter is told moves the tool too fast or through a wall of its workspace; it still gets there."""

import numpy as np
import pytest

from spark_ros.contracts import ActionKind, Pose, SparkError
from spark_ros.control.config import GatewayConfig
from spark_ros.control.executor import Target
from spark_ros.control.motion import Motion
from spark_ros.robots.kinematics import Kinematics

PERIOD = 0.01
RAMP_S = 0.3
SPEED_SLACK = 1.03
WALL_SLACK = 0.005  # m


@pytest.fixture
def kinematics(fr3):
    return Kinematics(fr3)


@pytest.fixture
def motion(fr3):
    motion = Motion(fr3, GatewayConfig())
    motion.start(fr3.home, 0.04)
    return motion


def drive(motion, kinematics, follow, steps):
    """Tool positions (T, 3) and twists (T, 6) along the way."""
    positions, twists = [], []
    for step in range(steps):
        follow(step)
        q, v = motion.setpoint.position, motion.setpoint.velocity
        positions.append(kinematics.forward(q).position)
        twists.append(kinematics.jacobian(q) @ v)
    return np.array(positions), np.array(twists)


def assert_kept(spec, positions, twists):
    assert np.linalg.norm(twists[:, :3], axis=1).max() <= SPEED_SLACK * spec.ee_max_linear_speed
    assert np.linalg.norm(twists[:, 3:], axis=1).max() <= SPEED_SLACK * spec.ee_max_angular_speed
    assert np.all(positions >= spec.workspace.lower - WALL_SLACK)
    assert np.all(positions <= spec.workspace.upper + WALL_SLACK)


@pytest.mark.parametrize("seed", range(4))
def test_joint_targets_that_jump_keep_the_tool_slow_and_inside(fr3, motion, kinematics, seed):
    rng, targets = np.random.default_rng(seed), {}

    def follow(step):
        if step % 40 == 0:
            q = rng.uniform(fr3.limits.position_lower, fr3.limits.position_upper)
            targets["now"] = Target(ActionKind.JOINT_POSITION, q, rng.normal(0, 3, 7), 0.04)
        motion.follow(targets["now"], PERIOD)

    assert_kept(fr3, *drive(motion, kinematics, follow, 800))


@pytest.mark.parametrize("seed", range(4))
def test_twists_into_walls_and_singularities_keep_the_tool_slow_and_inside(fr3, motion, kinematics, seed):
    rng, twist = np.random.default_rng(seed), np.zeros(6)

    def follow(step):
        if step % 50 == 0:
            twist[:] = rng.normal(0, 2, 6)
        tool = motion.tool
        motion.follow_tool(Pose(tool.position + 0.1 * twist[:3], tool.quaternion), twist, PERIOD)

    assert_kept(fr3, *drive(motion, kinematics, follow, 800))


@pytest.mark.parametrize("speed", [0.2, 0.49, 5.0])
def test_along_a_wall_the_tool_goes_on_smoothly(fr3, motion, kinematics, speed):
    """A guard that brakes at every touch would stutter: nobody could work on a table."""
    tool = motion.tool
    begin, end = np.array([0.45, -0.4, fr3.workspace.lower[2]]), 0.8
    for _ in range(500):
        motion.follow(Target(ActionKind.EE_POSE, np.append(begin, tool.quaternion), np.zeros(6), 0.04), PERIOD)
    allowed = min(speed, fr3.ee_max_linear_speed)

    def follow(step):
        time = step * PERIOD
        gone = 0.5 * speed * time**2 / RAMP_S if time < RAMP_S else speed * (time - RAMP_S / 2)
        position = begin + np.array([0, min(gone, end), -0.05])  # the table is in the way all the time
        rate = np.array([0, speed * min(time / RAMP_S, 1.0) * (gone < end), -0.3, 0, 0, 0])
        motion.follow(Target(ActionKind.EE_POSE, np.append(position, tool.quaternion), rate, 0.04), PERIOD)

    positions, twists = drive(motion, kinematics, follow, round((end / allowed + 1.0) / PERIOD))
    assert_kept(fr3, positions, twists)
    assert positions[-1][1] > 0.38
    cruising = twists[round(2 * RAMP_S / PERIOD) : round(0.9 * end / allowed / PERIOD), 1]
    assert cruising.min() > 0.85 * allowed
    assert np.abs(np.diff(cruising)).max() < 0.05 * allowed


def test_a_tool_beyond_a_wall_comes_in_and_goes_no_further_out(fr3, kinematics):
    motion = Motion(fr3, GatewayConfig())
    start = fr3.home.copy()
    start[0] = 1.6  # to the side
    motion.start(start, 0.04)
    tool = motion.tool
    assert tool.position[0] < fr3.workspace.lower[0]
    outwards = Target(ActionKind.EE_POSE, np.append(tool.position - [0.1, 0, 0], tool.quaternion), np.zeros(6), 0.04)
    motion.follow_tool(Pose(outwards.value[:3], tool.quaternion), np.array([-1.0, 0, 0, 0, 0, 0]), PERIOD)
    positions, _ = drive(motion, kinematics, lambda _: motion.follow(outwards, PERIOD), 300)
    assert positions[:, 0].min() > tool.position[0] - WALL_SLACK
    assert positions[-1][0] > fr3.workspace.lower[0] - 0.01


@pytest.mark.parametrize(
    ("value", "rate"),
    [
        (np.zeros(6), np.zeros(7)),
        (np.zeros(7), np.zeros(6)),
        (np.zeros(0), np.zeros(7)),
        (np.zeros((1, 7)), np.zeros(7)),
        (np.full(7, np.nan), np.zeros(7)),
        (np.zeros(7), np.full(7, np.inf)),
    ],
)
def test_targets_of_another_form_are_refused_and_forgotten(fr3, motion, value, rate):
    before = motion.setpoint
    with pytest.raises(SparkError, match="joint_position target"):
        motion.follow(Target(ActionKind.JOINT_POSITION, value, rate, 0.04), PERIOD)
    assert motion.setpoint is before
    motion.follow(Target(ActionKind.JOINT_POSITION, fr3.home + 0.1, np.zeros(7), 0.04), PERIOD)
    assert motion.setpoint is not before


def test_gentle_motion_takes_over_from_a_hard_stop_without_turning_round(fr3):
    """With a low acceleration_scale a stop's deceleration takes long to take back: too late turns the joint round."""
    rng = np.random.default_rng(3)
    motion = Motion(fr3, GatewayConfig(acceleration_scale=0.1))
    motion.start(fr3.home, 0.04)
    rate = rng.choice([-0.3, 0.3], 7)
    target, turned = fr3.home.copy(), 0.0
    for step in range(900):
        if step % 90 < 60:
            target = target + rate * PERIOD
            motion.follow(Target(ActionKind.JOINT_POSITION, target, rate, 0.04), PERIOD)
        elif step % 90 < 60 + step // 90:
            motion.stop(PERIOD)
        else:
            turned = max(turned, float((-np.sign(rate) * motion.setpoint.velocity).max()))
            target = motion.setpoint.position
            motion.follow(Target(ActionKind.JOINT_POSITION, target + 0.01 * rate, rate * 0.1, 0.04), PERIOD)
        if step % 90 == 89:
            rate = -rate
            while not motion.at_rest:
                motion.stop(PERIOD)
            target = motion.setpoint.position
    assert turned < 0.002
