"""Reaching for a thing from above and closing the fingers on it, as one continuous function of the present state.

That is what makes an expert imitable by a network without memory: the same picture always gets the same action, no
phase is counted, and nothing waits for a timer.

- The tool heads for the thing along a funnel: high above it while it is off to the side or turned the wrong way, down
  to the grasp as both errors vanish. Speed is proportional to the distance, capped.
- The fingers close when the thing is between them, and open otherwise.
- Closed fingers with nothing in them raise the funnel: the tool backs off, opens and tries again.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_ros.contracts import FloatArray
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import matrix_from_quaternion, rotvec_from_matrix
from spark_ros.sim.experts.base import ExpertWorld

LINEAR_GAIN = 4.0  # 1/s; the arm follows within 0.1 s, so this is well damped
LINEAR_SPEED = 0.25  # m/s
ANGULAR_GAIN = 4.0
ANGULAR_SPEED = 1.5  # rad/s

HOVER = 0.09  # m above the thing's centre at the mouth of the funnel: finger tips 5 cm above its top
FUNNEL_END = 0.008  # m of misalignment where the funnel reaches the grasp,
FUNNEL_MOUTH = 0.035  # and where it begins
YAW_WEIGHT = 0.05  # m per rad: a cube turned by 0.3 rad still fits between the fingers, but asks for care
CLEARANCE = 0.045  # m above the thing's centre from which the finger tips pass over it

GRASP_SIDE = 0.010  # m from the thing's centre at which open fingers start to close,
GRASP_SIDE_CLOSING = 0.020  # and up to which closing ones go on: the first finger to touch pushes it to the middle
GRASP_ABOVE = 0.010
GRASP_YAW = 0.15  # rad
OPEN = 0.072  # m of width from which the fingers count as open
CLOSED = 0.055

LARGEST_YAW = np.radians(75)  # from straight ahead; of four equal grasps one is always within 45 degrees


@dataclass(frozen=True)
class Hand:
    """The hand as its joints say.

    Attributes:
        position: (3,) m of the tool centre point, base frame.
        axes: (3, 3) of the tool as columns, base frame.
        width: m between the fingers.
    """

    position: FloatArray
    axes: FloatArray
    width: float

    @classmethod
    def of(cls, world: ExpertWorld, kinematics: Kinematics, stamp_ns: int) -> Hand:
        """The hand of a world now."""
        joints = world.joint_state(stamp_ns)
        tool = kinematics.forward(joints.select(world.spec.joint_names).position)
        return cls(tool.position, matrix_from_quaternion(tool.quaternion), world.spec.gripper.width(joints))

    def turn_to(self, axes: FloatArray) -> FloatArray:
        """(3,) rad, rotation vector in the base frame, that brings the tool to these axes."""
        return rotvec_from_matrix(axes @ self.axes.T)


def grasp_axes(axes: FloatArray, cube_yaw: float) -> FloatArray:
    """(3, 3) tool axes of the grasp, pointing straight down, that is the smallest turn away from `axes`."""
    present = np.arctan2(axes[1, 0], axes[0, 0])
    candidates = cube_yaw + np.pi / 2 * np.arange(-2, 3)
    candidates = candidates[np.abs(candidates) <= LARGEST_YAW]
    return axes_down(float(candidates[np.argmin(np.abs(candidates - present))]))


def axes_down(yaw: float) -> FloatArray:
    """(3, 3) axes of a tool that points straight down, its x axis turned by `yaw` from the base's, rad."""
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, s, 0.0], [s, -c, 0.0], [0.0, 0.0, -1.0]])


def approach_velocity(offset: FloatArray, turn: FloatArray, width: float) -> FloatArray:
    """(3,) m/s along the funnel; `offset` leads from the tool to the thing's centre, `turn` to the grasp's axes."""
    aside = float(np.hypot(offset[0], offset[1]))
    misalignment = aside + YAW_WEIGHT * float(np.linalg.norm(turn))
    height = HOVER * rise(misalignment, FUNNEL_END, FUNNEL_MOUTH)
    if not is_between_fingers(offset, turn, width):
        height = max(height, HOVER * rise(OPEN - width, 0.0, OPEN - CLOSED))
    velocity = capped(LINEAR_GAIN * (offset + np.array([0.0, 0.0, height])), LINEAR_SPEED)
    if aside > GRASP_SIDE_CLOSING:  # low beside the cube: up first, so as not to push it
        velocity[:2] *= rise(-offset[2], 0.5 * CLEARANCE, CLEARANCE)
    return velocity


def is_between_fingers(offset: FloatArray, turn: FloatArray, width: float) -> bool:
    """Whether the fingers are to be closed."""
    side = GRASP_SIDE if width >= OPEN else GRASP_SIDE_CLOSING
    return bool(
        np.hypot(offset[0], offset[1]) < side
        and abs(offset[2]) < GRASP_ABOVE
        and (width < OPEN or np.linalg.norm(turn) < GRASP_YAW)
    )


def rise(value: float, start: float, end: float) -> float:
    """0 up to `start`, 1 from `end`, smooth between."""
    x = min(max((value - start) / (end - start), 0.0), 1.0)
    return x * x * (3 - 2 * x)


def capped(vector: FloatArray, largest: float) -> FloatArray:
    """The vector, shortened to at most this length."""
    length = float(np.linalg.norm(vector))
    return vector * (largest / length) if length > largest else vector


def angular_velocity(turn: FloatArray) -> FloatArray:
    """(3,) rad/s that brings the tool round."""
    return capped(ANGULAR_GAIN * turn, ANGULAR_SPEED)
