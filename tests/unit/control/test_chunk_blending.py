"""The soft mask of real-time chunking, and chunks that meet without a jump under any delay."""

import math

import numpy as np
import pytest

from spark_ros.contracts import ActionChunk, ActionKind, SparkError
from spark_ros.control.blend import soft_mask
from spark_ros.control.executor import ChunkExecutor
from spark_ros.control.gateway import GatewayConfig
from spark_ros.control.modes import Mode

START_NS = 1_700_000_000_000_000_000


def ns(seconds):
    return START_NS + round(seconds * 1e9)


def chunk(values, stamp_s, dt_s=0.1):
    values = np.array(values, float)[:, None]
    return ActionChunk(ActionKind.JOINT_POSITION, values, values[:, 0] / 100, ("a",), dt_s, ns(stamp_s))


@pytest.mark.parametrize(("horizon", "delay", "execution"), [(10, 3, 4), (16, 1, 8), (50, 6, 25), (8, 0, 3)])
def test_the_mask_is_that_of_the_paper(horizon, delay, execution):
    """arXiv:2506.07339, eq. 5, written out step by step."""
    mask = soft_mask(horizon, delay, execution)
    for i in range(horizon):
        if i < delay:
            expected = 1.0
        elif i < horizon - execution:
            c = (horizon - execution - i) / (horizon - execution - delay + 1)
            expected = c * (math.e**c - 1) / (math.e - 1)
        else:
            expected = 0.0
        assert mask[i] == pytest.approx(expected, abs=1e-12)
    assert np.all(np.diff(mask) <= 0)


@pytest.mark.parametrize(("horizon", "delay", "execution"), [(5, 5, 3), (5, 9, 1), (5, 2, 9), (1, 0, 1), (5, 4, 4)])
def test_where_no_soft_part_is_left_the_mask_is_a_step(horizon, delay, execution):
    mask = soft_mask(horizon, delay, execution)
    assert mask.shape == (horizon,) and np.all(np.isfinite(mask)) and np.all((mask >= 0) & (mask <= 1))
    reached = max(horizon - execution, 0)
    np.testing.assert_array_equal(mask[: min(delay, reached)], 1.0)
    np.testing.assert_array_equal(mask[reached:], 0.0)


def test_the_mask_is_that_of_the_authors_program():
    """get_prefix_weights(start=2, end=6, total=10) before "exp" is 1 1 4/5 3/5 2/5 1/5 0 0 0 0, says its docstring."""
    c = np.array([1, 1, 4 / 5, 3 / 5, 2 / 5, 1 / 5, 0, 0, 0, 0])
    np.testing.assert_allclose(soft_mask(10, 2, 4), c * np.expm1(c) / (math.e - 1))


def test_what_passes_while_the_chunk_is_computed_is_kept_and_the_far_end_is_new():
    executor = ChunkExecutor(None, blend_execution_s=0.3)
    executor.accept(chunk(np.zeros(10), 0.0), np.zeros(1), 0.0, ns(0.0))
    executor.accept(chunk(np.ones(10), 0.3), np.zeros(1), 0.0, ns(0.5))  # there 0.2 s after its observation
    values = [executor.sample(ns(0.3 + 0.1 * (i + 1))).value[0] for i in range(10)]
    np.testing.assert_allclose(values[:2], 0.0, atol=1e-9)
    np.testing.assert_allclose(values[-3:], 1.0)
    np.testing.assert_allclose(values, 1.0 - soft_mask(10, 2, 3), atol=1e-6)


def test_beyond_the_end_of_the_chunk_under_way_only_the_new_one_counts():
    executor = ChunkExecutor(None, blend_execution_s=0.1)
    executor.accept(chunk(np.zeros(4), 0.0), np.zeros(1), 0.0, ns(0.0))
    executor.accept(chunk(np.ones(10), 0.3), np.zeros(1), 0.0, ns(0.3))
    assert executor.sample(ns(0.3 + 0.2)).value[0] == pytest.approx(1.0)


