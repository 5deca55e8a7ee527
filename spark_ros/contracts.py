"""What the rooms of this package hand to each other.

Every array here has a fixed shape, unit and frame, written beside it. Nothing in this file imports
anything of ours, so every other module may import it. Units follow REP-103 (SI: metres, radians,
seconds), quaternions are ``x y z w`` as in ROS messages, and stamps are integer nanoseconds because a
float64 of seconds since 1970 has lost the nanoseconds.

Instances are frozen, their arrays are not copied: treat an array you were handed as read-only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

FloatArray = NDArray[np.float64]
TokenArray = NDArray[np.float32]
ImageArray = NDArray[np.uint8]

Numbers = list[float]
"""One for every joint, or one for every axis; for the arithmetic of single arms, see `control/joint_law.py`."""


class SparkError(Exception):
    """Something a person can put right; its text is one sentence: what was seen, what was expected, what to do.

    The command line prints the text without a traceback and exits with status 2; a node logs it and
    refuses the transition.
    """


@dataclass(frozen=True)
class Frame:
    """One camera image.

    Attributes:
        camera: Name of the camera, e.g. ``front``.
        image: (height, width, 3) uint8, RGB.
        stamp_ns: Capture time in nanoseconds.
    """

    camera: str
    image: ImageArray
    stamp_ns: int


@dataclass(frozen=True)
class JointState:
    """Joints by name, arm and fingers alike, as `/joint_states` carries them.

    Attributes:
        names: The joints, in the order of the arrays.
        position: (J,) rad, or m for prismatic joints.
        velocity: (J,) rad/s or m/s; zeros where the source does not report any.
        stamp_ns: Time of measurement in nanoseconds.
    """

    names: tuple[str, ...]
    position: FloatArray
    velocity: FloatArray
    stamp_ns: int

    def select(self, names: Sequence[str]) -> JointState:
        """The same state with exactly these joints in this order.

        Raises:
            SparkError: A joint is missing.
        """
        index = {name: i for i, name in enumerate(self.names)}
        missing = [name for name in names if name not in index]
        if missing:
            raise SparkError(
                f"joint state lacks {', '.join(missing)}: it carries {', '.join(self.names) or 'no joints'}; "
                "check the robot named in the configuration against the driver's joint names"
            )
        rows = [index[name] for name in names]
        return JointState(tuple(names), self.position[rows], self.velocity[rows], self.stamp_ns)


@dataclass(frozen=True)
class Pose:
    """A rigid transform, of the tool centre point in the robot's base frame unless said otherwise.

    Attributes:
        position: (3,) m.
        quaternion: (4,) unit quaternion, x y z w.
    """

    position: FloatArray
    quaternion: FloatArray


@dataclass(frozen=True)
class Observation:
    """What a policy sees at one instant: frames and joints aligned to `stamp_ns`."""

    stamp_ns: int
    frames: Mapping[str, Frame]
    joints: JointState


@dataclass(frozen=True)
class StateFeatures:
    """A camera frame after the encoder.

    Attributes:
        camera: Name of the camera the frame came from.
        tokens: (K, D) float32 state tokens.
        stamp_ns: The frame's capture time in nanoseconds, not the time of encoding.
    """

    camera: str
    tokens: TokenArray
    stamp_ns: int


class ActionKind(str, Enum):
    """What one step of an action chunk means on the wire between policy and gateway."""

    JOINT_POSITION = "joint_position"
    """(J,) absolute joint positions, rad."""
    EE_POSE = "ee_pose"
    """(7,) absolute tool pose in the base frame: x y z (m), qx qy qz qw."""
    JOINT_DELTA = "joint_delta"
    """(J,) change of the joint positions during the step, rad."""
    JOINT_VELOCITY = "joint_velocity"
    """(J,) joint velocities during the step, rad/s."""
    EE_DELTA = "ee_delta"
    """(6,) change of the tool pose during the step in the base frame's axes: translation (m), rotation vector (rad)."""
    EE_TWIST = "ee_twist"
    """(6,) tool velocity during the step in the base frame's axes: linear (m/s), angular (rad/s)."""

    @property
    def is_joint(self) -> bool:
        """True where a step has a number for each joint, False where it is about the tool."""
        return self in (ActionKind.JOINT_POSITION, ActionKind.JOINT_DELTA, ActionKind.JOINT_VELOCITY)

    @property
    def is_relative(self) -> bool:
        """True where a step goes on from the one before it, the first from what was commanded at the stamp."""
        return self not in (ActionKind.JOINT_POSITION, ActionKind.EE_POSE)

    @property
    def is_rate(self) -> bool:
        """True where a step is a change per second."""
        return self in (ActionKind.JOINT_VELOCITY, ActionKind.EE_TWIST)


@dataclass(frozen=True)
class ObservationSpace:
    """What a policy must be given, by name.

    Attributes:
        cameras: Camera names, in the order the policy was trained with.
        joint_names: Arm joints in the order of the proprioception vector.
    """

    cameras: tuple[str, ...]
    joint_names: tuple[str, ...]


@dataclass(frozen=True)
class ActionSpace:
    """What a policy gives back.

    Attributes:
        kind: Meaning of each step.
        horizon: Steps in a chunk, H.
        dt_s: Seconds between steps.
    """

    kind: ActionKind
    horizon: int
    dt_s: float


@dataclass(frozen=True)
class ActionChunk:
    """The next H setpoints; step i (from 0) is due at ``stamp_ns + (i + 1) * dt_s``.

    Attributes:
        kind: Meaning of the rows of `values`.
        values: (H, J), (H, 7) or (H, 6), see `ActionKind`.
        gripper_width: (H,) m between the fingers, absolute for every kind.
        joint_names: The joints of the columns; empty for kinds about the tool.
        dt_s: Seconds between steps.
        stamp_ns: Capture time of the (oldest) frame the chunk was computed from.
    """

    kind: ActionKind
    values: FloatArray
    gripper_width: FloatArray
    joint_names: tuple[str, ...]
    dt_s: float
    stamp_ns: int


@dataclass(frozen=True)
class TeleopInput:
    """What an operator asks for right now.

    Attributes:
        twist: (6,) tool velocity in the base frame: vx vy vz (m/s), wx wy wz (rad/s).
        gripper_width: Wanted width between the fingers in m.
        deadman: True only while the operator holds the enabling switch.
        imitate: False where the operator leaves the task on purpose (exploring, a deliberate
            disturbance); such steps are recorded but never used as policy targets.
        stamp_ns: Time of the input in nanoseconds.
        joints: (J,) rad, wanted joints of the arm in the robot's order, instead of the twist; else None.
    """

    twist: FloatArray
    gripper_width: float
    deadman: bool
    imitate: bool
    stamp_ns: int
    joints: FloatArray | None = None


@dataclass(frozen=True)
class Command:
    """One setpoint for the arm, already inside every limit.

    Attributes:
        joint_names: Arm joints.
        position: (J,) rad.
        velocity: (J,) rad/s, the velocity the limiter planned at this setpoint.
        gripper_width: m between the fingers.
        source_stamp_ns: Capture stamp of the chunk that this command is the first to follow, else None;
            what capture-to-command latency is measured from.
    """

    joint_names: tuple[str, ...]
    position: FloatArray
    velocity: FloatArray
    gripper_width: float
    source_stamp_ns: int | None
