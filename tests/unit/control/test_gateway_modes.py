"""Who may move the arm and when: engaging, holding, stopping, resetting."""

from dataclasses import replace

import numpy as np
import pytest

from spark_ros.contracts import JointState
from spark_ros.control.modes import Mode


def test_idle_publishes_nothing(rig):
    assert rig.gateway.mode is Mode.IDLE
    assert rig.run(0.2) == [None] * 20
    assert not rig.gateway.hold("please").ok
    assert not rig.send(rig.chunk()).ok
    assert not rig.operate().ok


@pytest.mark.parametrize("mode", [Mode.TELEOP, Mode.POLICY])
def test_engaging_starts_at_the_measured_arm_without_a_jump(rig, mode):
    rig.q = rig.spec.home + np.linspace(-0.3, 0.3, 7)
    rig.width = 0.031
    rig.engage(mode)
    for command in rig.run(0.3):
        np.testing.assert_allclose(command.position, rig.spec.home + np.linspace(-0.3, 0.3, 7), atol=1e-12)
        np.testing.assert_array_equal(command.velocity, 0)
        assert command.gripper_width == pytest.approx(0.031)
        assert command.joint_names == rig.spec.joint_names
        assert command.source_stamp_ns is None


def test_engaging_needs_to_know_the_arm(rig):
    gateway = rig.gateway
    outcome = gateway.engage(Mode.TELEOP, rig.now)
    assert not outcome.ok and "no joint state of fr3" in outcome.message
    arm_only = rig.joint_state().select(rig.spec.joint_names)
    gateway.on_joint_state(arm_only, rig.now)
    outcome = gateway.engage(Mode.TELEOP, rig.now)
    assert not outcome.ok and "fr3_finger_joint1" in outcome.message
    gateway.on_joint_state(rig.joint_state(), rig.now)
    outcome = gateway.engage(Mode.TELEOP, rig.now + 0.5)
    assert not outcome.ok and "no joint state" in outcome.message
    assert gateway.engage(Mode.TELEOP, rig.now).ok


def test_engaging_is_refused_while_the_arm_moves_or_is_beyond_a_limit(rig):
    moving = rig.joint_state()
    rig.gateway.on_joint_state(replace(moving, velocity=np.full(9, 0.5)), rig.now)
    outcome = rig.gateway.engage(Mode.POLICY, rig.now)
    assert not outcome.ok and "moving" in outcome.message
    rig.q = rig.spec.limits.position_upper + 0.05
    rig.gateway.on_joint_state(rig.joint_state(), rig.now)
    outcome = rig.gateway.engage(Mode.POLICY, rig.now)
    assert not outcome.ok and "beyond its limit" in outcome.message


def test_engaging_moves_an_arm_that_reads_beyond_a_limit_by_next_to_nothing(rig):
    for beyond, permitted in ((0.0019, True), (0.0021, False)):
        rig.q = rig.spec.home.copy()
        rig.q[3] = rig.spec.limits.position_upper[3] + beyond
        rig.gateway.on_joint_state(rig.joint_state(), rig.now)
        assert rig.gateway.engage(Mode.TELEOP, rig.now).ok is permitted
        if permitted:
            measured, command = rig.q, rig.tick()
            assert np.abs(command.position - measured).max() < 0.0025
            rig.gateway.hold("done")
            assert rig.gateway.reset().ok


def test_only_teleop_and_policy_can_be_engaged(rig):
    rig.tick()
    for mode in (Mode.IDLE, Mode.HOLD, Mode.FAULT):
        assert rig.gateway.engage(mode, rig.now).ok == (mode is rig.gateway.mode)
    assert rig.gateway.mode is Mode.IDLE


def test_hold_brakes_smoothly_and_keeps_the_setpoint(rig, assert_within_limits):
    rig.engage(Mode.TELEOP)
    rig.run(0.6, lambda: rig.operate(twist=(0.2, 0.2, 0, 0, 0, 0), width=0.02))
    assert rig.gateway.hold("lunch").ok
    assert rig.gateway.mode is Mode.HOLD and rig.gateway.reason == "lunch"
    commands = rig.run(1.0)
    assert np.abs(commands[0].velocity).max() > 0.1
    for command in commands[30:]:
        np.testing.assert_array_equal(command.velocity, 0)
        np.testing.assert_array_equal(command.position, commands[-1].position)
        assert command.gripper_width == commands[0].gripper_width
    assert_within_limits(rig.sent)


