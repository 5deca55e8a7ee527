"""The arm stops where it is not heard of, does not follow, or time makes no sense; nothing jumps afterwards."""

from dataclasses import replace

import numpy as np
import pytest

from spark_ros.control.modes import Mode


@pytest.fixture
def moving(rig):
    rig.engage(Mode.TELEOP)
    rig.run(0.5, lambda: drive(rig))
    return rig


def drive(rig):
    return rig.operate(twist=(0.2, 0.15, 0, 0, 0, 0))


def test_stale_joint_states_stop_the_arm_and_then_nothing_is_published(moving, assert_within_limits):
    moving.silent = True
    commands = moving.run(1.0, lambda: drive(moving))
    assert moving.gateway.mode is Mode.HOLD and "joint states stopped" in moving.gateway.reason
    sent = [command for command in commands if command is not None]
    np.testing.assert_allclose(sent[-1].velocity, 0, atol=1e-6)
    assert commands[-1] is None  # a driver that restarts must not be met by an old setpoint
    outcome = moving.gateway.engage(Mode.TELEOP, moving.now)
    assert not outcome.ok and "no joint state" in outcome.message
    assert_within_limits(moving.sent)
    moving.silent = False
    moving.q = moving.q + 0.2  # moved by hand meanwhile
    assert moving.run(0.3) == [None] * 30


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("clock_s", [0.0, -60.0])
def test_a_driver_that_comes_back_is_engaged_from_where_the_arm_is_then(moving, reset, clock_s):
    moving.silent = True
    moving.run(1.0, lambda: drive(moving))
    moving.silent = False
    moving.q = moving.q + 0.2
    moving.clock_offset_ns += round(clock_s * 1e9)  # of another computer
    moving.run(0.3)
    assert not reset or moving.gateway.reset().ok
    moving.engage(Mode.TELEOP)
    np.testing.assert_allclose(moving.tick().position, moving.q)
    moving.run(0.2)
    assert moving.gateway.mode is Mode.TELEOP


def test_an_arm_that_moves_by_itself_after_its_driver_came_back_is_not_engaged(moving):
    moving.silent = True
    moving.run(1.0, lambda: drive(moving))
    state = moving.joint_state()
    moving.gateway.on_joint_state(replace(state, velocity=np.full(9, 0.5)), moving.now)
    outcome = moving.gateway.engage(Mode.TELEOP, moving.now)
    assert not outcome.ok and "wait until it rests" in outcome.message


def test_a_gripper_that_falls_silent_holds_a_policy_and_not_an_operator(rig, fr3):
    def report():
        arm = rig.joint_state().select(fr3.joint_names)
        rig.gateway.on_joint_state(arm, rig.now)

    for mode in (Mode.TELEOP, Mode.POLICY):
        rig.silent = False
        rig.engage(mode)
        rig.run(0.2, lambda: (rig.operate(), rig.send(rig.chunk())))
        rig.silent = True  # the fingers' states come with the arm's no more
        rig.run(rig.config.gripper_timeout_s + 0.1, lambda: (rig.operate(), rig.send(rig.chunk()), report()))
        assert rig.gateway.mode is (Mode.HOLD if mode is Mode.POLICY else mode)
    assert "no joint state of the gripper (fr3_finger_joint1" in rig.gateway.reason
    outcome = rig.gateway.engage(Mode.POLICY, rig.now)
    assert not outcome.ok and "no joint state of the gripper" in outcome.message


def test_joint_states_that_stop_briefly_do_not_stop_the_arm(moving):
    moving.silent = True
    moving.run(0.1, lambda: drive(moving))
    moving.silent = False
    moving.run(0.1, lambda: drive(moving))
    assert moving.gateway.mode is Mode.TELEOP


def test_an_arm_that_does_not_follow_faults(moving, assert_within_limits):
    moving.blocked = True
    commands = moving.run(2.0, lambda: drive(moving))
    assert moving.gateway.mode is Mode.FAULT and "off its setpoint" in moving.gateway.reason
    assert commands[-1] is None
    assert_within_limits(moving.sent)


def test_an_arm_pushed_away_while_held_is_let_go(moving):
    moving.gateway.hold("pause")
    moving.run(0.5)
    moving.blocked = True
    moving.q = moving.q + np.linspace(0, 0.3, 7)
    commands = moving.run(0.1)
    assert commands[-1] is None and "no longer commanding" in moving.gateway.reason
    assert moving.gateway.mode is Mode.HOLD


def test_a_jumping_joint_faults(moving, assert_within_limits):
    jumped = moving.joint_state()
    jumped = replace(jumped, position=jumped.position + np.eye(9)[3])
    outcome = moving.gateway.on_joint_state(jumped, moving.now)
    assert not outcome.ok and "fr3_joint4 moved" in moving.gateway.reason
    assert moving.gateway.mode is Mode.FAULT
    moving.run(0.5)
    assert_within_limits(moving.sent)


