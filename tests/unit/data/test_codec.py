from __future__ import annotations

import numpy as np
import pytest

from spark_ros.contracts import ActionKind, JointState, SparkError
from spark_ros.data.codec import ActionCodec, Proprioception
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import matrix_from_quaternion
from spark_ros.robots.spec import RobotSpec

MS = 1_000_000
STAMPS = 1_700_000_000_000_000_000 + np.arange(300) * 10 * MS


def motion(spec: RobotSpec) -> tuple[np.ndarray, np.ndarray]:
    t = np.arange(300)[:, None] / 100
    return spec.home + 0.1 * np.sin(t * np.arange(1, 8)), np.linspace(0.08, 0.0, 300)


def state(spec: RobotSpec, q: np.ndarray, width: float = 0.04) -> JointState:
    names = (*spec.joint_names, *spec.gripper.joint_names)
    return JointState(names, np.concatenate([q, [width / 2, width / 2]]), np.zeros(9), 0)


def test_proprioception_is_joints_tool_pose_and_width_by_name(spec: RobotSpec, kinematics: Kinematics) -> None:
    encoder = Proprioception(kinematics, spec.gripper)
    joints = state(spec, spec.home)
    vector = encoder.encode(joints)
    pose = kinematics.forward(spec.home)
    rotation = matrix_from_quaternion(pose.quaternion)
    expected = np.concatenate([spec.home, pose.position, rotation[:, 0], rotation[:, 1], [0.04]])
    assert vector.dtype == np.float32 and vector.shape == (17,) == (len(encoder.names),)
    np.testing.assert_allclose(vector, expected, atol=1e-6)
    order = np.random.default_rng(0).permutation(9)
    shuffled = JointState(tuple(joints.names[i] for i in order), joints.position[order], np.zeros(9), 0)
    np.testing.assert_array_equal(encoder.encode(shuffled), vector)


@pytest.mark.parametrize("kind", [kind for kind in ActionKind if not kind.is_relative])
def test_decoding_a_label_gives_back_what_was_commanded(
    kind: ActionKind, spec: RobotSpec, kinematics: Kinematics
) -> None:
    codec = ActionCodec(kind, 10, 0.1, kinematics)
    q, width = motion(spec)
    measured = q[50] + 0.03  # the arm lags and sags: the label is relative to where it really is
    label, valid = codec.encode(STAMPS, q, width, int(STAMPS[50]), measured)
    assert label.dtype == np.float32 and label.shape == (10, len(codec.names)) and valid.all()
    chunk = codec.decode(label, state(spec, measured), int(STAMPS[50]))
    assert (chunk.kind, chunk.dt_s, chunk.stamp_ns) == (kind, 0.1, STAMPS[50])
    for i in range(10):
        row = 50 + 10 * (i + 1)
        np.testing.assert_allclose(chunk.gripper_width[i], width[row], atol=1e-6)
        if kind is ActionKind.JOINT_POSITION:
            assert chunk.joint_names == spec.joint_names
            np.testing.assert_allclose(chunk.values[i], q[row], atol=1e-6)
        else:
            pose = kinematics.forward(q[row])
            np.testing.assert_allclose(chunk.values[i, :3], pose.position, atol=1e-6)
            assert abs(chunk.values[i, 3:] @ pose.quaternion) > 1 - 1e-9


def test_standing_still_is_zero_motion(spec: RobotSpec, kinematics: Kinematics) -> None:
    still = np.tile(spec.home, (300, 1))
    for kind in ActionKind:
        codec = ActionCodec(kind, 5, 0.1, kinematics)
        label, _ = codec.encode(STAMPS, still, np.full(300, 0.03), int(STAMPS[10]), spec.home)
        np.testing.assert_allclose(label[:, :-1], 0.0, atol=1e-9)
        np.testing.assert_allclose(label[:, -1], 0.03)


def test_labels_lie_between_setpoints_and_hold_the_last_one(spec: RobotSpec, kinematics: Kinematics) -> None:
    codec = ActionCodec(ActionKind.JOINT_POSITION, 10, 0.1, kinematics)
    q, width = motion(spec)
    label, valid = codec.encode(STAMPS, q, width, int(STAMPS[100]) + 5 * MS, q[100])
    np.testing.assert_allclose(label[0, :-1], (q[110] + q[111]) / 2 - q[100], atol=1e-6)
    label, valid = codec.encode(STAMPS, q, width, int(STAMPS[270]), q[270])
    np.testing.assert_allclose(label[2:, :-1], np.tile(q[299] - q[270], (8, 1)), atol=1e-6)
    assert valid.all()


def test_a_chunk_is_cut_at_the_first_step_that_touches_an_excluded_span(
    spec: RobotSpec, kinematics: Kinematics
) -> None:
    codec = ActionCodec(ActionKind.JOINT_POSITION, 10, 0.1, kinematics)
    q, width = motion(spec)
    now = int(STAMPS[100])

    def cut(begin_ms: float, end_ms: float) -> int:
        span = np.array([[now + begin_ms * MS, now + end_ms * MS]], np.int64)
        _, valid = codec.encode(STAMPS, q, width, now, q[100], span)
        assert (np.diff(valid.astype(int)) <= 0).all()
        return int(valid.sum())

    assert cut(250, 300) == 2  # over before step 3, which is still not reached without it
    assert cut(300, 310) == 2
    assert cut(301, 310) == 3
    assert cut(-50, 10) == 0
    assert cut(-50, 0) == 10
    assert cut(1001, 2000) == 10


def test_an_observation_before_the_first_setpoint_and_a_wrong_shape_are_refused(
    spec: RobotSpec, kinematics: Kinematics
) -> None:
    codec = ActionCodec(ActionKind.EE_POSE, 10, 0.1, kinematics)
    q, width = motion(spec)
    with pytest.raises(SparkError, match="older than the first"):
        codec.encode(STAMPS, q, width, int(STAMPS[0]) - 200 * MS, spec.home)
    with pytest.raises(SparkError, match=r"\(10, 8\), expected \(10, 7\)"):
        codec.decode(np.zeros((10, 8)), state(spec, spec.home), 0)
    with pytest.raises(SparkError, match="0 steps"):
        ActionCodec(ActionKind.EE_POSE, 0, 0.1, kinematics)
