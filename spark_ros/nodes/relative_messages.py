"""Relative action chunks on the wire: the same trajectory messages, on topics of their own.

A change travels where an absolute target would: a transform that the tool goes through during the step, or the change
of each joint; the gripper's width stays absolute. Velocities and twists travel as the change that they make in a step.
The topic alone tells a change from a target, so that no old reader takes a step of 1 cm for a place.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from trajectory_msgs.msg import JointTrajectory, MultiDOFJointTrajectory

from spark_ros import topics
from spark_ros.contracts import ActionChunk, ActionKind
from spark_ros.robots.pose import quaternion_from_rotvec, rotvec_from_quaternion


def chunk_channel(kind: ActionKind) -> tuple[type, str]:
    """Message type and topic of a policy's chunks."""
    if kind.is_joint:
        return JointTrajectory, topics.JOINT_DELTA_CHUNK if kind.is_relative else topics.JOINT_CHUNK
    return MultiDOFJointTrajectory, topics.EE_DELTA_CHUNK if kind.is_relative else topics.EE_CHUNK


def as_sent(chunk: ActionChunk) -> ActionChunk:
    """The chunk in the form of the absolute kind, which `message_from_chunk` writes; absolute ones as they are."""
    if not chunk.kind.is_relative:
        return chunk
    changes = chunk.values * chunk.dt_s if chunk.kind.is_rate else chunk.values
    if chunk.kind.is_joint:
        return replace(chunk, kind=ActionKind.JOINT_POSITION, values=changes)
    values = np.hstack([changes[:, :3], quaternion_from_rotvec(changes[:, 3:])])
    return replace(chunk, kind=ActionKind.EE_POSE, values=values)


def as_changes(chunk: ActionChunk) -> ActionChunk:
    """What arrived on a topic of changes, read like an absolute chunk: the inverse of `as_sent`, as deltas."""
    if chunk.kind.is_joint:
        return replace(chunk, kind=ActionKind.JOINT_DELTA)
    values = np.hstack([chunk.values[:, :3], rotvec_from_quaternion(chunk.values[:, 3:])])
    return replace(chunk, kind=ActionKind.EE_DELTA, values=values)
