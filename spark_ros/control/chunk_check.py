"""What an action chunk must be before the gateway follows it.

Two kinds of refusal. A chunk that comes at the wrong time (late, early, out of order) is dropped and the plan in use
goes on, since a busy computer does that; if no better one follows, the watchdogs stop the arm. A chunk with wrong
content (shape, joints, NaN, far away) comes from a policy that does not fit this robot: the arm stops at once.
"""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from spark_ros.contracts import ActionChunk, ActionKind, FloatArray, SparkError
from spark_ros.control.config import GatewayConfig
from spark_ros.robots.spec import RobotSpec

MAX_STEPS = 1000  # a hundred seconds at 10 Hz: more is no action chunk but a mistake
QUATERNION_TOLERANCE = 0.05  # off unit length by more than this is not rounding but another layout


class Untimely(SparkError):
    """A chunk that may be fine but comes at the wrong time: dropped, without consequences of its own."""


def check_content(chunk: ActionChunk, spec: RobotSpec) -> ActionChunk:
    """The chunk with its joints in the robot's order and unit quaternions.

    Raises:
        SparkError: Shape, joint names or values cannot be followed by this robot.
    """
    joints = spec.joint_names
    width = len(joints) if chunk.kind.is_joint else 6 if chunk.kind.is_relative else 7
    values = np.asarray(chunk.values, dtype=np.float64)
    gripper = np.asarray(chunk.gripper_width, dtype=np.float64)
    if values.ndim != 2 or values.shape[1] != width or not 1 <= len(values) <= MAX_STEPS:
        raise SparkError(
            f"{chunk.kind.value} chunk has shape {values.shape}: expected (1..{MAX_STEPS}, {width}) for {spec.name}; "
            "check that the bundle was trained for this robot"
        )
    if gripper.shape != (len(values),):
        raise SparkError(f"chunk has {gripper.shape} gripper widths for {len(values)} steps: expected one a step")
    if not (math.isfinite(chunk.dt_s) and chunk.dt_s > 0):
        raise SparkError(f"chunk has {chunk.dt_s} s between steps: expected a positive number")
    if not (np.all(np.isfinite(values)) and np.all(np.isfinite(gripper))):
        row = int(np.argmin(np.isfinite(values).all(axis=1) & np.isfinite(gripper)))
        raise SparkError(f"chunk step {row} is not finite: the policy's output is broken, check its inputs and bundle")
    if chunk.kind.is_joint:
        if sorted(chunk.joint_names) != sorted(joints):
            raise SparkError(
                f"chunk is for joints {', '.join(chunk.joint_names) or '(none)'}: expected {', '.join(joints)}; "
                "check that the bundle was trained for this robot"
            )
        values = values[:, [chunk.joint_names.index(name) for name in joints]]
        return replace(chunk, values=values, gripper_width=gripper, joint_names=joints)
    if chunk.kind.is_relative:
        return replace(chunk, values=values, gripper_width=gripper)
    with np.errstate(over="ignore"):  # an infinite length is refused like any other
        norms = np.linalg.norm(values[:, 3:], axis=1, keepdims=True)
    if np.abs(norms - 1).max() > QUATERNION_TOLERANCE:
        raise SparkError(
            f"chunk quaternions have lengths {norms.min():.3g} to {norms.max():.3g}: expected unit quaternions x y z w"
        )
    return replace(chunk, values=np.hstack([values[:, :3], values[:, 3:] / norms]), gripper_width=gripper)


def check_timing(chunk: ActionChunk, now_ns: int, previous_stamp_ns: int | None, config: GatewayConfig) -> None:
    """Passes where the chunk is of the present.

    Raises:
        Untimely: It is too old, from the future, all of its steps are past, or it is older than the one in use.
    """
    age = (now_ns - chunk.stamp_ns) * 1e-9
    if age < -config.max_chunk_ahead_s:
        raise Untimely(
            f"chunk is stamped {-age:.3f} s in the future (more than {config.max_chunk_ahead_s} s): "
            "synchronise the clocks of camera, policy and gateway"
        )
    if age > config.max_chunk_age_s:
        raise Untimely(
            f"chunk is from an observation {age:.3f} s ago (more than {config.max_chunk_age_s} s): "
            "the policy is too slow or the clocks disagree"
        )
    if age >= len(chunk.values) * chunk.dt_s:
        raise Untimely(f"every step of the chunk is past ({age:.3f} s old): the policy is slower than its horizon")
    if previous_stamp_ns is not None and chunk.stamp_ns <= previous_stamp_ns:
        raise Untimely("chunk is not newer than the one in use: it came out of order")


def check_distance(
    chunk: ActionChunk, now_ns: int, present: FloatArray, spec: RobotSpec, config: GatewayConfig
) -> None:
    """Passes where the chunk goes on from where the arm is, in steps that the arm can take.

    Args:
        chunk: As `check_content` returned it, of an absolute kind (see `anchor`).
        now_ns: The stamp clock; steps that are past are not looked at.
        present: (J,) or (7,), by the chunk's kind: the present setpoint.
        spec: The arm, for its speeds.
        config: `max_jump_m` and `max_jump_rad` matter here.

    Raises:
        SparkError: The first step still to come, or a later one, is too far from where the arm is before it.
    """
    first = min(max(int((now_ns - chunk.stamp_ns) * 1e-9 / chunk.dt_s), 0), len(chunk.values) - 1)
    path = np.vstack([present, chunk.values[first:]])
    if chunk.kind is ActionKind.JOINT_POSITION:
        allowed = config.max_jump_rad + spec.limits.velocity * chunk.dt_s
        excess = np.abs(np.diff(path, axis=0)) - allowed
        row, joint = np.unravel_index(int(np.argmax(excess)), excess.shape)
        if excess[row, joint] > 0:
            where = _where(int(row), first)
            raise SparkError(
                f"{where} moves {spec.joint_names[joint]} by {excess[row, joint] + allowed[joint]:.2f} rad: expected "
                f"at most {allowed[joint]:.2f} rad; check that the policy and the arm's state belong together"
            )
        return
    with np.errstate(over="ignore"):  # an infinite distance is refused like any other
        metres = np.linalg.norm(np.diff(path[:, :3], axis=0), axis=1)
    cosine = np.abs(np.sum(path[1:, 3:] * path[:-1, 3:], axis=1))
    radians = 2 * np.arccos(np.minimum(cosine, 1.0))
    _within("m", metres, config.max_jump_m + spec.ee_max_linear_speed * chunk.dt_s, first)
    _within("rad", radians, config.max_jump_rad + spec.ee_max_angular_speed * chunk.dt_s, first)


def _within(unit: str, distances: FloatArray, allowed: float, first: int) -> None:
    row = int(np.argmax(distances))
    if distances[row] > allowed:
        raise SparkError(
            f"{_where(row, first)} moves the tool by {distances[row]:.3f} {unit}: expected at most "
            f"{allowed:.3f} {unit}; check that the policy and the arm's state belong together"
        )


def _where(row: int, first: int) -> str:
    return "the chunk's beginning" if row == 0 else f"chunk step {first + row}"
