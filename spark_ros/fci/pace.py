"""How fast a Franka can be led where franky moves it: the gateway's settings for `arm:=fci`."""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import SparkError
from spark_ros.robots.spec import JointLimits

# rad/s: franky 2.0.0 moves none of Franka's arms faster, and permits no other value.
FRANKY_VELOCITY = np.array([2.175] * 4 + [2.61] * 3)
ROOM = 0.97  # the rest is for closing a gap in motion
# An arm catches up with its setpoint only where it may accelerate harder: franky 2.0.0 gives joint 2 7.5 of 10 rad/s^2.
ACCELERATION_SCALE = 0.6


def pace(limits: JointLimits) -> dict[str, float]:
    """Settings of the gateway (see `control.config`) with which the arm keeps up.

    Beyond them it would fall behind its setpoint, and the gateway stop it.

    Raises:
        SparkError: No Franka has so many joints.
    """
    if limits.velocity.shape != FRANKY_VELOCITY.shape:
        raise SparkError(f"arm:=fci moves a Franka, which has 7 joints, not an arm with {limits.velocity.size}")
    scale = ROOM * float((FRANKY_VELOCITY / limits.velocity).min())
    return {"velocity_scale": round(min(1.0, scale), 3), "acceleration_scale": ACCELERATION_SCALE}
