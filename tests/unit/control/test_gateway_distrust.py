"""A frozen camera, a foreign scene, an arm whose own controller has stopped it: a smooth stop that says why."""

import numpy as np
import pytest

from spark_ros.contracts import SparkError
from spark_ros.control.gateway import GatewayConfig
from spark_ros.control.modes import Mode
from spark_ros.control.perceived import FrozenImages
from spark_ros.control.vendor import UR_ROBOT_MODES, UR_SAFETY_MODES, VendorState
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot

CAMERA = "/camera/front/color/image_raw"


@pytest.fixture
def moving(make_rig):
    rig = make_rig(drift_limit=5.0)
    rig.engage(Mode.POLICY)
    advance(rig, 0.5)
    return rig


def advance(rig, seconds, at_frame=lambda frame: None):
    """A policy that goes on at 10 Hz, and what else happens then."""
    for frame in range(round(10 * seconds)):
        rig.send(rig.chunk(offset=(0.1, 0.05, 0)))
        at_frame(frame)
        rig.run(0.1)


def assert_stopped(rig, mode, *words):
    assert rig.gateway.mode is mode
    assert all(word in rig.gateway.reason for word in words), rig.gateway.reason
    speeds = [np.abs(sent.command.velocity).max() for sent in rig.sent]
    assert max(speeds) > 0.1 and speeds[-1] < 1e-6


def test_a_camera_that_repeats_itself_while_the_arm_moves_holds(moving, assert_within_limits):
    advance(moving, 2.0, lambda frame: moving.gateway.on_image(CAMERA, min(frame, 5)))
    assert_stopped(moving, Mode.HOLD, CAMERA, "frozen", "identical images")
    assert_within_limits(moving.sent)


def test_images_of_a_still_scene_may_be_identical(rig):
    rig.engage(Mode.POLICY)
    for _ in range(30):
        rig.send(rig.chunk())
        assert rig.gateway.on_image(CAMERA, 7).ok
        rig.run(0.1)
    assert rig.gateway.mode is Mode.POLICY


def test_images_that_change_do_not_stop_the_arm(moving):
    advance(moving, 1.0, lambda frame: moving.gateway.on_image(CAMERA, frame))
    assert moving.gateway.mode is Mode.POLICY


def test_one_frozen_camera_of_two_is_noticed():
    frozen = FrozenImages(3, 0.02)
    said = []
    for frame in range(6):
        position = np.full(7, 0.01 * frame)
        said.append((frozen.feed("a", frame, position), frozen.feed("b", 1, position)))
    assert all(first is None for first, _ in said)
    assert said[1][1] is None and "b is frozen" in said[-1][1]


def test_who_engages_again_starts_with_fresh_eyes(moving):
    advance(moving, 2.0, lambda frame: moving.gateway.on_image(CAMERA, 1))
    assert moving.gateway.mode is Mode.HOLD
    assert moving.gateway.engage(Mode.POLICY, moving.now).ok
    advance(moving, 1.0, lambda frame: moving.gateway.on_image(CAMERA, frame))
    assert moving.gateway.mode is Mode.POLICY


def test_drift_that_stays_holds_and_an_outlier_does_not(moving, assert_within_limits):
    advance(moving, 0.6, lambda frame: moving.gateway.on_drift(9.0 if frame % 2 else 1.0))
    assert moving.gateway.mode is Mode.POLICY
    advance(moving, 1.0, lambda frame: moving.gateway.on_drift(9.0))
    assert_stopped(moving, Mode.HOLD, "drift 9, the limit is 5, crossed 3 times")
    assert_within_limits(moving.sent)


