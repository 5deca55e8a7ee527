"""A policy's chunks are followed in time, and a policy that is late, silent or broken stops the arm."""

from dataclasses import replace

import numpy as np
import pytest

from spark_ros.contracts import ActionChunk, ActionKind
from spark_ros.control.gateway import Gateway
from spark_ros.control.modes import Mode
from spark_ros.robots.pose import vector_from_pose


@pytest.fixture
def driven(rig):
    """A rig whose policy has been moving the tool at 0.2 m/s for half a second."""
    rig.engage(Mode.POLICY)
    assert rig.send(rig.chunk(offset=(0.1, 0.17, 0))).ok
    rig.run(0.45)
    assert rig.gateway.mode is Mode.POLICY
    return rig


def test_the_setpoint_is_at_each_step_when_it_is_due(rig, assert_within_limits):
    rig.engage(Mode.POLICY)
    start = rig.tool
    outward = rig.chunk(offset=(0.15, 0.1, -0.1))
    begin_ns = rig.now_ns
    rig.send(outward)
    for step in range(1, 11):
        rig.run(0.1)
        if step > 2:  # from rest, the first steps are still speeding up
            np.testing.assert_allclose(rig.tool.position, outward.values[step - 1, :3], atol=0.002)
        if step in (4, 8):  # the policy has looked again and goes on along the same line
            rest, widths = outward.values[step:], outward.gripper_width[step:]
            assert rig.send(ActionChunk(outward.kind, rest, widths, (), 0.1, begin_ns + step * 100_000_000)).ok
    assert np.linalg.norm(rig.tool.position - start.position - [0.15, 0.1, -0.1]) < 0.001
    assert rig.width == pytest.approx(0.04)
    assert_within_limits(rig.sent)


def test_joint_chunks_are_followed_too_in_any_joint_order(rig, assert_within_limits):
    rig.engage(Mode.POLICY)
    goal = rig.spec.home + np.array([0.2, 0.1, -0.1, 0.1, 0.1, -0.1, 0.2])
    fractions = np.linspace(0.1, 1.0, 10)[:, None]
    values = rig.spec.home + fractions * (goal - rig.spec.home)
    order = [6, 2, 0, 1, 3, 5, 4]
    names = tuple(rig.spec.joint_names[i] for i in order)
    chunk = ActionChunk(ActionKind.JOINT_POSITION, values[:, order], np.full(10, 0.05), names, 0.1, rig.now_ns)
    assert rig.send(chunk).ok
    rig.run(0.3)
    np.testing.assert_allclose(rig.q, values[2], atol=0.003)
    rig.send(replace(chunk, values=np.tile(goal[order], (10, 1)), stamp_ns=rig.now_ns))
    rig.run(0.4)
    np.testing.assert_allclose(rig.q, goal, atol=0.003)
    assert_within_limits(rig.sent)


def test_the_first_command_of_each_chunk_carries_its_stamp(rig):
    rig.engage(Mode.POLICY)
    stamps = []
    for _ in range(3):
        chunk = rig.chunk(offset=(0.05, 0, 0))
        rig.send(chunk)
        stamps.append(chunk.stamp_ns)
        rig.run(0.1)
    seen = [item.command.source_stamp_ns for item in rig.sent]
    assert [stamp for stamp in seen if stamp is not None] == stamps


def test_a_policy_that_falls_silent_is_stopped_while_its_chunk_still_has_steps(driven, assert_within_limits):
    moving = np.abs(driven.sent[-1].command.velocity).max()
    assert moving > 0.1
    driven.run(0.1)
    assert driven.gateway.mode is Mode.HOLD
    assert "policy stalled" in driven.gateway.reason
    driven.run(0.4)
    np.testing.assert_array_equal(driven.sent[-1].command.velocity, 0)
    assert_within_limits(driven.sent)


def test_gateway_holds_within_two_periods_of_the_grace_after_the_last_step(rig):
    rig.engage(Mode.POLICY)
    rig.send(rig.chunk(offset=(0.02, 0, 0), steps=2))
    rig.run(0.2 + rig.config.stall_grace_s)
    assert rig.gateway.mode is Mode.POLICY
    rig.run(2 * rig.config.period_s)
    assert rig.gateway.mode is Mode.HOLD and "last step" in rig.gateway.reason


def test_a_stalled_policy_is_not_followed_again_before_it_is_engaged_again(driven, assert_within_limits):
    driven.run(0.5)
    assert driven.gateway.mode is Mode.HOLD
    resting = driven.q
    outcome = driven.send(driven.chunk(offset=(0.1, 0, 0)))
    assert not outcome.ok
    driven.run(0.2)
    np.testing.assert_array_equal(driven.q, resting)
    assert driven.gateway.engage(Mode.POLICY, driven.now).ok
    assert driven.send(driven.chunk(offset=(0.1, 0, 0))).ok
    driven.run(0.2)
    assert np.abs(driven.q - resting).max() > 0.01
    assert_within_limits(driven.sent)


def test_a_policy_that_never_comes_is_waited_for_and_then_held(rig):
    rig.engage(Mode.POLICY)
    commands = rig.run(rig.config.start_timeout_s - 0.05)
    assert rig.gateway.mode is Mode.POLICY
    assert all(np.array_equal(command.position, commands[0].position) for command in commands)
    rig.run(0.1)
    assert rig.gateway.mode is Mode.HOLD and "no usable chunk" in rig.gateway.reason


def _nan(chunk):
    return replace(chunk, values=np.where(np.arange(7) == 2, np.nan, chunk.values))


def _infinite_width(chunk):
    return replace(chunk, gripper_width=np.full(10, np.inf))