@pytest.mark.parametrize("delay_s", [0.0, 0.1, 0.2, 0.3])
def test_chunks_that_disagree_meet_with_less_jerk_than_when_replaced(make_rig, assert_within_limits, delay_s):
    """A policy that changes its mind by 2 cm at every observation, with the injected delays of the drill."""
    peaks = {}
    for blend in (None, 0.1):
        rig = make_rig(blend_execution_s=blend)
        rig.engage(Mode.POLICY)
        rng, waiting, origin = np.random.default_rng(3), [], rig.tool
        for tick in range(400):
            if tick % 10 == 0:
                offset = 0.02 * rng.choice([-1.0, 1.0])
                along = 0.05 * np.arange(1, 11) * 0.1 + 0.05 * rig.now - 0.05 * 50
                values = np.tile(np.append(origin.position, origin.quaternion), (10, 1))
                values[:, 1] += along + offset
                made = ActionChunk(ActionKind.EE_POSE, values, np.full(10, 0.04), (), 0.1, rig.now_ns)
                waiting.append((rig.now + delay_s, made))
            while waiting and waiting[0][0] <= rig.now + 1e-9:
                assert rig.send(waiting.pop(0)[1]).ok, rig.gateway.reason
            rig.tick()
        assert rig.gateway.mode is Mode.POLICY, rig.gateway.reason
        assert_within_limits(rig.sent)
        velocity = np.array([sent.command.velocity for sent in rig.sent[50:]])
        peaks[blend] = np.sqrt((np.diff(velocity, axis=0) ** 2).mean()) / 0.01
    assert peaks[0.1] < 0.8 * peaks[None], peaks


def test_rotations_are_blended_the_short_way_round():
    executor = ChunkExecutor(None, blend_execution_s=0.2)
    for stamp, sign in ((0.0, 1.0), (0.1, -1.0)):
        values = np.tile([0.4, 0, 0.3, sign, 0, 0, 0], (10, 1))
        made = ActionChunk(ActionKind.EE_POSE, values, np.zeros(10), (), 0.1, ns(stamp))
        executor.accept(made, values[0], 0.0, ns(stamp))
    for at in np.arange(0.1, 1.1, 0.05):
        quaternion = executor.sample(ns(at)).value[3:]
        assert abs(quaternion[0]) == pytest.approx(1.0) and np.linalg.norm(quaternion) == pytest.approx(1.0)


def test_the_arm_is_told_earlier_by_its_lead(make_rig):
    """What the arm is told at t with a lead is what it is told at t + lead without."""
    told = {}
    for lead in (None, 0.1):
        rig = make_rig(arm_lead_s=lead, gripper_lead_s=lead, chunk_timeout_s=5.0)
        rig.engage(Mode.POLICY)
        rig.send(rig.chunk(offset=(0.0, 0.1, 0.0), steps=20, dt_s=0.1, width=0.08))
        rig.run(1.5)
        told[lead] = np.array([rig.kinematics.forward(sent.command.position).position[1] for sent in rig.sent])
    np.testing.assert_allclose(told[0.1][60:120], told[None][70:130], atol=2e-4)


def test_the_gripper_may_lead_by_itself(make_rig):
    widths = {}
    for lead in (None, 0.2):
        rig = make_rig(gripper_lead_s=lead, chunk_timeout_s=5.0)
        rig.engage(Mode.POLICY)
        made = rig.chunk(offset=(0.0, 0.05, 0.0), steps=10)
        rig.send(ActionChunk(made.kind, made.values, np.linspace(0.078, 0.06, 10), (), 0.1, made.stamp_ns))
        rig.run(0.9)
        widths[lead] = np.array([sent.command.gripper_width for sent in rig.sent])
    np.testing.assert_allclose(widths[0.2][40:70], widths[None][60:90], atol=1e-3)


def test_two_ways_to_mix_chunks_exclude_each_other():
    with pytest.raises(SparkError, match="both mix chunks"):
        GatewayConfig(temporal_ensemble=0.01, blend_execution_s=0.1)
