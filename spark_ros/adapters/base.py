"""What an adapter makes of a command: descriptions of messages, without ROS, which `nodes/outgoing.py` turns into them.

Drivers differ in what they take: joint positions without names, joint or tool velocities, short trajectories, poses.
The gateway decides in joint setpoints only, all of them within every limit; an adapter translates one at a time.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from spark_ros.contracts import Command, FloatArray, Pose
from spark_ros.robots.spec import RobotSpec


@dataclass(frozen=True)
class Floats:
    """`std_msgs/Float64MultiArray`: bare numbers, whose order is an agreement with the driver."""

    values: tuple[float, ...]


@dataclass(frozen=True)
class TrajectoryPoint:
    """Where joints shall be and how fast.

    Attributes:
        position: (J,) rad.
        velocity: (J,) rad/s.
        after_s: Seconds after the message is received.
    """

    position: FloatArray
    velocity: FloatArray
    after_s: float


@dataclass(frozen=True)
class Trajectory:
    """`trajectory_msgs/JointTrajectory` with stamp zero, which means: begin at once."""

    joint_names: tuple[str, ...]
    points: tuple[TrajectoryPoint, ...]


@dataclass(frozen=True)
class StampedTwist:
    """`geometry_msgs/TwistStamped`.

    Attributes:
        frame: The frame of `vector`'s axes.
        stamp_ns: ns.
        vector: (6,) velocity of the tool centre point: vx vy vz (m/s), wx wy wz (rad/s).
    """

    frame: str
    stamp_ns: int
    vector: FloatArray


@dataclass(frozen=True)
class StampedPose:
    """`geometry_msgs/PoseStamped`: where the tool shall be, in `frame`."""

    frame: str
    stamp_ns: int
    pose: Pose


@dataclass(frozen=True)
class Opening:
    """How far a gripper shall be open that is told by ROS actions, whose goals `nodes/gripper_actions.py` makes.

    Attributes:
        width: m.
    """

    width: float


Outgoing = Floats | Trajectory | StampedTwist | StampedPose | Opening


class Adapter(Protocol):
    """One command interface of one driver."""

    @property
    def topic(self) -> str:
        """Where the driver listens."""

    @property
    def form(self) -> type[Outgoing]:
        """What it takes."""

    def convert(self, command: Command, measured: FloatArray | None, stamp_ns: int) -> Outgoing:
        """The command in the driver's words.

        Args:
            command: Its joints may come in any order.
            measured: (J,) rad, where the arm was last seen, in the robot's joint order; None where that is unknown.
            stamp_ns: Now, on the clock of the stamps.
        """

    def farewell(self, stamp_ns: int) -> Outgoing | None:
        """What must be said before falling silent; None where the driver holds still by itself."""


def in_robot_order(command: Command, spec: RobotSpec) -> tuple[FloatArray, FloatArray]:
    """The command's position (J,) rad and velocity (J,) rad/s in the order of the robot's joints."""
    if tuple(command.joint_names) == spec.joint_names:
        return command.position, command.velocity
    index = {name: i for i, name in enumerate(command.joint_names)}
    rows = np.array([index[name] for name in spec.joint_names])
    return command.position[rows], command.velocity[rows]
