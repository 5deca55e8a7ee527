"""An operator moves the arm while the deadman is held, and only then."""

import numpy as np
import pytest

from spark_ros.contracts import TeleopInput
from spark_ros.control.modes import Mode


def test_a_held_deadman_moves_the_tool_as_the_twist_says(rig, assert_within_limits):
    rig.engage(Mode.TELEOP)
    start = rig.tool
    rig.run(1.0, lambda: rig.operate(twist=(0.1, 0.05, -0.05, 0, 0, 0), width=0.03))
    np.testing.assert_allclose(
        rig.tool.position - start.position, [0.1, 0.05, -0.05], atol=0.004
    )  # less the speeding up
    np.testing.assert_allclose(np.abs(rig.tool.quaternion @ start.quaternion), 1.0, atol=1e-5)
    assert rig.width == pytest.approx(0.03)
    assert_within_limits(rig.sent)


def test_letting_go_of_the_deadman_stops_at_once_and_pressing_it_again_goes_on(rig, assert_within_limits):
    rig.engage(Mode.TELEOP)
    rig.run(0.5, lambda: rig.operate(twist=(0.3, 0, 0, 0, 0, 0)))
    released = rig.tool.position[0]
    rig.run(0.5, lambda: rig.operate(twist=(0.3, 0, 0, 0, 0, 0), width=0.0, deadman=False))
    assert rig.gateway.mode is Mode.TELEOP
    assert rig.tool.position[0] - released < 0.03
    np.testing.assert_array_equal(rig.sent[-1].command.velocity, 0)
    assert rig.width == pytest.approx(0.08)  # nor does the gripper move
    rig.run(0.3, lambda: rig.operate(twist=(-0.3, 0, 0, 0, 0, 0)))
    assert rig.tool.position[0] < released
    assert_within_limits(rig.sent)


def test_the_deadman_itself_expires(rig, assert_within_limits):
    rig.engage(Mode.TELEOP)
    rig.run(0.5, lambda: rig.operate(twist=(0.3, 0, 0, 0, 0, 0)))
    rig.run(rig.config.teleop_timeout_s + 2 * rig.config.period_s)
    assert rig.gateway.mode is Mode.HOLD and "operator's input stopped" in rig.gateway.reason
    rig.run(0.4)
    resting = rig.q
    outcome = rig.operate(twist=(0.3, 0, 0, 0, 0, 0))
    assert not outcome.ok
    rig.run(0.2, lambda: rig.operate(twist=(0.3, 0, 0, 0, 0, 0)))
    np.testing.assert_array_equal(rig.q, resting)
    assert_within_limits(rig.sent)


def test_an_operator_who_never_comes_is_waited_for_and_then_held(rig):
    rig.engage(Mode.TELEOP)
    rig.run(rig.config.start_timeout_s - 0.1)
    assert rig.gateway.mode is Mode.TELEOP
    rig.run(0.2)
    assert rig.gateway.mode is Mode.HOLD and "no operator input" in rig.gateway.reason


def test_the_tool_speed_is_clamped(rig):
    rig.engage(Mode.TELEOP)
    rig.run(0.6, lambda: rig.operate(twist=(5, 0, 0, 0, 0, 0)))
    tools = np.array([rig.kinematics.forward(item.command.position).position for item in rig.sent])
    speeds = np.linalg.norm(np.diff(tools, axis=0), axis=1) / rig.config.period_s
    assert 0.4 < speeds.max() < 1.05 * rig.spec.ee_max_linear_speed


def test_a_wall_of_the_workspace_is_reached_gently(rig, assert_within_limits):
    rig.engage(Mode.TELEOP)
    rig.run(2.0, lambda: rig.operate(twist=(0, 0, -0.4, 0, 0, 0)))
    heights = [rig.kinematics.forward(item.command.position).position[2] for item in rig.sent]
    assert heights[-1] == pytest.approx(rig.spec.workspace.lower[2], abs=1e-3)
    assert min(heights) > rig.spec.workspace.lower[2] - 0.025
    assert_within_limits(rig.sent)


@pytest.mark.parametrize(
    ("twist", "width"), [(np.full(6, np.nan), 0.04), (np.zeros(3), 0.04), (np.zeros(6), float("nan"))]
)
def test_broken_input_stops_the_arm_smoothly(rig, twist, width, assert_within_limits):
    rig.engage(Mode.TELEOP)
    rig.run(0.4, lambda: rig.operate(twist=(0.3, 0, 0, 0, 0, 0)))
    outcome = rig.gateway.on_teleop(TeleopInput(twist, width, True, True, rig.now_ns), rig.now)
    assert not outcome.ok and rig.gateway.mode is Mode.HOLD
    rig.run(0.4)
    np.testing.assert_array_equal(rig.sent[-1].command.velocity, 0)
    assert_within_limits(rig.sent)


def test_input_from_before_the_last_one_does_not_keep_the_deadman_alive(rig):
    rig.engage(Mode.TELEOP)
    rig.run(0.2, lambda: rig.operate(twist=(0.1, 0, 0, 0, 0, 0)))
    old = TeleopInput(np.zeros(6), 0.08, True, True, rig.now_ns - 1_000_000_000)
    rig.run(0.4, lambda: rig.gateway.on_teleop(old, rig.now))
    assert rig.gateway.mode is Mode.HOLD


def test_letting_go_of_the_deadman_counts_whatever_its_stamp(rig):
    rig.engage(Mode.TELEOP)
    ahead = TeleopInput(np.array([0, 0.1, 0, 0, 0, 0.0]), 0.08, True, True, rig.now_ns + 10**12)
    assert rig.gateway.on_teleop(ahead, rig.now).ok
    assert not rig.operate(twist=(0, 0.1, 0, 0, 0, 0)).ok, "older than the last one"
    rig.run(0.1)
    assert np.abs(rig.sent[-1].command.velocity).max() > 0
    assert rig.operate(twist=(0, 0.1, 0, 0, 0, 0), deadman=False).ok
    rig.run(0.12)
    np.testing.assert_array_equal(rig.sent[-1].command.velocity, 0)


def test_a_released_deadman_alone_does_not_keep_teleoperation_alive(rig):
    rig.engage(Mode.TELEOP)
    rig.run(0.3, lambda: rig.operate(twist=(0, 0.1, 0, 0, 0, 0)))
    rig.gateway.release()
    rig.run(0.12)
    np.testing.assert_array_equal(rig.sent[-1].command.velocity, 0)
    assert rig.gateway.mode is Mode.TELEOP
    rig.run(0.3, rig.gateway.release)
    assert rig.gateway.mode is Mode.HOLD
