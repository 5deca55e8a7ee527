"""What every operator's device tells: how the tool or the joints are to move, and what else is asked for.

A device knows nothing of ROS and nothing of the gateway. It turns what its hardware reports, or what arrives on topics
that it names, into a `Hand`; the node publishes that. The gateway limits whatever comes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Any, Protocol

import numpy as np

from spark_ros.contracts import FloatArray, SparkError
from spark_ros.robots.spec import RobotSpec

FRESH_S = 0.25  # as long as the gateway lets an operator's input count (teleop_timeout_s)


class Request(Enum):
    """What a button asks for, beside motion."""

    ENGAGE = "engage teleoperation"
    HAND_BACK = "hand the arm back to the policy"
    HOLD = "hold"
    STOP = "stop"
    RESET = "reset"
    START = "start an episode"
    KEEP = "keep the episode"
    DISCARD = "discard the episode"
    AGAIN = "record the episode again"


@dataclass(frozen=True)
class Hand:
    """What the operator does right now.

    Attributes:
        twist: (6,) tool velocity in the base frame: vx vy vz (m/s), wx wy wz (rad/s).
        joints: (J,) rad, wanted joints of the arm in the robot's order, instead of a twist; else None.
        opening: Wanted opening of the gripper, 0 (closed) to 1.
        deadman: Whether the enabling switch is held.
        imitate: False where the motion is not meant for imitation.
    """

    twist: FloatArray
    opening: float
    deadman: bool
    imitate: bool = True
    joints: FloatArray | None = None


@dataclass(frozen=True)
class Settings:
    """What a person may choose about a device.

    Attributes:
        robot: The arm that is moved.
        path: File of the device; empty to look for one.
        linear_speed: m/s at full deflection.
        angular_speed: rad/s at full deflection.
        scale: How far the tool moves for a metre of a hand that is tracked in space.
        dead_zone: Share of a stick's or cap's way that counts as nothing.
        leader_joints: Joints of the leader arm, in the order of the robot's; empty for the robot's own names.
        leader_gripper: The leader's gripper joint; empty for none.
        leader_gripper_range: Its positions when closed and when open.
        leader_relative: Whether the arm follows the leader's changes, instead of its joints themselves.
    """

    robot: RobotSpec
    path: str = ""
    linear_speed: float = 0.2
    angular_speed: float = 0.8
    scale: float = 1.0
    dead_zone: float = 0.1
    leader_joints: tuple[str, ...] = ()
    leader_gripper: str = ""
    leader_gripper_range: tuple[float, float] = (0.0, 1.0)
    leader_relative: bool = False


class Device(Protocol):
    """An operator's device; times are seconds of a monotonic clock.

    Attributes:
        inputs: Topics it listens to, by type (``geometry_msgs/msg/PoseStamped``); none for hardware of its own.
        note: Why it does not do what the hand asks for, or what it waits for; empty if all is well.
    """

    inputs: Mapping[str, str]
    note: str

    def poll(self, now: float) -> list[Request]:
        """Read what the hardware has to say; what was asked for since the last time.

        Raises:
            SparkError: The hardware is gone.
        """

    def receive(self, topic: str, message: Any, now: float) -> None:
        """Take a message of one of `inputs`.

        Raises:
            SparkError: The message makes no sense.
        """

    def adopt(self, opening: float, joints: FloatArray) -> None:
        """Learn where gripper (0..1) and arm ((J,) rad) are told to be while this device does not move them.

        Taking over, and pressing the deadman again, must neither drop what the gripper holds nor pull the arm away.
        """

    def hand(self, now: float) -> Hand:
        """What the operator does."""

    def close(self) -> None:
        """Let go of the hardware."""


@dataclass
class Grip:
    """The gripper of devices that toggle it: goes on from wherever it was left.

    Attributes:
        opening: 0 (closed) to 1.
    """

    opening: float = 1.0

    def toggle(self) -> None:
        """To the other end from where it is nearer to."""
        self.opening = 0.0 if self.opening > 0.5 else 1.0


@dataclass
class Deadman:
    """The switch of devices without one of their own: the first button of a `sensor_msgs/Joy`, axis 0 for the gripper.

    Attributes:
        held: Whether the button is down.
        grip: The gripper; moved by axis 0 (0 closed to 1 open) where there is one.
    """

    held: bool = False
    grip: Grip = field(default_factory=Grip)
    _heard: float = float("-inf")

    def receive(self, joy: Any, now: float) -> None:
        """Take a joystick message.

        Raises:
            SparkError: It has no buttons.
        """
        if not len(joy.buttons):
            raise SparkError("a joystick message without buttons arrived: its first button is the deadman")
        self._heard = now
        self.held = bool(joy.buttons[0])
        if len(joy.axes):
            self.grip.opening = float(np.clip(joy.axes[0], 0.0, 1.0))

    def fresh(self, now: float) -> bool:
        """Whether it is held, and was heard of lately."""
        return self.held and now - self._heard < FRESH_S


def shaped(value: float, dead_zone: float) -> float:
    """A deflection -1..1 without the play around its middle, squared so that small ones are fine."""
    size = (abs(value) - dead_zone) / (1.0 - dead_zone)
    return float(np.copysign(min(size, 1.0) ** 2, value)) if size > 0.0 else 0.0
