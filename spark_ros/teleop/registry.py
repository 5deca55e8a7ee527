"""Operators' devices by name: a new one is one file and one line here."""

from __future__ import annotations

from importlib import import_module

from spark_ros.contracts import SparkError
from spark_ros.teleop.base import Device, Settings

# name -> module and class; imported when asked for, since some need libraries that not every robot has.
DEVICES = {
    "gamepad": ("gamepad", "Gamepad"),
    "spacemouse": ("spacemouse", "SpaceMouse"),
    "leader": ("leader", "LeaderArm"),
    "pose": ("tracked_pose", "TrackedPose"),
    "twist": ("twist", "TwistTopic"),
}


def make_device(name: str, settings: Settings) -> Device:
    """The device of this name, opened.

    Raises:
        SparkError: There is none of that name, or none is connected.
    """
    if name not in DEVICES:
        raise SparkError(
            f"there is no device {name!r}: choose one of {', '.join(DEVICES)}; for the keyboard run teleop_keyboard"
        )
    module, kind = DEVICES[name]
    device: Device = getattr(import_module(f"spark_ros.teleop.{module}"), kind)(settings)
    return device
