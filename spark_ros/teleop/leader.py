"""A second arm that the operator guides by hand: its joints are the wanted joints of the arm that is moved."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from spark_ros.contracts import FloatArray, SparkError
from spark_ros.teleop.base import FRESH_S, Deadman, Hand, Request, Settings

JOINTS, SWITCH = "/leader/joint_states", "/teleop/device/joy"
ALIGNED_RAD = 0.3  # further apart, the arm would sweep to the leader the moment the deadman is pressed


class LeaderArm:
    """Listens to the leader's joint states, and to a pedal's or joystick's first button as deadman.

    Following its joints themselves, it waits until the leader is where the arm is. Following its changes
    (`Settings.leader_relative`), it goes on from wherever both are whenever the deadman is pressed: a clutch.
    """

    def __init__(self, settings: Settings) -> None:
        self.inputs: Mapping[str, str] = {JOINTS: "sensor_msgs/msg/JointState", SWITCH: "sensor_msgs/msg/Joy"}
        self.note = f"waits for {JOINTS} and for the deadman on {SWITCH}"
        self._settings = settings
        self._names = settings.leader_joints or tuple(settings.robot.joint_names)
        if len(self._names) != len(settings.robot.joint_names):
            raise SparkError(
                f"leader_joints names {len(self._names)} joints, {settings.robot.name} has "
                f"{len(settings.robot.joint_names)}: name the leader's joint for each, in the arm's order"
            )
        self._deadman = Deadman()
        self._leader: FloatArray | None = None
        self._heard = float("-inf")
        self._arm: FloatArray | None = None
        self._offset: FloatArray | None = None  # from leader to arm; None while nothing is followed

    def poll(self, now: float) -> list[Request]:
        """It has no buttons of its own."""
        return []

    def receive(self, topic: str, message: Any, now: float) -> None:
        """Take the leader's joints or the deadman."""
        if topic == SWITCH:
            self._deadman.receive(message, now)
            return
        found = dict(zip(message.name, message.position, strict=False))
        if missing := [name for name in self._names if name not in found]:
            raise SparkError(f"{topic} lacks joint {', '.join(missing)}: set leader_joints to its names")
        leader = np.array([found[name] for name in self._names])
        if not np.isfinite(leader).all():
            raise SparkError(f"{topic} carries joints that are not finite: check the leader")
        self._leader, self._heard = leader, now
        gripper, (closed, opened) = self._settings.leader_gripper, self._settings.leader_gripper_range
        if gripper in found:
            share = (found[gripper] - closed) / (opened - closed)
            self._deadman.grip.opening = float(np.clip(share, 0.0, 1.0))

    def adopt(self, opening: float, joints: FloatArray) -> None:
        """Where the arm is told to be; whatever was followed before, the way from leader to arm is another now."""
        self._arm, self._offset = joints, None
        if not self._settings.leader_gripper:
            self._deadman.grip.opening = opening

    def hand(self, now: float) -> Hand:
        """The leader's joints, once they may be followed."""
        held = self._deadman.fresh(now) and now - self._heard < FRESH_S
        leader, arm = self._leader, self._arm
        if not held or leader is None or arm is None:
            self._offset = None
            self.note = "" if self._deadman.held else self.note
            return Hand(np.zeros(6), self._deadman.grip.opening, False)
        if self._offset is None:
            apart = np.abs(leader - arm)
            if self._settings.leader_relative:
                self._offset = arm - leader
            elif apart.max() > ALIGNED_RAD:
                joint = int(np.argmax(apart))
                self.note = f"{self._names[joint]} of the leader is {apart[joint]:.2f} rad away: bring it to the arm"
                return Hand(np.zeros(6), self._deadman.grip.opening, False)
            else:
                self._offset = np.zeros(len(leader))
        self.note = ""
        return Hand(np.zeros(6), self._deadman.grip.opening, True, joints=leader + self._offset)

    def close(self) -> None:
        """There is nothing to let go of."""