def test_reengaging_goes_on_from_the_setpoint_without_a_jump(rig, assert_within_limits):
    rig.engage(Mode.TELEOP)
    for _ in range(4):
        rig.run(0.3, lambda: rig.operate(twist=(0.3, 0, -0.1, 0, 0, 1.0)))
        rig.gateway.hold("pause")
        rig.run(0.02)  # still braking
        assert rig.gateway.engage(Mode.TELEOP, rig.now).ok
    rig.run(0.3)
    assert_within_limits(rig.sent)


def test_operator_and_policy_take_over_from_each_other_without_a_jump(rig, assert_within_limits):
    rig.engage(Mode.TELEOP)
    rig.run(0.3, lambda: rig.operate(twist=(0.3, 0.1, 0, 0, 0, 0)))
    assert rig.gateway.engage(Mode.POLICY, rig.now).ok
    rig.send(rig.chunk(offset=(0, -0.2, 0)))
    rig.run(0.4)
    assert rig.gateway.mode is Mode.POLICY
    assert rig.gateway.engage(Mode.TELEOP, rig.now).ok
    rig.run(0.3, lambda: rig.operate(twist=(-0.3, 0.1, 0, 0, 0, 0)))
    assert rig.gateway.mode is Mode.TELEOP
    assert rig.gateway.engage(Mode.TELEOP, rig.now).message == "already in teleop"
    assert_within_limits(rig.sent)


def test_stop_latches_until_reset(rig, assert_within_limits):
    rig.engage(Mode.TELEOP)
    rig.run(0.3, lambda: rig.operate(twist=(0.3, 0, 0, 0, 0, 0)))
    assert not rig.gateway.reset().ok
    assert rig.gateway.stop("emergency stop").ok
    outcome = rig.gateway.reset()
    assert not outcome.ok and "coming to rest" in outcome.message
    rig.run(0.5)
    assert rig.gateway.mode is Mode.FAULT
    outcome = rig.gateway.engage(Mode.TELEOP, rig.now)
    assert not outcome.ok and "emergency stop" in outcome.message
    rig.gateway.hold("something else")
    assert rig.gateway.mode is Mode.FAULT and rig.gateway.reason == "emergency stop"
    assert rig.gateway.reset().ok
    assert rig.run(0.1) == [None] * 10
    assert rig.gateway.engage(Mode.TELEOP, rig.now).ok
    rig.run(0.1)
    assert_within_limits(rig.sent)


def test_stop_while_idle_latches_and_still_publishes_nothing(rig):
    rig.tick()
    assert rig.gateway.stop("emergency stop").ok
    assert rig.run(0.1) == [None] * 10
    assert not rig.gateway.engage(Mode.POLICY, rig.now).ok
    assert rig.gateway.reset().ok
    assert rig.gateway.engage(Mode.POLICY, rig.now).ok


def test_where_somebody_else_commands_the_gateway_brakes_and_then_falls_silent(rig, assert_within_limits):
    rig.engage(Mode.TELEOP)
    rig.run(0.3, lambda: rig.operate(twist=(0.3, 0, 0, 0, 0, 0)))
    rig.gateway.cede("somebody else commands the arm")
    commands = rig.run(0.5)
    sent = [command for command in commands if command is not None]
    assert 3 < len(sent) < 30, "braked, then nothing"
    np.testing.assert_allclose(sent[-1].velocity, 0, atol=1e-6)
    assert commands[-1] is None and rig.gateway.mode is Mode.FAULT
    assert_within_limits(rig.sent)
    assert rig.gateway.reset().ok
    rig.engage(Mode.TELEOP)
    assert None not in rig.run(0.1)


def test_a_rest_is_given_up_too_where_somebody_else_begins_to_command(rig):
    rig.engage(Mode.TELEOP)
    rig.gateway.stop("emergency stop")
    assert rig.gateway.commands and None not in rig.run(0.1)
    rig.gateway.cede("somebody else commands the arm")
    assert rig.run(0.1) == [None] * 10
    assert rig.gateway.reason.startswith("emergency stop")


