"""Rotation helpers agree with scipy where it is the judge, and round trips lose nothing."""

import numpy as np
import pytest
from scipy.spatial.transform import Rotation, Slerp

from spark_ros.contracts import Pose
from spark_ros.robots import pose

RNG = np.random.default_rng(0)
SPECIAL = [[0, 0, 0], [np.pi, 0, 0], [0, np.pi, 0], [0, 0, np.pi], [1e-9, 0, 0], [0, 0, np.pi - 1e-7]]
ROTVECS = np.concatenate([np.array(SPECIAL, float), RNG.uniform(-1, 1, (200, 3)) * 1.8])


def test_conversions_agree_with_scipy():
    judge = Rotation.from_rotvec(ROTVECS)
    np.testing.assert_allclose(pose.matrix_from_rotvec(ROTVECS), judge.as_matrix(), atol=1e-12)
    quaternion = pose.quaternion_from_matrix(judge.as_matrix())
    assert np.all(np.abs(np.sum(quaternion * judge.as_quat(), axis=-1)) > 1 - 1e-12)
    assert np.all(quaternion[:, 3] >= 0)
    np.testing.assert_allclose(pose.matrix_from_quaternion(quaternion), judge.as_matrix(), atol=1e-9)
    back = pose.rotvec_from_matrix(judge.as_matrix())
    np.testing.assert_allclose(pose.matrix_from_rotvec(back), judge.as_matrix(), atol=1e-9)
    other = Rotation.from_rotvec(ROTVECS[::-1].copy())
    product = pose.multiply_quaternions(judge.as_quat(), other.as_quat())
    np.testing.assert_allclose(pose.matrix_from_quaternion(product), (judge * other).as_matrix(), atol=1e-12)


def test_rot6d_is_the_first_two_columns_and_survives_scaling_and_shear():
    matrix = Rotation.from_rotvec(ROTVECS).as_matrix()
    six = pose.rot6d_from_matrix(matrix)
    np.testing.assert_array_equal(six[:, :3], matrix[:, :, 0])
    np.testing.assert_array_equal(six[:, 3:], matrix[:, :, 1])
    np.testing.assert_allclose(pose.matrix_from_rot6d(six), matrix, atol=1e-12)
    sheared = np.concatenate([3 * six[:, :3], six[:, 3:] + 0.2 * six[:, :3]], axis=-1)
    np.testing.assert_allclose(pose.matrix_from_rot6d(sheared), matrix, atol=1e-12)


def test_a_single_rotation_and_a_batch_take_the_same_path():
    one = ROTVECS[-1]
    np.testing.assert_array_equal(pose.quaternion_from_rotvec(one), pose.quaternion_from_rotvec(ROTVECS)[-1])


@pytest.mark.parametrize("fraction", [0.0, 0.3, 1.0])
def test_interpolation_is_slerp_the_short_way_round(fraction):
    for first, second in zip(ROTVECS[6:50], ROTVECS[60:], strict=False):
        keys = Rotation.from_rotvec([first, second])
        a, b = keys.as_quat()
        expected = Slerp([0, 1], keys)(fraction).as_matrix()
        for sign in (1, -1):  # q and -q are one rotation
            middle = pose.interpolate_pose(Pose(np.zeros(3), a), Pose(np.ones(3), sign * b), fraction)
            np.testing.assert_allclose(pose.matrix_from_quaternion(middle.quaternion), expected, atol=1e-9)
            np.testing.assert_allclose(middle.position, fraction)


def test_interpolating_between_equal_rotations_is_safe():
    q = pose.quaternion_from_rotvec([0.1, 0.2, 0.3])
    np.testing.assert_allclose(pose.slerp(q, q, 0.5), q, atol=1e-15)


def test_pose_distance_measures_metres_and_the_angle_between():
    a = Pose(np.zeros(3), pose.quaternion_from_rotvec([0, 0, 0.2]))
    b = Pose(np.array([3.0, 4.0, 0]), -pose.quaternion_from_rotvec([0, 0, 0.5]))
    assert pose.pose_distance(a, b) == pytest.approx((5.0, 0.3))


def test_vectors_round_trip_and_are_normalised():
    vector = np.array([1, 2, 3, 0, 0, 0, 2.0])
    there = pose.pose_from_vector(vector)
    np.testing.assert_allclose(pose.vector_from_pose(there), [1, 2, 3, 0, 0, 0, 1])
