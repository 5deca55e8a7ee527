"""Joint states are taken by name, in one message or two, and implausible ones are noticed."""

import numpy as np
import pytest

from spark_ros.contracts import JointState, SparkError
from spark_ros.control.config import GatewayConfig
from spark_ros.control.measured import MeasuredArm, NotFinite, SetpointHistory


@pytest.fixture
def arm(fr3):
    return MeasuredArm(fr3, GatewayConfig())


def state(names, position, stamp_ns=0):
    position = np.array(position, float)
    return JointState(tuple(names), position, np.zeros(len(position)), stamp_ns)


def test_joints_are_taken_by_name_whatever_their_order(fr3, arm):
    names = fr3.gripper.joint_names + tuple(reversed(fr3.joint_names)) + ("something_else",)
    arm.accept(state(names, [0.01, 0.02, 7, 6, 5, 4, 3, 2, 1, 99]), now=1.0, in_order=True)
    np.testing.assert_array_equal(arm.position, [1, 2, 3, 4, 5, 6, 7])
    assert arm.width == pytest.approx(0.03)


def test_arm_and_fingers_may_come_in_separate_messages(fr3, arm):
    arm.accept(state(fr3.gripper.joint_names, [0.01, 0.01]), now=1.0, in_order=True)
    assert arm.position is None and arm.stale(1.0)
    arm.accept(state(fr3.joint_names, fr3.home), now=1.0, in_order=True)
    assert arm.width == pytest.approx(0.02) and not arm.stale(1.1)
    assert arm.stale(1.3)


def test_a_state_without_all_joints_is_refused(fr3, arm):
    for names in (fr3.joint_names[:6], fr3.joint_names[:6] + fr3.gripper.joint_names, ("a", "b"), ()):
        with pytest.raises(SparkError, match="lacks"):
            arm.accept(state(names, np.zeros(len(names))), now=1.0, in_order=True)


def test_values_that_are_not_finite_are_refused_and_change_nothing(fr3, arm):
    names = fr3.joint_names + fr3.gripper.joint_names
    arm.accept(state(names, np.append(fr3.home, [0.02, 0.02])), now=1.0, in_order=True)
    for index in (0, 8):
        broken = np.append(fr3.home, [0.02, 0.02])
        broken[index] = np.nan
        with pytest.raises(NotFinite):
            arm.accept(state(names, broken), now=1.1, in_order=True)
    np.testing.assert_array_equal(arm.position, fr3.home)
    assert arm.age(1.1) == pytest.approx(0.1)


def test_an_older_state_is_dropped_where_order_matters(fr3, arm):
    arm.accept(state(fr3.joint_names, fr3.home, stamp_ns=100), now=1.0, in_order=True)
    with pytest.raises(SparkError, match="older"):
        arm.accept(state(fr3.joint_names, fr3.home, stamp_ns=99), now=1.0, in_order=True)
    assert arm.accept(state(fr3.joint_names, fr3.home, stamp_ns=99), now=1.0, in_order=False) is None


def test_a_jump_is_what_no_joint_can_do_in_the_time(fr3, arm):
    arm.accept(state(fr3.joint_names, fr3.home, 0), now=1.0, in_order=True)
    moved = fr3.home + 0.02
    assert arm.accept(state(fr3.joint_names, moved, 10_000_000), now=1.01, in_order=True) is None
    moved = moved + np.eye(7)[2] * 0.2
    assert "fr3_joint3" in arm.accept(state(fr3.joint_names, moved, 20_000_000), now=1.02, in_order=True)
    moved = moved + 0.3  # far, but after a long silence
    assert arm.accept(state(fr3.joint_names, moved, 220_000_000), now=1.22, in_order=True) is None


def test_history_knows_the_setpoint_in_force_at_a_time():
    history = SetpointHistory(length=4, size=1)
    assert history.at(5) is None and history.off_track(np.zeros(1), 4, 0.1) is None
    for stamp in range(10, 70, 10):
        history.append(stamp, np.array([stamp / 10]), stamp / 1000)
    for stamp, expected in [(5, 3), (30, 3), (39, 3), (40, 4), (60, 6), (99, 6)]:  # 10 and 20 are forgotten
        position, width = history.at(stamp)
        assert position[0] == expected and width == pytest.approx(expected / 100)
    history.clear()
    assert history.at(40) is None


def test_an_arm_that_lags_is_on_track_and_one_that_is_pushed_is_not():
    history = SetpointHistory(length=100, size=2)
    for step in range(60):
        history.append(step, np.array([0.02 * step, 0.0]), 0.0)  # 2 rad/s at 100 Hz
    measured = np.array([0.02 * 30, 0.0])  # 0.3 s behind
    assert history.off_track(measured, recent=40, tolerance=0.1) is None
    assert history.off_track(measured, recent=10, tolerance=0.1)[0] == pytest.approx(0.4)
    assert history.off_track(measured + np.array([0, 0.15]), recent=40, tolerance=0.1)[1] == pytest.approx(0.15)
