"""What a world needs to know about a simulated arm."""

from __future__ import annotations

from dataclasses import dataclass

from spark_ros.sim.engine import mujoco


@dataclass(frozen=True)
class ArmModel:
    """An arm as an editable MuJoCo model whose base frame is the world frame.

    Joints carry the names of the arm's `RobotSpec`; every arm and finger joint has a position actuator of the same
    name whose control is that joint's position (rad, or m for a finger).

    Attributes:
        mjcf: The model; the world adds the scene to it and compiles it.
        hand_body: The body that a wrist camera is mounted on.
        tcp_in_hand: (3,) tool centre point in the frame of `hand_body`, m; axes parallel to the tool frame's.
        finger_bodies: The two fingers, which hold an object when both press on it.
    """

    mjcf: mujoco.MjSpec
    hand_body: str
    tcp_in_hand: tuple[float, float, float]
    finger_bodies: tuple[str, str]
