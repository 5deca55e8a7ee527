"""Whether the arm may be handed over as it is measured: what every engaging asks, and what only a fresh start does."""

from __future__ import annotations

import numpy as np

from spark_ros.control.config import GatewayConfig
from spark_ros.control.measured import MeasuredArm
from spark_ros.robots.spec import RobotSpec

# rad that a resting arm may read beyond a limit, from calibration and gravity; the first command takes it back at once.
_START_TOLERANCE = 0.002


def unheard(arm: MeasuredArm, spec: RobotSpec, config: GatewayConfig, now: float) -> str | None:
    """Why nobody knows where the arm is, and what to do; None where it is heard of."""
    if arm.position is None or arm.velocity is None or arm.stale(now):
        return f"no joint state of {spec.name} within {config.joint_timeout_s} s: start the arm's driver"
    return None


def unheard_gripper(arm: MeasuredArm, spec: RobotSpec, config: GatewayConfig, now: float) -> str | None:
    """The same for the gripper's opening."""
    if arm.width is None or arm.width_stale(now):
        fingers = ", ".join(spec.gripper.joint_names)
        return (
            f"no joint state of the gripper ({fingers}) within {config.gripper_timeout_s} s: start the gripper's driver"
        )
    return None


def no_place_to_start(arm: MeasuredArm, spec: RobotSpec, config: GatewayConfig, now: float) -> str | None:
    """Why commands cannot begin where the arm is measured, and what to do; None where they can. It is heard of."""
    assert arm.position is not None and arm.velocity is not None
    limits = spec.limits
    if np.abs(arm.velocity).max() > config.engage_velocity:
        return f"the arm is moving at {np.abs(arm.velocity).max():.2f} rad/s: wait until it rests"
    beyond = np.maximum(limits.position_lower - arm.position, arm.position - limits.position_upper)
    joint = int(np.argmax(beyond))
    if beyond[joint] > _START_TOLERANCE:
        return f"{spec.joint_names[joint]} is {beyond[joint]:.3f} rad beyond its limit: move it back by hand"
    jumped = arm.jumped(now)
    if jumped is not None:
        return f"{jumped}, so that nobody knows where the arm is: check for a second driver on the graph"
    return None
