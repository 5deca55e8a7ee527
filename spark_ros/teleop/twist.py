"""Tool velocities on a topic: any device that has a ROS driver of its own."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spark_ros.contracts import FloatArray, SparkError
from spark_ros.teleop.base import FRESH_S, Deadman, Hand, Request, Settings

TWIST, SWITCH = "/teleop/device/twist", "/teleop/device/joy"


class TwistTopic:
    """Listens to twists in the base frame (m/s, rad/s), and to a joystick's first button as deadman."""

    def __init__(self, settings: Settings) -> None:
        self.inputs: Mapping[str, str] = {TWIST: "geometry_msgs/msg/TwistStamped", SWITCH: "sensor_msgs/msg/Joy"}
        self.note = f"waits for {TWIST} and for the deadman on {SWITCH}"
        self._scale = settings.scale
        self._deadman = Deadman()
        self._twist, self._heard = np.zeros(6), float("-inf")

    def poll(self, now: float) -> list[Request]:
        """It has no buttons of its own."""
        return []

    def receive(self, topic: str, message: Any, now: float) -> None:
        """Take a twist or the deadman."""
        if topic == SWITCH:
            self._deadman.receive(message, now)
            return
        linear, angular = message.twist.linear, message.twist.angular
        twist = np.array([linear.x, linear.y, linear.z, angular.x, angular.y, angular.z])
        if not np.isfinite(twist).all():
            raise SparkError(f"{topic} carries values that are not finite: check the device")
        self._twist, self._heard = twist * self._scale, now

    def adopt(self, opening: float, joints: FloatArray) -> None:
        """The gripper goes on from here, until the joystick's axis says otherwise."""
        self._deadman.grip.opening = opening

    def hand(self, now: float) -> Hand:
        """The last twist, while it is one of now."""
        held = self._deadman.fresh(now) and now - self._heard < FRESH_S
        self.note = "" if held or not self._deadman.held else f"nothing arrives on {TWIST}"
        return Hand(self._twist.copy() if held else np.zeros(6), self._deadman.grip.opening, held)

    def close(self) -> None:
        """There is nothing to let go of."""
