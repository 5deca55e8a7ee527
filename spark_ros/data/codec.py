"""Between robot quantities and the numbers a policy network reads and writes.

One codec owns three directions that must never drift apart: the training label (`ActionCodec.encode`), the decoding
of the network's output on the robot (`ActionCodec.decode`), and the proprioception vector used in both places.

An action is *relative to the measured state at the observation's stamp*, so that a network need not learn where the
arm is, and a chunk decoded on the robot starts from where the arm really was:

- `EE_POSE`: ``dx dy dz`` (m, base frame), rotation vector (rad, base frame) of ``R_i R_0^T``, gripper width (m).
- `JOINT_POSITION`: ``q_i - q_0`` (rad) per joint, gripper width (m).

The other kinds are about what happens *during a step*, and need no measured state: they go on from the step before,
the first from what was commanded at the stamp.

- `JOINT_DELTA`: ``q_i - q_(i-1)`` (rad); `JOINT_VELOCITY`: the same per second; gripper width (m).
- `EE_DELTA`: ``p_i - p_(i-1)`` (m), rotation vector of ``R_i R_(i-1)^T`` (rad), both in base axes; `EE_TWIST`: the same
  per second; gripper width (m).

Step i (from 0) is due at ``stamp + (i + 1) * dt``; its label is what the gateway commanded at that time.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import ActionChunk, ActionKind, FloatArray, JointState, SparkError
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import (
    matrix_from_quaternion,
    multiply_quaternions,
    quaternion_from_rotvec,
    rot6d_from_matrix,
    rotvec_from_quaternion,
)
from spark_ros.robots.spec import GripperSpec

_POSE_NAMES = ("dx", "dy", "dz", "rx", "ry", "rz")
_TWIST_NAMES = ("vx", "vy", "vz", "wx", "wy", "wz")
_NO_SPANS = np.zeros((0, 2), np.int64)


class Proprioception:
    """The robot's own state as a vector: joint positions, tool position, tool rotation, gripper width.

    Args:
        kinematics: Kinematics of the arm.
        gripper: Its gripper.

    Attributes:
        spec: The robot.
        names: What each number is, in order: joint names, ``ee_x ee_y ee_z`` (m, base frame), ``ee_r0 .. ee_r5`` (the
            first two columns of the tool's rotation matrix, one after the other), ``gripper_width`` (m).
    """

    def __init__(self, kinematics: Kinematics, gripper: GripperSpec) -> None:
        self._kinematics = kinematics
        self._gripper = gripper
        self.spec = kinematics.spec
        self._joint_names = tuple(kinematics.spec.joint_names)
        self.names = (
            *self._joint_names,
            *("ee_x", "ee_y", "ee_z"),
            *(f"ee_r{i}" for i in range(6)),
            "gripper_width",
        )

    def encode(self, joints: JointState) -> NDArray[np.float32]:
        """The vector of a joint state that holds arm and finger joints.

        Returns:
            (P,) float32, P = J + 10.

        Raises:
            SparkError: A joint is missing.
        """
        q = joints.select(self._joint_names).position
        pose = self._kinematics.forward(q)
        rotation = rot6d_from_matrix(matrix_from_quaternion(pose.quaternion))
        return np.concatenate([q, pose.position, rotation, [self._gripper.width(joints)]]).astype(np.float32)


class ActionCodec:
    """Action chunks as a network sees them, and back.

    Args:
        kind: What a step of the chunk means.
        horizon: Steps in a chunk, H.
        dt_s: Seconds between steps.
        kinematics: Kinematics of the arm.

    Attributes:
        names: What each of the A numbers of a step is, in order.
    """

    def __init__(self, kind: ActionKind, horizon: int, dt_s: float, kinematics: Kinematics) -> None:
        if horizon < 1 or not dt_s > 0.0:
            raise SparkError(
                f"an action chunk of {horizon} steps of {dt_s} s is not possible: "
                "expected at least 1 step of more than 0 s"
            )
        self.kind = ActionKind(kind)
        self.horizon = horizon
        self.dt_s = dt_s
        self._kinematics = kinematics
        self._joint_names = tuple(kinematics.spec.joint_names)
        tool = _TWIST_NAMES if self.kind.is_rate else _POSE_NAMES
        self.names: tuple[str, ...] = (*(self._joint_names if self.kind.is_joint else tool), "gripper_width")

    def encode(
        self,
        setpoint_stamps_ns: NDArray[np.int64],
        setpoint_q: FloatArray,
        setpoint_width: FloatArray,
        stamp_ns: int,
        observed_q: FloatArray,
        excluded_ns: NDArray[np.int64] = _NO_SPANS,
    ) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """The label for an observation: what was commanded after it, relative to what was measured then.

        Of the kinds that are relative from step to step, the first step begins at what was commanded then.

        Beyond the last setpoint the label holds the last setpoint, as the gateway does when nothing follows.

        Args:
            setpoint_stamps_ns: (N,) rising stamps of the commanded setpoints in nanoseconds.
            setpoint_q: (N, J) commanded arm joints in rad, in the robot's joint order.
            setpoint_width: (N,) commanded gripper width in m.
            stamp_ns: Stamp of the observation in nanoseconds.
            observed_q: (J,) measured arm joints at that stamp in rad.
            excluded_ns: (E, 2) spans ``[begin, end)`` in nanoseconds whose setpoints must not be imitated.

        Returns:
            (H, A) float32 label, and (H,) bool: False from the first step whose way there,
            ``(stamp, stamp + (i+1) dt]``, touches an excluded span.

        Raises:
            SparkError: The first step is due before the first setpoint.
        """
        after = (np.arange(self.horizon) + 1) * self.dt_s
        times = (setpoint_stamps_ns - stamp_ns) * 1e-9
        if times.size == 0 or after[0] < times[0]:
            raise SparkError(
                "an observation is older than the first commanded setpoint, expected commands from then on: "
                "leave this observation out"
            )
        q = np.stack([np.interp(after, times, column) for column in setpoint_q.T], axis=1)
        width = np.interp(after, times, setpoint_width)
        if self.kind.is_relative:
            commanded = np.array([np.interp(0.0, times, column) for column in setpoint_q.T])
            motion = self._changes(np.vstack([commanded, q]))
        else:
            motion = q - observed_q if self.kind.is_joint else self._relative_poses(q, observed_q)
        begin, end = ((excluded_ns[:, side] - stamp_ns) * 1e-9 for side in (0, 1))
        first_excluded = np.min(np.maximum(begin[end > 0.0], 0.0), initial=np.inf)
        return np.column_stack([motion, width]).astype(np.float32), after < first_excluded

    def decode(self, values: NDArray[np.floating], joints: JointState, stamp_ns: int) -> ActionChunk:
        """The chunk that the network's output means.

        Args:
            values: (H, A) output of the network.
            joints: Measured joints at the observation's stamp.
            stamp_ns: Stamp of the observation in nanoseconds.

        Raises:
            SparkError: The shape is not (H, A) or a joint is missing.
        """
        expected = (self.horizon, len(self.names))
        if values.shape != expected:
            raise SparkError(
                f"the policy gave actions of shape {values.shape}, expected {expected}: re-export the bundle"
            )
        motion, width = np.asarray(values[:, :-1], np.float64), np.asarray(values[:, -1], np.float64)
        q = joints.select(self._joint_names).position
        if self.kind.is_relative:
            names = self._joint_names if self.kind.is_joint else ()
            return ActionChunk(self.kind, motion, width, names, self.dt_s, stamp_ns)
        if not self.kind.is_joint:
            start = self._kinematics.forward(q)
            rotation = multiply_quaternions(quaternion_from_rotvec(motion[:, 3:]), start.quaternion)
            steps = np.hstack([start.position + motion[:, :3], rotation])
            return ActionChunk(self.kind, steps, width, (), self.dt_s, stamp_ns)
        return ActionChunk(self.kind, q + motion, width, self._joint_names, self.dt_s, stamp_ns)

    def _changes(self, q: FloatArray) -> FloatArray:
        """(H + 1, J) commanded joints to (H, J) or (H, 6), what happens between each two."""
        if self.kind.is_joint:
            changes = np.diff(q, axis=0)
        else:
            changes = np.vstack([self._relative_poses(end[None], start) for start, end in pairwise(q)])
        return changes / self.dt_s if self.kind.is_rate else changes

    def _relative_poses(self, q: FloatArray, observed_q: FloatArray) -> FloatArray:
        start = self._kinematics.forward(observed_q)
        poses = [self._kinematics.forward(step) for step in q]
        position = np.stack([pose.position for pose in poses]) - start.position
        rotation = np.stack([pose.quaternion for pose in poses])
        inverse_start = start.quaternion * (-1.0, -1.0, -1.0, 1.0)
        return np.hstack([position, rotvec_from_quaternion(multiply_quaternions(rotation, inverse_start))])