def test_after_reset_stamps_may_start_over(rig):
    rig.engage(Mode.TELEOP)
    rig.run(0.1, rig.operate)
    rig.gateway.hold("new episode")
    rig.run(0.1)
    assert rig.gateway.reset().ok
    rig.clock_offset_ns -= 3_000_000_000
    rig.q = np.array(rig.spec.home)
    rig.engage(Mode.TELEOP)
    rig.run(0.1, rig.operate)
    assert rig.gateway.mode is Mode.TELEOP


def test_joint_states_are_understood_by_name_and_foreign_ones_refused_with_a_reason(rig):
    foreign = JointState(("ur_joint",), np.zeros(1), np.zeros(1), 0)
    outcome = rig.gateway.on_joint_state(foreign, rig.now)
    assert not outcome.ok and "fr3_joint1" in outcome.message


def test_engaging_is_refused_while_a_second_driver_reports_another_arm(rig, fr3):
    """Whichever state came last would be where the setpoint starts: a jump, if it is not this arm's."""
    rig.run(0.1)
    for later_s in (0.0, -1e6, 1e6):  # the other driver's clock may be anything
        foreign = replace(rig.joint_state(), stamp_ns=rig.now_ns + round(later_s * 1e9))
        rig.tick()
        rig.gateway.on_joint_state(replace(foreign, position=foreign.position + 0.4), rig.now + 0.005)
        outcome = rig.gateway.engage(Mode.POLICY, rig.now + 0.005)
        assert not outcome.ok and "check for a second driver" in outcome.message
        rig.run(0.3)
    assert rig.gateway.engage(Mode.POLICY, rig.now).ok, "alone again"


def test_engaging_is_refused_where_the_gripper_was_last_heard_of_long_ago(rig, fr3):
    rig.tick()
    rig.now += 60
    rig.gateway.on_joint_state(rig.joint_state().select(fr3.joint_names), rig.now)
    outcome = rig.gateway.engage(Mode.POLICY, rig.now)
    assert not outcome.ok and "no joint state of the gripper" in outcome.message


def test_an_operator_takes_over_from_a_policy_whose_gripper_is_not_heard_of_any_more(rig, fr3):
    rig.engage(Mode.POLICY)
    rig.now += 60
    rig.gateway.on_joint_state(rig.joint_state().select(fr3.joint_names), rig.now)
    assert rig.gateway.engage(Mode.TELEOP, rig.now).ok


def test_a_gateway_that_cannot_brake_any_more_falls_silent_and_latches(rig, monkeypatch):
    rig.engage(Mode.TELEOP)
    rig.run(0.5, lambda: rig.operate(twist=(0, 0.2, 0, 0, 0, 0)))
    for name in ("follow_tool", "stop"):
        monkeypatch.setattr(rig.gateway._motion, name, lambda *_: 1 / 0)
    assert rig.gateway.tick(rig.now + 0.01, rig.now_ns + 10_000_000) is None
    assert rig.gateway.mode is Mode.FAULT and "no longer commanding" in rig.gateway.reason
    assert rig.gateway.tick(rig.now + 0.02, rig.now_ns + 20_000_000) is None
    monkeypatch.undo()
    assert rig.gateway.reset().ok, "a person may try again"


def test_an_error_of_the_gateway_itself_brakes_the_arm_and_latches(rig, assert_within_limits, monkeypatch):
    rig.engage(Mode.TELEOP)
    rig.run(0.5, lambda: rig.operate(twist=(0, 0.2, 0, 0, 0, 0)))
    assert np.abs(rig.sent[-1].command.velocity).max() > 0.05
    for half_way in ("follow_tool", "follow_width"):  # before anything has moved in the tick, and after
        monkeypatch.setattr(rig.gateway._motion, half_way, lambda *_: 1 / 0)
        rig.run(0.5, lambda: rig.operate(twist=(0, 0.2, 0, 0, 0, 0)))
        assert rig.gateway.mode is Mode.FAULT and "ZeroDivisionError" in rig.gateway.reason
        np.testing.assert_array_equal(rig.sent[-1].command.velocity, 0)
        monkeypatch.undo()
        assert rig.gateway.reset().ok
        rig.engage(Mode.TELEOP)
        rig.run(0.5, lambda: rig.operate(twist=(0, 0.2, 0, 0, 0, 0)))
    assert_within_limits(rig.sent)
