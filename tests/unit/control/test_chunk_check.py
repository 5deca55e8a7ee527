"""A chunk that this robot cannot follow, or not now, is refused with one sentence."""

from dataclasses import replace

import numpy as np
import pytest

from spark_ros.contracts import ActionChunk, ActionKind, SparkError
from spark_ros.control.chunk_check import Untimely, check_content, check_distance, check_timing
from spark_ros.control.config import GatewayConfig

CONFIG = GatewayConfig()
NOW_NS = 1_700_000_000_000_000_000
POSE = np.array([0.4, 0.0, 0.3, 1.0, 0.0, 0.0, 0.0])
FORWARD = np.eye(7)[0]


def poses(steps=5, **changes):
    chunk = ActionChunk(ActionKind.EE_POSE, np.tile(POSE, (steps, 1)), np.full(steps, 0.04), (), 0.1, NOW_NS)
    return replace(chunk, **changes)


def joints(fr3, steps=5, **changes):
    values = np.tile(fr3.home, (steps, 1))
    chunk = ActionChunk(ActionKind.JOINT_POSITION, values, np.full(steps, 0.04), fr3.joint_names, 0.1, NOW_NS)
    return replace(chunk, **changes)


def test_joints_are_put_into_the_robots_order(fr3):
    order = [3, 0, 6, 1, 5, 2, 4]
    names = tuple(fr3.joint_names[i] for i in order)
    chunk = check_content(joints(fr3, values=np.tile(fr3.home[order], (5, 1)), joint_names=names), fr3)
    np.testing.assert_array_equal(chunk.values[0], fr3.home)
    assert chunk.joint_names == fr3.joint_names


def test_quaternions_are_normalised(fr3):
    chunk = check_content(poses(values=np.tile(POSE * [1, 1, 1, 1.01, 1, 1, 1], (5, 1))), fr3)
    np.testing.assert_allclose(chunk.values, np.tile(POSE, (5, 1)))


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"values": np.zeros((5, 6))}, "shape"),
        ({"values": np.zeros((0, 7)), "gripper_width": np.zeros(0)}, "shape"),
        ({"values": np.zeros(7)}, "shape"),
        ({"values": np.zeros((2000, 7)), "gripper_width": np.zeros(2000)}, "shape"),
        ({"gripper_width": np.zeros(4)}, "gripper widths"),
        ({"values": np.full((5, 7), np.nan)}, "step 0 is not finite"),
        ({"gripper_width": np.array([0, 0, np.inf, 0, 0])}, "step 2 is not finite"),
        ({"values": np.zeros((5, 7))}, "unit quaternions"),
        ({"dt_s": 0.0}, "between steps"),
        ({"dt_s": float("nan")}, "between steps"),
    ],
)
def test_pose_chunks_with_wrong_content_are_refused(fr3, changes, says):
    with pytest.raises(SparkError, match=says) as caught:
        check_content(poses(**changes), fr3)
    assert not isinstance(caught.value, Untimely)


@pytest.mark.parametrize("names", [("ur_joint",) * 7, (), tuple(f"fr3_joint{i}" for i in (1, 1, 2, 3, 4, 5, 6))])
def test_joint_chunks_of_another_robot_are_refused(fr3, names):
    with pytest.raises(SparkError, match="expected fr3_joint1, fr3_joint2"):
        check_content(joints(fr3, joint_names=names), fr3)


@pytest.mark.parametrize(
    ("age_s", "previous_age_s", "says"),
    [
        (-0.2, None, "future"),
        (0.7, None, "0.700 s ago"),
        (0.45, None, "every step"),
        (0.1, 0.1, "out of order"),
        (0.1, 0.05, "out of order"),
    ],
)
def test_chunks_at_the_wrong_time_are_untimely(age_s, previous_age_s, says):
    chunk = poses(steps=4, stamp_ns=NOW_NS - round(age_s * 1e9))
    previous = None if previous_age_s is None else NOW_NS - round(previous_age_s * 1e9)
    with pytest.raises(Untimely, match=says):
        check_timing(chunk, NOW_NS, previous, CONFIG)


def test_a_chunk_of_the_present_passes():
    check_timing(poses(stamp_ns=NOW_NS - 80_000_000), NOW_NS, NOW_NS - 180_000_000, CONFIG)
    check_timing(poses(stamp_ns=NOW_NS + 20_000_000), NOW_NS, None, CONFIG)


def test_a_chunk_that_begins_far_away_is_refused(fr3):
    check_distance(poses(), NOW_NS, POSE + 0.1 * FORWARD, fr3, CONFIG)
    with pytest.raises(SparkError, match=r"beginning moves the tool by 0\.400 m"):
        check_distance(poses(), NOW_NS, POSE + 0.4 * FORWARD, fr3, CONFIG)
    turned = np.array([0.4, 0.0, 0.3, 0.0, 1.0, 0.0, 0.0])
    with pytest.raises(SparkError, match=r"3\.14\d rad"):
        check_distance(poses(), NOW_NS, turned, fr3, CONFIG)
    with pytest.raises(SparkError, match=r"fr3_joint5 by 2\.00 rad"):
        check_distance(joints(fr3), NOW_NS, fr3.home - 2 * np.eye(7)[4], fr3, CONFIG)


def test_only_steps_still_to_come_are_measured(fr3):
    values = np.tile(POSE, (5, 1))
    values[0, 0] += 1.0
    chunk = poses(values=values)
    with pytest.raises(SparkError, match="beginning"):
        check_distance(chunk, NOW_NS, POSE, fr3, CONFIG)
    check_distance(chunk, NOW_NS + 150_000_000, POSE, fr3, CONFIG)


def test_a_jump_within_the_chunk_is_refused_by_its_step(fr3):
    values = np.tile(POSE, (5, 1))
    values[3:, 1] += 0.5
    with pytest.raises(SparkError, match=r"chunk step 3 moves the tool by 0\.500 m"):
        check_distance(poses(values=values), NOW_NS, POSE, fr3, CONFIG)
