"""Every action space, from what was commanded to the label and back to where the arm is sent."""

from dataclasses import replace

import numpy as np
import pytest

from spark_ros.contracts import ActionChunk, ActionKind, JointState, SparkError
from spark_ros.control.anchor import anchored
from spark_ros.control.modes import Mode
from spark_ros.data.codec import ActionCodec
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import vector_from_pose

MS = 1_000_000
ROWS = 300
STAMPS = 1_700_000_000_000_000_000 + np.arange(ROWS) * 10 * MS
RELATIVE = [kind for kind in ActionKind if kind.is_relative]


@pytest.fixture(scope="module")
def kinematics(fr3):
    return Kinematics(fr3)


def commanded(spec, seed):
    """A smooth wander of the joints and the gripper at 100 Hz."""
    rng, t = np.random.default_rng(seed), np.arange(ROWS)[:, None] / 100
    size = len(spec.joint_names)
    q = spec.home + 0.15 * np.sin(t * rng.uniform(0.5, 5, size) + rng.uniform(0, 6, size))
    return q, 0.04 + 0.04 * np.sin(2 * t[:, 0])


def state(spec, q):
    names = (*spec.joint_names, *spec.gripper.joint_names)
    return JointState(names, np.concatenate([q, spec.gripper.joint_positions(0.04)]), np.zeros(len(names)), 0)


def as_absolute(kinematics, kind, q):
    return np.array(q) if kind.is_joint else vector_from_pose(kinematics.forward(q))


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("kind", list(ActionKind))
def test_what_was_commanded_comes_back_through_label_chunk_and_anchor(fr3, kinematics, kind, seed):
    rng = np.random.default_rng([seed, 1])
    q, width = commanded(fr3, seed)
    horizon, dt_s, row = int(rng.integers(1, 16)), 0.01 * float(rng.integers(1, 12)), int(rng.integers(20, 100))
    codec = ActionCodec(kind, horizon, dt_s, kinematics)
    measured = q[row] + rng.normal(0, 0.02, q.shape[1])  # where the arm hangs is not where it was told to be
    label, valid = codec.encode(STAMPS, q, width, int(STAMPS[row]), measured)
    assert valid.all() and label.shape == (horizon, len(codec.names))
    chunk = anchored(codec.decode(label, state(fr3, measured), int(STAMPS[row])), as_absolute(kinematics, kind, q[row]))
    assert chunk.kind is (ActionKind.JOINT_POSITION if kind.is_joint else ActionKind.EE_POSE)
    for step, (value, opening) in enumerate(zip(chunk.values, chunk.gripper_width, strict=True)):
        due = row + round(100 * dt_s) * (step + 1)
        expected = as_absolute(kinematics, kind, q[due])
        assert abs(opening - width[due]) < 1e-6
        if kind.is_joint:
            assert chunk.joint_names == fr3.joint_names
            np.testing.assert_allclose(value, expected, atol=1e-5)
        else:
            np.testing.assert_allclose(value[:3], expected[:3], atol=1e-5)
            assert abs(value[3:] @ expected[3:]) > 1 - 1e-8


@pytest.mark.parametrize("kind", RELATIVE)
def test_standing_still_is_all_zeros_whatever_the_arm_measures(fr3, kinematics, kind):
    codec = ActionCodec(kind, 4, 0.1, kinematics)
    q = np.tile(fr3.home, (ROWS, 1))
    label, _ = codec.encode(STAMPS, q, np.full(ROWS, 0.03), int(STAMPS[50]), fr3.home + 0.1)
    np.testing.assert_allclose(label[:, :-1], 0.0, atol=1e-9)
    np.testing.assert_allclose(label[:, -1], 0.03, atol=1e-7)


@pytest.mark.parametrize(("rate", "delta"), [("joint_velocity", "joint_delta"), ("ee_twist", "ee_delta")])
def test_a_rate_is_the_change_of_a_step_per_second(fr3, kinematics, rate, delta):
    q, width = commanded(fr3, 7)
    labels = [
        ActionCodec(ActionKind(kind), 5, 0.05, kinematics).encode(STAMPS, q, width, int(STAMPS[40]), q[40])[0]
        for kind in (rate, delta)
    ]
    np.testing.assert_allclose(labels[0][:, :-1] * 0.05, labels[1][:, :-1], atol=1e-6)


