"""A leader arm moves the arm only from where the arm is, slowly at first, and only for who presses the deadman anew."""

import numpy as np
import pytest

from spark_ros.contracts import TeleopInput
from spark_ros.control.leader import APPROACH_RAD_S
from spark_ros.control.modes import Mode


@pytest.fixture
def led(rig):
    """A rig in TELEOP whose operator has seen the deadman released."""
    rig.engage(Mode.TELEOP)
    lead(rig, rig.q, deadman=False)
    rig.tick()
    return rig


def lead(rig, joints, deadman=True):
    return rig.gateway.on_teleop(TeleopInput(np.zeros(6), 0.02, deadman, True, rig.now_ns, joints), rig.now)


def fastest(sent):
    return max(np.abs(item.command.velocity).max() for item in sent)


def test_a_leader_near_the_arm_is_reached_slowly_and_then_followed(led, assert_within_limits):
    wanted = led.q + np.array([0.25, 0, 0, 0, 0, 0, -0.29])
    led.run(1.5, lambda: lead(led, wanted))
    np.testing.assert_allclose(led.q, wanted, atol=0.01)
    assert led.width == pytest.approx(0.02)
    assert 0.3 < fastest(led.sent) < 1.1 * APPROACH_RAD_S
    turning = led.now

    def swing():
        return lead(led, wanted + np.array([0, 0, 0, 0, 0, 0, 1.0]) * np.sin(2 * (led.now - turning)))

    led.run(0.7, swing)
    assert fastest(led.sent) > 2 * APPROACH_RAD_S, "once reached, the leader is followed as fast as it goes"
    assert_within_limits(led.sent)


def test_a_leader_far_from_the_arm_does_not_pull_it_and_the_operator_is_told(led):
    start = led.q.copy()
    outcome = lead(led, start + np.array([0, 0, 0, 0.5, 0, 0, 0]))
    assert not outcome.ok
    assert "fr3_joint4 is 0.50 rad from the arm's" in outcome.message and "bring the leader" in outcome.message
    led.run(1.0, lambda: lead(led, start + np.array([0, 0, 0, 0.5, 0, 0, 0])))
    np.testing.assert_array_equal(led.q, start)
    assert led.gateway.mode is Mode.TELEOP, "waiting, not broken"
    led.run(1.0, lambda: lead(led, start + np.array([0, 0, 0, 0.1, 0, 0, 0])))
    assert led.q[3] == pytest.approx(start[3] + 0.1, abs=0.01)


def test_a_leader_that_jumps_is_not_followed(led, assert_within_limits):
    start = led.q.copy()
    led.run(0.3, lambda: lead(led, start))
    outcome = lead(led, start - 0.6)
    assert not outcome.ok and "bring the leader" in outcome.message
    led.run(0.5, lambda: lead(led, start - 0.6))
    np.testing.assert_allclose(led.q, start, atol=1e-3)
    assert_within_limits(led.sent)


def test_every_press_of_the_deadman_begins_with_the_alignment(led):
    start = led.q.copy()
    led.run(0.2, lambda: lead(led, start))
    led.run(0.1, lambda: lead(led, start, deadman=False))
    assert not lead(led, start + 0.4).ok
    led.gateway.release()
    assert lead(led, start + 0.1).ok


@pytest.mark.parametrize("before", [Mode.IDLE, Mode.HOLD])
def test_a_pedal_that_is_held_while_somebody_engages_does_not_move_the_arm(rig, before):
    rig.engage(Mode.POLICY)
    if before is Mode.HOLD:
        rig.gateway.hold("pause")
    else:
        rig.gateway.hold("pause")
        rig.tick()
        assert rig.gateway.reset().ok
    rig.engage(Mode.TELEOP)
    start = rig.q.copy()
    rig.run(0.5, lambda: lead(rig, start + 0.1))
    np.testing.assert_array_equal(rig.q, start)
    assert "let go of it and press it again" in lead(rig, start + 0.1).message
    rig.run(0.1, lambda: lead(rig, start + 0.1, deadman=False))
    rig.run(0.5, lambda: lead(rig, start + 0.1))
    np.testing.assert_allclose(rig.q, start + 0.1, atol=0.01)


def test_who_takes_over_from_a_policy_by_the_deadman_need_not_press_it_twice(rig):
    rig.engage(Mode.POLICY)
    rig.engage(Mode.TELEOP)
    assert lead(rig, rig.q + 0.1).ok


def test_the_arm_stays_within_its_limits_however_the_leader_runs(led, assert_within_limits):
    start, began = led.q.copy(), led.now
    led.run(3.0, lambda: lead(led, start + 0.8 * np.sin(6 * (led.now - began))))
    assert_within_limits(led.sent)


@pytest.mark.parametrize("joints", [np.full(7, np.nan), np.zeros(6)])
def test_joints_that_are_none_hold(led, joints):
    assert not lead(led, joints).ok
    assert led.gateway.mode is Mode.HOLD and "operator's joints" in led.gateway.reason