def _short_rows(chunk):
    return replace(chunk, values=chunk.values[:, :6])


def _wrong_joints(chunk):
    return replace(chunk, kind=ActionKind.JOINT_POSITION, joint_names=("elbow",) * 7)


def _far_away(chunk):
    return replace(chunk, values=chunk.values + np.eye(7)[1] * 0.6)


@pytest.mark.parametrize("damage", [_nan, _infinite_width, _short_rows, _wrong_joints, _far_away])
def test_a_broken_chunk_is_refused_and_stops_the_arm_smoothly(driven, damage, assert_within_limits):
    outcome = driven.send(damage(driven.chunk(offset=(0.05, 0.05, 0))))
    assert not outcome.ok
    assert driven.gateway.mode is Mode.HOLD and driven.gateway.reason == outcome.message
    driven.run(0.4)
    np.testing.assert_array_equal(driven.sent[-1].command.velocity, 0)
    assert_within_limits(driven.sent)


@pytest.mark.parametrize("offset_s", [-0.6, -1e6, 0.2, 1e6], ids=["late", "ancient", "early", "far future"])
def test_an_untimely_chunk_is_dropped_and_the_plan_in_use_goes_on(driven, offset_s):
    before = driven.q
    outcome = driven.send(driven.chunk(offset=(-0.1, 0, 0), stamp_ns=driven.now_ns + round(offset_s * 1e9)))
    assert not outcome.ok
    driven.run(0.03)
    assert driven.gateway.mode is Mode.POLICY
    assert np.abs(driven.q - before).max() > 1e-3  # still under way along the old plan


def test_chunks_out_of_order_are_dropped(driven):
    newest = driven.chunk(offset=(0.05, 0.05, 0))
    assert driven.send(newest).ok
    assert not driven.send(replace(newest, stamp_ns=newest.stamp_ns - 50_000_000)).ok
    assert not driven.send(newest).ok


def test_the_tool_is_kept_in_the_workspace(rig, assert_within_limits):
    rig.engage(Mode.POLICY)
    for _ in range(30):  # a policy that pushes down through the table, in small steps
        tool = vector_from_pose(rig.tool)
        values = np.tile(tool, (10, 1))
        values[:, 2] -= 0.03 * np.arange(1, 11)
        assert rig.send(ActionChunk(ActionKind.EE_POSE, values, np.zeros(10), (), 0.1, rig.now_ns)).ok
        rig.run(0.1)
    assert rig.gateway.mode is Mode.POLICY
    assert rig.tool.position[2] == pytest.approx(rig.spec.workspace.lower[2], abs=1e-3)
    lowest = min(rig.kinematics.forward(item.command.position).position[2] for item in rig.sent)
    assert lowest > rig.spec.workspace.lower[2] - 0.005
    assert_within_limits(rig.sent)


def test_joint_chunks_are_kept_in_the_workspace_too(rig):
    rig.engage(Mode.POLICY)
    for _ in range(25):
        values = np.tile(rig.q, (10, 1))
        values[:, 1] += 0.04 * np.arange(1, 11)  # the shoulder leans forward until the tool would be in the table
        chunk = ActionChunk(ActionKind.JOINT_POSITION, values, np.zeros(10), rig.spec.joint_names, 0.1, rig.now_ns)
        assert rig.send(chunk).ok
        rig.run(0.1)
    lowest = min(rig.kinematics.forward(item.command.position).position[2] for item in rig.sent)
    assert lowest > rig.spec.workspace.lower[2] - 0.01


def test_a_policy_cannot_exceed_the_tool_speed(rig):
    rig.engage(Mode.POLICY)
    for _ in range(6):
        assert rig.send(rig.chunk(offset=(0.3, 0.3, 0), steps=4)).ok  # asks for more than 1 m/s
        rig.run(0.1)
    tools = np.array([rig.kinematics.forward(item.command.position).position for item in rig.sent])
    speeds = np.linalg.norm(np.diff(tools, axis=0), axis=1) / rig.config.period_s
    assert 0.4 < speeds.max() < 1.1 * rig.spec.ee_max_linear_speed


def test_a_policy_that_goes_on_out_of_reach_is_held_with_the_arm_stretched(rig, fr3, assert_within_limits):
    rig.spec = replace(fr3, workspace=replace(fr3.workspace, upper=np.array([2.0, 2.0, 2.0])))
    rig.gateway = Gateway(rig.spec, rig.config)
    rig.engage(Mode.POLICY)
    start = vector_from_pose(rig.tool)
    for index in range(60):
        values = np.tile(start, (10, 1))
        values[:, 0] += 0.02 * (index + np.arange(1, 11))  # 0.2 m/s straight ahead, as if nothing were in the way
        outcome = rig.send(ActionChunk(ActionKind.EE_POSE, values, np.zeros(10), (), 0.1, rig.now_ns))
        if not outcome.ok:
            break
        rig.run(0.1)
    rig.run(0.3)
    assert rig.gateway.mode is Mode.HOLD and "beginning moves the tool by" in rig.gateway.reason
    assert rig.tool.position[0] > 0.6
    assert_within_limits(rig.sent)


def test_temporal_ensembling_can_be_switched_on(make_rig, assert_within_limits):
    rig = make_rig(temporal_ensemble=0.01)
    rig.engage(Mode.POLICY)
    rng = np.random.default_rng(0)
    for _ in range(10):
        assert rig.send(rig.chunk(offset=np.array([0.1, 0, -0.1]) + rng.normal(0, 0.02, 3))).ok
        rig.run(0.1)
    assert rig.gateway.mode is Mode.POLICY
    assert_within_limits(rig.sent)
