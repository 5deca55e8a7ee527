"""Where an arm's driver listens and what it says about itself; how commands are put into its words is `adapters`' work.

A driver usually offers several command interfaces of which one is active at a time. A robot description lists those
that are known to work, the one to use first.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from spark_ros.contracts import FloatArray, SparkError

STATUS = {
    "program_running": "std_msgs/Bool: whether the program runs that lets commands through",
    "speed_scaling": "std_msgs/Float64, percent of the asked speed",
    "robot_mode": "ur_dashboard_msgs/RobotMode",
    "safety_mode": "ur_dashboard_msgs/SafetyMode",
    "franka_state": "franka_msgs/FrankaRobotState",
}


@dataclass(frozen=True)
class Interface:
    """One way to command an arm or a gripper.

    Attributes:
        kind: Registry name of the adapter that speaks it, see `adapters.registry`.
        topic: Where the driver listens.
        frame: The frame that its values are given in; None for the robot's base frame.
        rpy: (3,) rad, orientation of `frame` in the base frame.
    """

    kind: str
    topic: str
    frame: str | None
    rpy: FloatArray


@dataclass(frozen=True)
class VendorTopics:
    """The driver's topics.

    Attributes:
        arm: Command interfaces of the arm, the usual one first.
        gripper: Command interfaces of the gripper, the usual one first.
        status: Topics on which the driver reports its own state, by what they say, any of `STATUS`: the gateway listens
            to them, and the simulated arm speaks on those that stock messages suffice for.
    """

    arm: tuple[Interface, ...]
    gripper: tuple[Interface, ...]
    status: Mapping[str, str]

    @property
    def arm_command_topic(self) -> str:
        """Topic of the arm's usual interface."""
        return self.arm[0].topic

    @property
    def gripper_command_topic(self) -> str:
        """Topic of the gripper's usual interface."""
        return self.gripper[0].topic

    def arm_interface(self, kind: str | None = None) -> Interface:
        """The arm's interface of this kind; the usual one for None.

        Raises:
            SparkError: The description lists no such interface.
        """
        return _of_kind("arm", self.arm, kind)

    def gripper_interface(self, kind: str | None = None) -> Interface:
        """The gripper's interface of this kind; the usual one for None.

        Raises:
            SparkError: The description lists no such interface.
        """
        return _of_kind("gripper", self.gripper, kind)


def vendor_from(doc: Mapping[str, Any]) -> VendorTopics:
    """What a robot description's `vendor` describes.

    Raises:
        KeyError: Something is missing.
        ValueError: A list is empty, an orientation is not three numbers, or a status is none of `STATUS`.
    """
    status = {str(name): str(topic) for name, topic in doc.get("status", {}).items()}
    if unknown := sorted(status.keys() - STATUS.keys()):  # a misspelt one would never be listened to
        raise ValueError(f"vendor.status knows no {', '.join(unknown)}: choose among {', '.join(STATUS)}")
    return VendorTopics(_interfaces(doc["arm"]), _interfaces(doc["gripper"]), status)


def _of_kind(what: str, interfaces: Sequence[Interface], kind: str | None) -> Interface:
    if kind is None:
        return interfaces[0]
    for interface in interfaces:
        if interface.kind == kind:
            return interface
    known = ", ".join(interface.kind for interface in interfaces)
    raise SparkError(
        f"the robot's description lists no {what} interface '{kind}': choose {known}, or add it under vendor.{what}"
    )


def _interfaces(entries: Sequence[Mapping[str, Any]]) -> tuple[Interface, ...]:
    if not entries:
        raise ValueError("vendor.arm and vendor.gripper need at least one interface each")
    return tuple(_interface(entry) for entry in entries)


def _interface(entry: Mapping[str, Any]) -> Interface:
    rpy = np.array(entry.get("rpy", [0.0, 0.0, 0.0]), dtype=np.float64)
    if rpy.shape != (3,) or not np.all(np.isfinite(rpy)):
        raise ValueError(f"'rpy' of interface {entry['kind']} must be 3 finite numbers")
    rpy.setflags(write=False)
    frame = entry.get("frame")
    return Interface(str(entry["kind"]), str(entry["topic"]), None if frame is None else str(frame), rpy)
