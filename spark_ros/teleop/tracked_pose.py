"""A hand tracked in space, a phone's or a VR controller's, as poses on a topic: the tool moves as the hand does.

The first button of the joystick topic is deadman and clutch in one: let go, take the hand back, press again, go on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spark_ros.contracts import FloatArray, SparkError
from spark_ros.robots.pose import multiply_quaternions, rotvec_from_quaternion
from spark_ros.teleop.base import FRESH_S, Deadman, Hand, Request, Settings

POSE, SWITCH = "/teleop/device/pose", "/teleop/device/joy"
SMOOTHING_S = 0.05  # of the velocity between two poses; a phone's tracking trembles by a millimetre
LOST_S = 0.2  # tracking that pauses for longer may come back elsewhere
# What no hand does between two poses (m and rad, and per s): tracking has found itself elsewhere, as phones' does.
JUMP, FASTEST = np.array([0.05, 0.5]), np.array([3.0, 20.0])


class TrackedPose:
    """Listens to poses in axes parallel to the arm's base (x forward, y left, z up), whatever their origin."""

    def __init__(self, settings: Settings) -> None:
        self.inputs: Mapping[str, str] = {POSE: "geometry_msgs/msg/PoseStamped", SWITCH: "sensor_msgs/msg/Joy"}
        self.note = f"waits for {POSE} and for the deadman on {SWITCH}"
        self._settings = settings
        self._deadman = Deadman()
        self._last: tuple[FloatArray, FloatArray, float] | None = None  # position, quaternion, time
        self._twist = np.zeros(6)

    def poll(self, now: float) -> list[Request]:
        """It has no buttons of its own."""
        return []

    def receive(self, topic: str, message: Any, now: float) -> None:
        """Take a pose or the deadman."""
        if topic == SWITCH:
            self._deadman.receive(message, now)
            return
        at, turned = message.pose.position, message.pose.orientation
        position = np.array([at.x, at.y, at.z])
        quaternion = np.array([turned.x, turned.y, turned.z, turned.w])
        size = float(np.linalg.norm(quaternion))
        if not np.isfinite(position).all() or not 0.9 < size < 1.1:
            raise SparkError(f"{topic} carries no pose: its position is not finite, or its quaternion not of length 1")
        quaternion = quaternion / size
        last, self._last = self._last, (position, quaternion, now)
        if last is None or now - last[2] > LOST_S or now <= last[2]:
            self._twist = np.zeros(6)
            return
        seconds = now - last[2]
        turn = rotvec_from_quaternion(multiply_quaternions(quaternion, last[1] * (-1.0, -1.0, -1.0, 1.0)))
        moved = position - last[0]
        if np.any([np.linalg.norm(moved), np.linalg.norm(turn)] > JUMP + FASTEST * seconds):
            self._twist = np.zeros(6)
            return
        twist = np.concatenate([moved * self._settings.scale, turn]) / seconds
        share = seconds / (seconds + SMOOTHING_S)
        self._twist = (1.0 - share) * self._twist + share * twist

    def adopt(self, opening: float, joints: FloatArray) -> None:
        """The gripper goes on from here, until the joystick's axis says otherwise."""
        self._deadman.grip.opening = opening

    def hand(self, now: float) -> Hand:
        """How the hand moves."""
        tracked = self._last is not None and now - self._last[2] < FRESH_S
        held = self._deadman.fresh(now) and tracked
        self.note = "" if held or not self._deadman.held else f"nothing arrives on {POSE}: is the hand being tracked?"
        return Hand(self._twist.copy() if held else np.zeros(6), self._deadman.grip.opening, held)

    def close(self) -> None:
        """There is nothing to let go of."""