def test_joint_states_that_are_not_finite_stop_at_once(moving, assert_within_limits):
    broken = moving.joint_state()
    broken = replace(broken, position=np.full(9, np.nan), stamp_ns=moving.now_ns)
    outcome = moving.gateway.on_joint_state(broken, moving.now)
    assert not outcome.ok and moving.gateway.mode is Mode.HOLD
    moving.run(0.5)
    assert_within_limits(moving.sent)


def test_joint_states_out_of_order_are_dropped_without_harm(moving):
    old = replace(moving.joint_state(), position=np.zeros(9), stamp_ns=moving.now_ns - 1_000_000_000)
    assert not moving.gateway.on_joint_state(old, moving.now).ok
    moving.run(0.1, lambda: drive(moving))
    assert moving.gateway.mode is Mode.TELEOP


@pytest.mark.parametrize("step_s", [-5.0, 5.0])
def test_a_stamp_clock_that_jumps_stops_the_arm(moving, step_s, assert_within_limits):
    moving.clock_offset_ns += round(step_s * 1e9)
    moving.run(0.5, lambda: drive(moving))
    assert moving.gateway.mode is Mode.HOLD and "clock jumped" in moving.gateway.reason
    assert_within_limits(moving.sent)


def test_monotonic_time_that_runs_backwards_stops_the_arm(moving, assert_within_limits):
    moving.now -= 1.0
    moving.tick()
    assert moving.gateway.mode is Mode.HOLD
    moving.run(0.5)
    assert_within_limits(moving.sent)


def test_a_gateway_that_was_paused_makes_no_jump(rig, assert_within_limits):
    rig.engage(Mode.POLICY)
    rig.send(rig.chunk(offset=(0.2, 0, 0)))
    rig.run(0.3)
    before, rig.sent = rig.sent, []
    rig.now += 2.0  # the process was stopped by a debugger, or the machine swapped
    rig.run(0.5)
    assert rig.gateway.mode is Mode.HOLD
    assert_within_limits(before)
    for sent in rig.sent:  # meanwhile the arm has come to rest where it was last told to be: there it stays
        np.testing.assert_array_equal(sent.command.position, before[-1].command.position)
        np.testing.assert_array_equal(sent.command.velocity, 0)


@pytest.mark.parametrize("pause_s", [0.06, 0.12, 0.19])
def test_after_a_short_pause_the_arm_starts_from_rest(rig, pause_s):
    rig.engage(Mode.TELEOP)
    rig.run(0.6, lambda: rig.operate(twist=(0.2, 0.2, 0, 0, 0, 0)))
    before = rig.sent[-1].command
    assert np.abs(before.velocity).max() > 0.1
    rig.now += pause_s
    rig.operate(twist=(0.2, 0.2, 0, 0, 0, 0))
    first = rig.tick()
    assert rig.gateway.mode is Mode.TELEOP
    limits, two_periods = rig.spec.limits, 2 * rig.config.period_s
    assert np.all(np.abs(first.velocity) <= limits.acceleration * two_periods)
    assert np.all(np.abs(first.position - before.position) <= limits.acceleration * two_periods**2 / 2)
    assert np.abs(rig.run(0.5, lambda: rig.operate(twist=(0.2, 0.2, 0, 0, 0, 0)))[-1].velocity).max() > 0.1


def test_a_command_that_a_pause_kept_from_being_sent_is_taken_back(rig, assert_within_limits):
    rig.engage(Mode.POLICY)
    rig.send(rig.chunk(offset=(0.2, 0, 0)))
    rig.run(0.3)
    before = list(rig.sent)
    rig.tick()  # reckoned, but the process is stopped before it is published
    assert np.abs(before[-1].command.velocity).max() > 0.01
    del rig.sent[:]
    rig.gateway.withdraw(0.5)
    assert rig.gateway.mode is Mode.HOLD and "paused for 0.50 s" in rig.gateway.reason
    rig.now += 0.5
    rig.run(0.3)
    assert_within_limits(before)
    for sent in rig.sent:  # not a step further than what the arm was told last
        np.testing.assert_array_equal(sent.command.position, before[-1].command.position)
        np.testing.assert_array_equal(sent.command.velocity, 0)


def test_messages_that_queued_up_during_a_pause_do_not_hide_it(moving):
    """They are handled before the tick, and look fresh."""
    moving.now += 0.5
    drive(moving)
    moving.tick()
    assert moving.gateway.mode is Mode.HOLD and "paused for 0.5" in moving.gateway.reason


def test_a_driver_that_lags_by_a_tenth_of_a_second_is_no_fault(rig, assert_within_limits):
    rig.engage(Mode.TELEOP)
    rig.blocked = True  # this test moves the arm itself
    for step in range(300):
        if len(rig.sent) > 10:
            rig.q = rig.sent[-10].command.position
        rig.operate(twist=(0.45 * np.sin(step / 40), 0.3 * np.cos(step / 30), 0, 0, 0, 1.0 * np.sin(step / 20)))
        rig.tick()
    assert rig.gateway.mode is Mode.TELEOP
    assert_within_limits(rig.sent)
