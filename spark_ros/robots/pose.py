"""Rotations and poses: one convention for the codec, the kinematics and the gateway.

Quaternions are ``x y z w`` unit quaternions; a rotation vector is axis times angle, rad; ``rot6d`` is the first two
columns of the rotation matrix, stacked (Zhou et al., "On the Continuity of Rotation Representations in Neural
Networks", CVPR 2019), which a network can regress without a jump. Functions take any leading dimensions ``(...)``.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike

from spark_ros.contracts import FloatArray, Pose


def matrix_from_quaternion(quaternion: ArrayLike) -> FloatArray:
    """(..., 4) unit quaternions to (..., 3, 3) rotation matrices."""
    q = np.asarray(quaternion, dtype=np.float64)
    x, y, z, w = q[..., 0], q[..., 1], q[..., 2], q[..., 3]
    matrix = np.empty((*q.shape[:-1], 3, 3))
    matrix[..., 0, 0] = 1 - 2 * (y * y + z * z)
    matrix[..., 0, 1] = 2 * (x * y - z * w)
    matrix[..., 0, 2] = 2 * (x * z + y * w)
    matrix[..., 1, 0] = 2 * (x * y + z * w)
    matrix[..., 1, 1] = 1 - 2 * (x * x + z * z)
    matrix[..., 1, 2] = 2 * (y * z - x * w)
    matrix[..., 2, 0] = 2 * (x * z - y * w)
    matrix[..., 2, 1] = 2 * (y * z + x * w)
    matrix[..., 2, 2] = 1 - 2 * (x * x + y * y)
    return matrix


def quaternion_from_matrix(matrix: ArrayLike) -> FloatArray:
    """(..., 3, 3) rotation matrices to (..., 4) unit quaternions with w >= 0."""
    m = np.asarray(matrix, dtype=np.float64)
    m00, m11, m22 = m[..., 0, 0], m[..., 1, 1], m[..., 2, 2]
    # Each row is the quaternion scaled by four times one of its components; the largest one is the accurate one.
    xy, xz, yz = m[..., 0, 1] + m[..., 1, 0], m[..., 0, 2] + m[..., 2, 0], m[..., 1, 2] + m[..., 2, 1]
    wx, wy, wz = m[..., 2, 1] - m[..., 1, 2], m[..., 0, 2] - m[..., 2, 0], m[..., 1, 0] - m[..., 0, 1]
    candidates = np.stack(
        [
            np.stack([1 + m00 - m11 - m22, xy, xz, wx], axis=-1),
            np.stack([xy, 1 - m00 + m11 - m22, yz, wy], axis=-1),
            np.stack([xz, yz, 1 - m00 - m11 + m22, wz], axis=-1),
            np.stack([wx, wy, wz, 1 + m00 + m11 + m22], axis=-1),
        ],
        axis=-2,
    )
    best = np.argmax(np.diagonal(candidates, axis1=-2, axis2=-1), axis=-1)
    q = np.take_along_axis(candidates, best[..., None, None], axis=-2)[..., 0, :]
    q = q / np.linalg.norm(q, axis=-1, keepdims=True)
    return np.where(q[..., 3:] < 0, -q, q)


def quaternion_from_rotvec(rotvec: ArrayLike) -> FloatArray:
    """(..., 3) rotation vectors to (..., 4) unit quaternions."""
    v = np.asarray(rotvec, dtype=np.float64)
    angle = np.linalg.norm(v, axis=-1, keepdims=True)
    # sin(a/2)/a as numpy's sinc is exact at zero, where a rotation vector has no axis.
    return np.concatenate([v * (0.5 * np.sinc(angle / (2 * np.pi))), np.cos(angle / 2)], axis=-1)


def rotvec_from_quaternion(quaternion: ArrayLike) -> FloatArray:
    """(..., 4) unit quaternions to (..., 3) rotation vectors of at most pi."""
    q = np.asarray(quaternion, dtype=np.float64)
    q = np.where(q[..., 3:] < 0, -q, q)
    sine = np.linalg.norm(q[..., :3], axis=-1, keepdims=True)
    angle = 2 * np.arctan2(sine, q[..., 3:])
    scale = np.where(sine > 1e-12, angle / np.maximum(sine, 1e-12), 2.0)
    return q[..., :3] * scale


def rotvec_from_matrix(matrix: ArrayLike) -> FloatArray:
    """(..., 3, 3) rotation matrices to (..., 3) rotation vectors of at most pi."""
    return rotvec_from_quaternion(quaternion_from_matrix(matrix))


def matrix_from_rotvec(rotvec: ArrayLike) -> FloatArray:
    """(..., 3) rotation vectors to (..., 3, 3) rotation matrices."""
    return matrix_from_quaternion(quaternion_from_rotvec(rotvec))


def multiply_quaternions(left: ArrayLike, right: ArrayLike) -> FloatArray:
    """(..., 4) product of unit quaternions: the rotation `right`, then the rotation `left`, both in fixed axes."""
    a, b = np.asarray(left, dtype=np.float64), np.asarray(right, dtype=np.float64)
    ax, ay, az, aw = a[..., 0], a[..., 1], a[..., 2], a[..., 3]
    bx, by, bz, bw = b[..., 0], b[..., 1], b[..., 2], b[..., 3]
    return np.stack(
        [
            aw * bx + ax * bw + ay * bz - az * by,
            aw * by - ax * bz + ay * bw + az * bx,
            aw * bz + ax * by - ay * bx + az * bw,
            aw * bw - ax * bx - ay * by - az * bz,
        ],
        axis=-1,
    )


def rot6d_from_matrix(matrix: ArrayLike) -> FloatArray:
    """(..., 3, 3) rotation matrices to (..., 6): first column, then second column."""
    m = np.asarray(matrix, dtype=np.float64)
    return np.concatenate([m[..., :, 0], m[..., :, 1]], axis=-1)


def matrix_from_rot6d(rot6d: ArrayLike) -> FloatArray:
    """(..., 6), not necessarily orthonormal, to (..., 3, 3) rotation matrices by Gram-Schmidt."""
    v = np.asarray(rot6d, dtype=np.float64)
    first = v[..., :3] / np.linalg.norm(v[..., :3], axis=-1, keepdims=True)
    second = v[..., 3:] - np.sum(first * v[..., 3:], axis=-1, keepdims=True) * first
    second = second / np.linalg.norm(second, axis=-1, keepdims=True)
    return np.stack([first, second, np.cross(first, second)], axis=-1)


def pose_from_vector(vector: ArrayLike) -> Pose:
    """A pose from (7,) ``x y z qx qy qz qw``; the quaternion is normalised."""
    v = np.asarray(vector, dtype=np.float64)
    return Pose(v[:3].copy(), v[3:] / np.linalg.norm(v[3:]))


def vector_from_pose(pose: Pose) -> FloatArray:
    """(7,) ``x y z qx qy qz qw``."""
    return np.concatenate([pose.position, pose.quaternion])


def interpolate_pose(start: Pose, end: Pose, fraction: float) -> Pose:
    """The pose at `fraction` (0..1) of the way: straight in position, at constant angular speed the short way round."""
    position = start.position + fraction * (end.position - start.position)
    return Pose(position, slerp(start.quaternion, end.quaternion, fraction))


def slerp(start: FloatArray, end: FloatArray, fraction: float) -> FloatArray:
    """The unit quaternion (4,) at `fraction` (0..1) between two others, the short way round."""
    cosine = float(np.dot(start, end))
    if cosine < 0.0:  # q and -q are the same rotation; take the near one
        end, cosine = -end, -cosine
    if cosine > 1.0 - 1e-9:  # so close that the sine below would divide by zero
        blend = start + fraction * (end - start)
        return blend / math.sqrt(float(np.dot(blend, blend)))
    angle = math.acos(cosine)
    sine = math.sin(angle)
    return (math.sin((1 - fraction) * angle) / sine) * start + (math.sin(fraction * angle) / sine) * end


def pose_distance(first: Pose, second: Pose) -> tuple[float, float]:
    """How far apart two poses are: metres, and the angle of the rotation between them in rad (0..pi)."""
    cosine = min(1.0, abs(float(np.dot(first.quaternion, second.quaternion))))
    return float(np.linalg.norm(first.position - second.position)), 2.0 * math.acos(cosine)