@pytest.mark.parametrize("kind", RELATIVE)
def test_the_arm_goes_where_a_relative_chunk_leads_from_its_setpoint(rig, assert_within_limits, kind):
    rig.engage(Mode.POLICY)
    before = as_absolute(rig.kinematics, kind, rig.q)
    size = len(rig.q) if kind.is_joint else 6
    step = np.zeros(size)
    step[2] = -0.02
    values = np.tile(step / (0.1 if kind.is_rate else 1), (5, 1))
    names = rig.spec.joint_names if kind.is_joint else ()
    outcome = rig.send(ActionChunk(kind, values, np.full(5, 0.06), names, 0.1, rig.now_ns))
    assert outcome.ok, outcome.message
    rig.run(0.59)
    moved = as_absolute(rig.kinematics, kind, rig.q)[: 7 if kind.is_joint else 3] - before[: 7 if kind.is_joint else 3]
    expected = np.zeros(len(moved))
    expected[2] = -0.1
    np.testing.assert_allclose(moved, expected, atol=0.005)
    assert abs(rig.width - 0.06) < 1e-9
    assert_within_limits(rig.sent)


@pytest.mark.parametrize("kind", [ActionKind.EE_DELTA, ActionKind.EE_TWIST])
def test_turning_the_tool_turns_it_about_the_bases_axes(rig, kind):
    rig.engage(Mode.POLICY)
    start = rig.tool
    values = np.zeros((5, 6))
    values[:, 5] = 0.04 / (0.1 if kind is ActionKind.EE_TWIST else 1)
    assert rig.send(ActionChunk(kind, values, np.full(5, 0.04), (), 0.1, rig.now_ns)).ok
    rig.run(0.55)
    cosine = abs(rig.tool.quaternion @ start.quaternion)
    assert abs(2 * np.arccos(min(cosine, 1)) - 0.2) < 0.01
    np.testing.assert_allclose(rig.tool.position, start.position, atol=0.003)


def test_an_arm_that_hangs_below_its_setpoint_does_not_sink(rig):
    """Every chunk says: stay. Added up from the measured joints they would follow the arm down."""
    rig.engage(Mode.POLICY)
    told = rig.q.copy()
    rig.blocked = True  # the test moves the arm itself: always 0.02 rad off
    for _ in range(30):
        rig.q = rig.sent[-1].command.position + 0.02 if rig.sent else told
        chunk = ActionChunk(
            ActionKind.JOINT_DELTA, np.zeros((5, 7)), np.full(5, 0.04), rig.spec.joint_names, 0.1, rig.now_ns
        )
        assert rig.send(chunk).ok
        rig.run(0.1)
    np.testing.assert_allclose(rig.sent[-1].command.position, told, atol=1e-9)


@pytest.mark.parametrize("kind", RELATIVE)
@pytest.mark.parametrize("spoil", ["nan", "inf", "huge", "far", "too wide", "joint names"])
def test_relative_chunks_that_cannot_be_followed_hold(rig, kind, spoil):
    rig.engage(Mode.POLICY)
    size = len(rig.q) if kind.is_joint else 6
    names = rig.spec.joint_names if kind.is_joint else ()
    chunk = ActionChunk(kind, np.zeros((5, size)), np.full(5, 0.02), names, 0.1, rig.now_ns)
    values = chunk.values.copy()
    number = {"nan": np.nan, "inf": np.inf, "huge": 1e308, "far": 50.0}.get(spoil)
    if number is not None:
        values[1:, 1] = number
        chunk = replace(chunk, values=values)
    elif spoil == "too wide":
        chunk = replace(chunk, values=np.zeros((5, size + 1)))
    elif kind.is_joint:
        chunk = replace(chunk, joint_names=tuple(f"x{i}" for i in range(size)))
    else:
        chunk = replace(chunk, gripper_width=np.full(4, 0.02))
    outcome = rig.send(chunk)
    assert not outcome.ok and rig.gateway.mode is Mode.HOLD, outcome.message
    np.testing.assert_allclose(rig.run(0.3)[-1].position, rig.spec.home, atol=1e-9)


def test_an_absolute_chunk_is_not_touched(fr3):
    chunk = ActionChunk(ActionKind.JOINT_POSITION, np.ones((3, 7)), np.zeros(3), fr3.joint_names, 0.1, 0)
    assert anchored(chunk, fr3.home) is chunk


def test_steps_that_add_up_to_infinity_are_refused(fr3):
    chunk = ActionChunk(ActionKind.JOINT_DELTA, np.full((3, 7), 1e308), np.zeros(3), fr3.joint_names, 0.1, 0)
    with pytest.raises(SparkError, match="adds up to no finite target"):
        anchored(chunk, fr3.home)
