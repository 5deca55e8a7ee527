"""A chunk is read by time: step i is due at stamp + (i + 1) dt, late steps are skipped, the last one is the end."""

import math

import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from spark_ros.contracts import ActionChunk, ActionKind
from spark_ros.control.executor import ChunkExecutor

START_NS = 1_700_000_000_000_000_000
JOINTS = ("a", "b")


def ns(seconds):
    return START_NS + round(seconds * 1e9)


def joint_chunk(values, stamp_s=0.0, dt_s=0.1, widths=None):
    values = np.array(values, float)
    widths = np.linspace(0.01, 0.01 * len(values), len(values)) if widths is None else np.array(widths)
    return ActionChunk(ActionKind.JOINT_POSITION, values, widths, JOINTS, dt_s, ns(stamp_s))


def pose_chunk(poses, stamp_s=0.0, dt_s=0.1):
    return ActionChunk(ActionKind.EE_POSE, np.array(poses, float), np.zeros(len(poses)), (), dt_s, ns(stamp_s))


def test_without_a_chunk_there_is_nothing_to_follow():
    executor = ChunkExecutor(None)
    assert executor.sample(ns(0)) is None
    assert executor.stamp_ns is None
    assert executor.exhausted_for(ns(0)) == math.inf


def test_each_step_is_reached_at_its_time_and_the_way_between_is_straight():
    executor = ChunkExecutor(None)
    executor.accept(joint_chunk([[1, 10], [3, 20], [2, 30]]), np.array([0.0, 0.0]), 0.0)
    for at, expected, rate in [
        (0.0, [0, 0], [10, 100]),
        (0.05, [0.5, 5], [10, 100]),
        (0.1, [1, 10], [20, 100]),
        (0.15, [2, 15], [20, 100]),
        (0.2, [3, 20], [-10, 100]),
        (0.275, [2.25, 27.5], [-10, 100]),
    ]:
        target = executor.sample(ns(at))
        np.testing.assert_allclose(target.value, expected, atol=1e-6)
        np.testing.assert_allclose(target.rate, rate)
        assert target.gripper_width == pytest.approx(at * 0.1)


def test_nothing_is_extrapolated_beyond_the_last_step():
    executor = ChunkExecutor(None)
    executor.accept(joint_chunk([[1, 1], [2, 2]]), np.zeros(2), 0.0)
    for at in (0.2, 0.21, 5.0):
        target = executor.sample(ns(at))
        np.testing.assert_array_equal(target.value, [2, 2])
        np.testing.assert_array_equal(target.rate, [0, 0])
        assert executor.exhausted_for(ns(at)) == pytest.approx(at - 0.2)
    assert executor.exhausted_for(ns(0.1)) == pytest.approx(-0.1)


def test_before_its_stamp_a_chunk_rests_at_its_start():
    executor = ChunkExecutor(None)
    executor.accept(joint_chunk([[1, 1]]), np.array([0.5, 0.5]), 0.0)
    np.testing.assert_array_equal(executor.sample(ns(-0.03)).value, [0.5, 0.5])


def test_steps_that_are_late_are_skipped():
    executor = ChunkExecutor(None)
    executor.accept(joint_chunk([[1, 1], [2, 2], [3, 3]]), np.zeros(2), 0.0)  # looked at for the first time at 0.25 s
    np.testing.assert_allclose(executor.sample(ns(0.25)).value, [2.5, 2.5])


def test_a_new_chunk_replaces_the_old_one():
    executor = ChunkExecutor(None)
    executor.accept(joint_chunk([[1, 1]] * 5), np.ones(2), 0.0)
    executor.accept(joint_chunk([[7, 7]] * 5, stamp_s=0.1), np.full(2, 7.0), 0.0)
    np.testing.assert_allclose(executor.sample(ns(0.15)).value, [7, 7])
    assert executor.stamp_ns == ns(0.1)
    executor.clear()
    assert executor.sample(ns(0.15)) is None


def test_poses_turn_at_constant_speed_the_short_way_round():
    executor = ChunkExecutor(None)
    turn = Rotation.from_rotvec([0.0, 0.0, 0.4])
    poses = [[0, 0, 0.1, *turn.as_quat()], [0, 0, 0.2, *(-turn.as_quat())]]  # -q is the same rotation: no turn there
    executor.accept(pose_chunk(poses), np.array([0, 0, 0, 0, 0, 0, 1.0]), 0.0)
    target = executor.sample(ns(0.025))
    np.testing.assert_allclose(Rotation.from_quat(target.value[3:]).as_rotvec(), [0, 0, 0.1], atol=1e-7)
    np.testing.assert_allclose(target.rate, [0, 0, 1, 0, 0, 4], atol=1e-7)
    target = executor.sample(ns(0.15))
    np.testing.assert_allclose(Rotation.from_quat(target.value[3:]).as_rotvec(), [0, 0, 0.4], atol=1e-7)
    np.testing.assert_allclose(target.rate, [0, 0, 1, 0, 0, 0], atol=1e-7)


def test_temporal_ensembling_weighs_chunks_that_are_under_way_oldest_first():
    executor = ChunkExecutor(0.5)
    executor.accept(joint_chunk([[0, 0]] * 4, stamp_s=0.0), np.zeros(2), 0.0)
    executor.accept(joint_chunk([[1, 1]] * 4, stamp_s=0.1), np.ones(2), 0.0)
    executor.accept(joint_chunk([[2, 2]] * 4, stamp_s=0.2), np.full(2, 2.0), 0.0)
    weights = np.exp(-0.5 * np.arange(3))
    np.testing.assert_allclose(executor.sample(ns(0.25)).value, (weights @ [0, 1, 2] / weights.sum()) * np.ones(2))
    np.testing.assert_allclose(executor.sample(ns(0.45)).value, (weights[:2] @ [1, 2] / weights[:2].sum()) * np.ones(2))
    np.testing.assert_allclose(executor.sample(ns(9.0)).value, [2, 2])  # all are over: the newest one's last step


def test_temporal_ensembling_of_poses_gives_unit_quaternions_whatever_their_signs():
    executor = ChunkExecutor(0.0)
    for stamp, angle, sign in [(0.0, 0.2, 1), (0.1, 0.4, -1)]:
        pose = [0, 0, 0, *(sign * Rotation.from_rotvec([angle, 0, 0]).as_quat())]
        executor.accept(pose_chunk([pose] * 5, stamp), np.array(pose), 0.0)
    value = executor.sample(ns(0.2)).value
    assert np.linalg.norm(value[3:]) == pytest.approx(1.0)
    np.testing.assert_allclose(Rotation.from_quat(value[3:]).as_rotvec(), [0.3, 0, 0], atol=1e-6)


def test_a_chunk_of_another_kind_is_never_averaged_with_the_last():
    executor = ChunkExecutor(0.0)
    executor.accept(joint_chunk([[1, 1]] * 5), np.ones(2), 0.0)
    pose = [0, 0, 0, 0, 0, 0, 1.0]
    executor.accept(pose_chunk([pose] * 5, 0.1), np.array(pose), 0.0)
    np.testing.assert_allclose(executor.sample(ns(0.2)).value, pose)
