"""An operator's target keeps the tool speeds and the workspace and never runs away from the arm."""

from dataclasses import replace

import numpy as np
import pytest

from spark_ros.contracts import Pose, SparkError, TeleopInput
from spark_ros.control.config import GatewayConfig
from spark_ros.control.operator_input import check_teleop
from spark_ros.control.teleop import TeleopTarget
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import pose_distance
from spark_ros.robots.spec import load_robot

HOME = Pose(np.array([0.5, 0.0, 0.3]), np.array([1.0, 0, 0, 0]))
FREE = GatewayConfig(teleop_leash_m=9.0, teleop_leash_rad=3.0, teleop_acceleration=1e9, teleop_angular_acceleration=1e9)
AGILE = replace(load_robot("fr3"), ee_max_linear_acceleration=1e9, ee_max_angular_acceleration=1e9)


def test_a_twist_is_integrated_in_the_base_frame(fr3):
    target = TeleopTarget(AGILE, FREE)
    for _ in range(10):
        pose, twist = target.step(np.array([0.1, -0.2, 0, 0, 0, 0.5]), HOME, 0.01)
    np.testing.assert_allclose(pose.position, HOME.position + np.array([0.01, -0.02, 0]))
    np.testing.assert_allclose(twist, [0.1, -0.2, 0, 0, 0, 0.5])
    assert pose_distance(pose, HOME)[1] == pytest.approx(0.05)


def test_speeds_are_clamped_keeping_the_direction(fr3):
    pose, twist = TeleopTarget(AGILE, FREE).step(np.array([30.0, 40.0, 0, 0, 0, 99.0]), HOME, 0.01)
    np.testing.assert_allclose(twist[:3], np.array([0.6, 0.8, 0]) * fr3.ee_max_linear_speed)
    np.testing.assert_allclose(twist[3:], [0, 0, fr3.ee_max_angular_speed])
    assert pose_distance(pose, HOME)[0] <= fr3.ee_max_linear_speed * 0.01 + 1e-12


def test_the_target_changes_speed_no_faster_than_an_arm_can(fr3):
    config = GatewayConfig()
    target, before = TeleopTarget(fr3, config), np.zeros(6)
    for wanted in (0.3, -0.3, 0.0):
        for _ in range(40):
            _, twist = target.step(np.array([wanted, 0, 0, 0, 0, 4 * wanted]), HOME, 0.0005)
            assert np.abs(twist - before)[:3].max() <= config.teleop_acceleration * 0.0005 + 1e-9
            assert np.abs(twist - before)[3:].max() <= config.teleop_angular_acceleration * 0.0005 + 1e-9
            before = twist


def test_the_target_stays_in_the_workspace_and_says_that_it_does_not_move(fr3):
    target = TeleopTarget(AGILE, FREE)
    for _ in range(200):
        pose, twist = target.step(np.array([0, 0.1, -0.4, 0, 0, 0]), HOME, 0.01)
    assert pose.position[2] == fr3.workspace.lower[2]
    np.testing.assert_allclose(twist[:3], [0, 0.1, 0], atol=1e-12)


def test_a_tool_outside_of_the_workspace_comes_in_but_goes_no_further_out(fr3):
    outside = Pose(fr3.workspace.upper + 0.1, HOME.quaternion)
    target = TeleopTarget(AGILE, FREE)
    pose, _ = target.step(np.full(6, 0.1), outside, 0.01)
    np.testing.assert_array_equal(pose.position, outside.position)
    pose, _ = target.step(np.full(6, -0.1), outside, 0.01)
    np.testing.assert_allclose(pose.position, outside.position - 0.001)


def test_an_arm_that_does_not_follow_keeps_the_target_on_a_leash(fr3):
    config = GatewayConfig()
    target = TeleopTarget(fr3, config)
    for _ in range(300):
        pose, twist = target.step(np.array([0.3, 0, 0, 0, 0, 1.0]), HOME, 0.01)
    metres, radians = pose_distance(pose, HOME)
    assert metres <= config.teleop_leash_m + 1e-9 and radians <= config.teleop_leash_rad + 1e-6
    np.testing.assert_allclose(twist, 0, atol=1e-6)
    pose, _ = target.step(np.array([-0.3, 0, 0, 0, 0, 0]), HOME, 0.01)
    assert pose_distance(pose, HOME)[0] < config.teleop_leash_m  # turning round takes effect at once


def test_after_clear_the_target_starts_at_the_arm_again(fr3):
    target = TeleopTarget(AGILE, FREE)
    target.step(np.full(6, 0.1), HOME, 1.0)
    target.clear()
    pose, _ = target.step(np.zeros(6), HOME, 0.01)
    np.testing.assert_array_equal(pose.position, HOME.position)


@pytest.mark.parametrize(
    ("twist", "width", "says"),
    [(np.zeros(5), 0.0, "shape"), (np.full(6, np.nan), 0.0, "finite"), (np.zeros(6), float("inf"), "finite")],
)
def test_input_that_cannot_be_followed_is_refused(twist, width, says):
    with pytest.raises(SparkError, match=says):
        check_teleop(TeleopInput(twist, width, True, True, 0))


def test_a_target_changes_speed_no_faster_than_the_arms_joints_can_follow() -> None:
    ur5e = load_robot("ur5e")
    target, start = TeleopTarget(ur5e, GatewayConfig()), Kinematics(ur5e).forward(ur5e.home)
    _, twist = target.step(np.array([0.0, 0.0, 0.4, 0.0, 0.0, 2.0]), start, 0.01)
    np.testing.assert_allclose(twist, [0.0, 0.0, 0.01, 0.0, 0.0, 0.04])
    slower = TeleopTarget(ur5e, GatewayConfig(teleop_acceleration=0.5, teleop_angular_acceleration=1.0))
    _, twist = slower.step(np.array([0.0, 0.0, 0.4, 0.0, 0.0, 2.0]), start, 0.01)
    np.testing.assert_allclose(twist, [0.0, 0.0, 0.005, 0.0, 0.0, 0.01])
