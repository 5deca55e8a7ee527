"""Units of what a policy reads and writes: SI, and the same for every bundle, see `data.codec`.

A manifest states them all the same, so that a reader need not know this code, and a bundle made elsewhere in degrees or
millimetres is refused instead of run.
"""

from __future__ import annotations

from collections.abc import Sequence

from spark_ros.contracts import ActionKind

_OF_NAME = {
    "gripper_width": "m",
    **dict.fromkeys(("ee_x", "ee_y", "ee_z", "dx", "dy", "dz"), "m"),
    **dict.fromkeys(("rx", "ry", "rz"), "rad"),
    **dict.fromkeys(("vx", "vy", "vz"), "m/s"),
    **dict.fromkeys(("wx", "wy", "wz"), "rad/s"),
    **{f"ee_r{i}": "1" for i in range(6)},  # numbers of a rotation matrix
}


def proprioception_units(names: Sequence[str], joint_names: Sequence[str]) -> tuple[str, ...]:
    """The unit of each number of the proprioception vector; ``?`` where the name means nothing here."""
    return tuple("rad" if name in joint_names else _OF_NAME.get(name, "?") for name in names)


def action_units(kind: ActionKind, names: Sequence[str], joint_names: Sequence[str]) -> tuple[str, ...]:
    """The unit of each number of a step of actions; ``?`` where the name means nothing here."""
    joint = "rad/s" if kind.is_rate else "rad"
    return tuple(joint if name in joint_names else _OF_NAME.get(name, "?") for name in names)