def test_drift_slows_the_policy_down_where_that_is_asked_for_until_it_has_gone(make_rig, assert_within_limits):
    rig = make_rig(drift_limit=5.0, drift_tool_speed=0.03)
    kinematics = Kinematics(load_robot("fr3"))
    rig.engage(Mode.POLICY)

    def fastest(seconds, score):
        begin = len(rig.sent)
        for _ in range(round(10 * seconds)):  # back and forth, faster than is asked for here
            rig.send(rig.chunk(offset=(0.1 * (-1) ** (len(rig.sent) // 50), 0.05, 0)))
            if score is not None:
                rig.gateway.on_drift(score)
            rig.run(0.1)
        tools = [kinematics.forward(sent.command.position).position for sent in rig.sent[begin + 30 :]]
        return np.linalg.norm(np.diff(tools, axis=0), axis=1).max() / 0.01

    assert fastest(1.0, 1.0) > 0.05
    assert 0.01 < fastest(2.0, 9.0) < 0.031
    assert rig.gateway.mode is Mode.POLICY and "slow, 0.03 m/s" in rig.gateway.reason
    assert fastest(2.0, 1.0) > 0.05
    assert rig.gateway.reason == "policy engaged"
    fastest(1.0, 9.0)
    rig.gateway.hold("pause")
    rig.run(1.0)
    rig.engage(Mode.POLICY)
    assert fastest(1.0, None) > 0.05  # who engages again knows what he does
    assert_within_limits(rig.sent)


def test_an_operator_who_takes_over_from_a_policy_that_was_slowed_down_is_not(make_rig):
    rig = make_rig(drift_limit=5.0, drift_tool_speed=0.03)
    rig.engage(Mode.POLICY)
    advance(rig, 1.0, lambda frame: rig.gateway.on_drift(9.0))
    assert rig.gateway.is_slowed
    assert rig.gateway.engage(Mode.TELEOP, rig.now).ok and not rig.gateway.is_slowed
    kinematics, begin = Kinematics(load_robot("fr3")), len(rig.sent)
    for _ in range(10):
        rig.operate(twist=(0.1, 0, 0, 0, 0, 0))
        rig.run(0.1)
    tools = [kinematics.forward(sent.command.position).position for sent in rig.sent[begin:]]
    assert np.linalg.norm(np.diff(tools, axis=0), axis=1).max() / 0.01 > 0.08


def test_a_policy_that_is_slowed_down_keeps_hold_of_what_it_has(make_rig):
    rig = make_rig(drift_limit=5.0, drift_tool_speed=0.03)
    rig.engage(Mode.POLICY)
    advance(rig, 1.0, lambda frame: rig.gateway.on_drift(9.0))
    before = rig.sent[-1].command.gripper_width
    for score in (9.0, 1.0):
        for _ in range(10):
            rig.send(rig.chunk(width=0.02))
            rig.gateway.on_drift(score)
            rig.run(0.1)
        assert (rig.sent[-1].command.gripper_width == before) is (score > 5.0)


@pytest.mark.parametrize("settings", [{"drift_tool_speed": 0.03}, {"drift_limit": 1.0, "drift_tool_speed": 50.0}])
def test_a_slow_speed_that_would_slow_nothing_is_refused(make_rig, settings):
    with pytest.raises(SparkError, match="drift_tool_speed"):
        make_rig(**settings)


def test_a_drift_that_is_no_number_counts_as_high(moving):
    advance(moving, 1.0, lambda frame: moving.gateway.on_drift(float("nan")))
    assert moving.gateway.mode is Mode.HOLD


def test_without_a_limit_drift_is_ignored(rig):
    rig.engage(Mode.POLICY)
    advance(rig, 1.0, lambda frame: rig.gateway.on_drift(1e9))
    assert rig.gateway.mode is Mode.POLICY


def test_an_operator_is_not_stopped_by_what_a_policy_sees(rig):
    rig.engage(Mode.TELEOP)
    for _ in range(20):
        rig.operate(twist=(0.1, 0, 0, 0, 0, 0))
        rig.gateway.on_image(CAMERA, 1)
        rig.run(0.1)
    assert rig.gateway.mode is Mode.TELEOP


REPORTS = {
    "protective stop": lambda vendor: vendor.on_ur_safety_mode(3),
    "robot emergency stop": lambda vendor: vendor.on_ur_safety_mode(7),
    "idle": lambda vendor: vendor.on_ur_robot_mode(5),
    "unknown (99)": lambda vendor: vendor.on_ur_robot_mode(99),
    "External Control": lambda vendor: vendor.on_ur_program_running(False),
    "joint_velocity_violation": lambda vendor: vendor.on_franka_state(4, ["joint_velocity_violation"]),
    "user stopped": lambda vendor: vendor.on_franka_state(5, []),
    "cable unplugged": lambda vendor: vendor.on_report(False, "cable unplugged"),
}
FINE = (
    lambda vendor: vendor.on_ur_safety_mode(1),
    lambda vendor: vendor.on_ur_safety_mode(2),
    lambda vendor: vendor.on_ur_robot_mode(7),
    lambda vendor: vendor.on_ur_program_running(True),
    lambda vendor: vendor.on_franka_state(2, []),
    lambda vendor: vendor.on_report(True, ""),
    lambda vendor: vendor.on_speed_scaling(1.0),
)


@pytest.mark.parametrize("words", REPORTS)
@pytest.mark.parametrize("mode", [Mode.TELEOP, Mode.POLICY])
def test_a_stop_by_the_arms_controller_faults_and_the_old_setpoint_is_dropped(
    make_rig, words, mode, assert_within_limits
):
    rig = make_rig()
    rig.engage(mode)
    if mode is Mode.POLICY:
        advance(rig, 0.5)
    else:
        rig.run(0.5, lambda: rig.operate(twist=(0.2, 0.1, 0, 0, 0, 0)))
    REPORTS[words](rig.gateway.vendor)
    commands = rig.run(1.0)
    assert_stopped(rig, Mode.FAULT, words, "no longer commanding")
    assert commands[0] is not None and commands[-1] is None
    assert_within_limits(rig.sent)
    outcome = rig.gateway.engage(mode, rig.now)
    assert not outcome.ok and "reset first" in outcome.message
    assert rig.gateway.reset().ok
    outcome = rig.gateway.engage(mode, rig.now)
    assert not outcome.ok and words in outcome.message
    for report in FINE:
        report(rig.gateway.vendor)
    assert rig.gateway.engage(mode, rig.now).ok
    np.testing.assert_allclose(rig.tick().position, rig.q)


def test_within_two_periods_of_a_report_the_arm_brakes(moving):
    speed = np.abs(moving.sent[-1].command.velocity).max()
    moving.gateway.vendor.on_ur_safety_mode(3)
    moving.run(0.02)
    assert np.abs(moving.sent[-1].command.velocity).max() < speed


def test_a_speed_slider_that_is_turned_down_holds(moving, assert_within_limits):
    moving.gateway.vendor.on_speed_scaling(0.5)
    moving.run(0.5)
    assert_stopped(moving, Mode.HOLD, "50%", "100%")
    assert_within_limits(moving.sent)
    assert not moving.gateway.engage(Mode.POLICY, moving.now).ok
    moving.gateway.vendor.on_speed_scaling(1.0)
    assert moving.gateway.engage(Mode.POLICY, moving.now).ok


@pytest.mark.parametrize("report", FINE)
def test_good_news_does_not_stop_the_arm(moving, report):
    report(moving.gateway.vendor)
    advance(moving, 0.3)
    assert moving.gateway.mode is Mode.POLICY


def test_the_gravest_complaint_is_told_first():
    vendor = VendorState(0.95)
    vendor.on_speed_scaling(0.1)
    vendor.on_ur_safety_mode(3)
    assert "protective stop" in vendor.complaint.reason
    vendor.on_ur_safety_mode(1)
    assert "speed" in vendor.complaint.reason
    vendor.on_speed_scaling(1.0)
    assert vendor.complaint is None


@pytest.mark.parametrize("scaling", [float("nan"), float("inf"), -1.0])
def test_a_speed_scaling_that_makes_no_sense_is_a_complaint(scaling):
    vendor = VendorState(0.95)
    vendor.on_speed_scaling(scaling)
    assert vendor.complaint is not None


def test_only_the_modes_to_move_in_are_fine():
    vendor = VendorState(0.95)
    fine = set()
    for mode in UR_SAFETY_MODES:
        vendor.on_ur_safety_mode(mode)
        fine |= {UR_SAFETY_MODES[mode]} if vendor.complaint is None else set()
    assert fine == {"normal", "reduced"}
    vendor = VendorState(0.95)
    for mode in UR_ROBOT_MODES:
        vendor.on_ur_robot_mode(mode)
        assert (vendor.complaint is None) == (UR_ROBOT_MODES[mode] == "running")


@pytest.mark.parametrize("setting", [{"min_speed_scaling": 1.2}, {"frozen_frames": 0.0}, {"drift_limit": float("inf")}])
def test_settings_that_make_no_sense_are_refused(setting):
    with pytest.raises(SparkError, match=next(iter(setting))):
        GatewayConfig(**setting)
