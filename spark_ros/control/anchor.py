"""Chunks that say how to go on, turned into chunks that say where to be.

Deltas, velocities and twists are added up from where the arm was told to be at the chunk's stamp, not from where it
was measured: an arm that hangs a little below its setpoint would otherwise sink by that much with every chunk. All
that comes after, from the checks to the limiter, then knows absolute targets only.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from spark_ros.contracts import ActionChunk, ActionKind, FloatArray, SparkError
from spark_ros.robots.pose import multiply_quaternions, quaternion_from_rotvec


def anchored(chunk: ActionChunk, start: FloatArray) -> ActionChunk:
    """The chunk as absolute joint positions or tool poses; one that is absolute already comes back as it is.

    Args:
        chunk: As `chunk_check.check_content` returned it.
        start: (J,) rad or (7,) tool pose: where the arm was told to be at the chunk's stamp.

    Raises:
        SparkError: The steps add up to more than a number can hold.
    """
    if not chunk.kind.is_relative:
        return chunk
    with np.errstate(over="ignore", invalid="ignore"):  # what overflows is refused below
        values = _added_up(chunk, start)
    if not np.isfinite(values).all():
        raise SparkError(f"{chunk.kind.value} chunk adds up to no finite target: check the policy's inputs and bundle")
    return replace(chunk, kind=ActionKind.JOINT_POSITION if chunk.kind.is_joint else ActionKind.EE_POSE, values=values)


def _added_up(chunk: ActionChunk, start: FloatArray) -> FloatArray:
    changes = chunk.values * chunk.dt_s if chunk.kind.is_rate else chunk.values
    if chunk.kind.is_joint:
        return start + np.cumsum(changes, axis=0)
    positions = start[:3] + np.cumsum(changes[:, :3], axis=0)
    rotation, rotations = start[3:], []
    for turn in quaternion_from_rotvec(changes[:, 3:]):
        rotation = multiply_quaternions(turn, rotation)
        rotation = rotation / np.linalg.norm(rotation)
        rotations.append(rotation)
    return np.hstack([positions, np.array(rotations)])
