"""Scripted operator for `lift`: looks at the present state only, so it knows what to do wherever it finds itself.

That is what makes it imitable by a network without memory: the same picture always gets the same action, no phase is
counted, and nothing waits for a timer. Where to go is one continuous function of the state:

- The tool heads for the cube along a funnel: high above it while it is off to the side or turned the wrong way, down
  to the grasp as both errors vanish. Speed is proportional to the distance, capped.
- The fingers close when the cube is between them, and open otherwise. Once both press on it, the tool goes up.
- Closed fingers with nothing in them raise the funnel: the tool backs off, opens and tries again.
"""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import FloatArray, TeleopInput
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import matrix_from_quaternion, rotvec_from_matrix
from spark_ros.sim.experts.base import ExpertWorld
from spark_ros.sim.experts.excursions import Excursions

LINEAR_GAIN = 4.0  # 1/s; the arm follows within 0.1 s, so this is well damped
LINEAR_SPEED = 0.25  # m/s
LIFT_SPEED = 0.20
ANGULAR_GAIN = 4.0
ANGULAR_SPEED = 1.5  # rad/s

HOVER = 0.09  # m above the cube's centre at the mouth of the funnel: finger tips 5 cm above its top
FUNNEL_END = 0.008  # m of misalignment where the funnel reaches the grasp,
FUNNEL_MOUTH = 0.035  # and where it begins
YAW_WEIGHT = 0.05  # m per rad: a cube turned by 0.3 rad still fits between the fingers, but asks for care
CLEARANCE = 0.045  # m above the cube's centre from which the finger tips pass over it

GRASP_SIDE = 0.010  # m from the cube's centre at which open fingers start to close,
GRASP_SIDE_CLOSING = 0.020  # and up to which closing ones go on: the first finger to touch pushes it to the middle
GRASP_ABOVE = 0.010
GRASP_YAW = 0.15  # rad
OPEN = 0.072  # m of width from which the fingers count as open
CLOSED = 0.055
LIFT_GOAL = 0.16  # m above the cube's resting place; success begins at 0.10

LARGEST_YAW = np.radians(75)  # from straight ahead; of four equal grasps one is always within 45 degrees


class LiftExpert:
    """See the module's text."""

    def __init__(self, world: ExpertWorld, seed: int, perturb: bool) -> None:
        """Watches `world`; with `perturb`, strays now and then as `seed` says."""
        self._world = world
        self._kinematics = Kinematics(world.spec)
        self._excursions = Excursions(seed) if perturb else None

    def act(self, stamp_ns: int) -> TeleopInput:
        """What to do now."""
        spec, state = self._world.spec, self._world.task_state()
        joints = self._world.joint_state(stamp_ns)
        tool = self._kinematics.forward(joints.select(spec.joint_names).position)
        width = spec.gripper.width(joints)
        cube = np.array(state["cube_position"])
        axes = matrix_from_quaternion(tool.quaternion)
        turn = rotvec_from_matrix(_grasp_axes(axes, state["cube_yaw"]) @ axes.T)

        if state["held"]:
            twist = np.concatenate([_lift_velocity(tool.position), _capped(ANGULAR_GAIN * turn, ANGULAR_SPEED)])
            return TeleopInput(twist, 0.0, True, True, stamp_ns)

        offset = cube - tool.position
        linear = _approach_velocity(offset, turn, width)
        twist = np.concatenate([linear, _capped(ANGULAR_GAIN * turn, ANGULAR_SPEED)])
        wanted_width = 0.0 if _is_between_fingers(offset, turn, width) else spec.gripper.max_width
        if self._excursions is not None:
            stray = self._excursions.at(stamp_ns, height=-offset[2])
            if stray is not None:
                stray_width = wanted_width if stray.gripper_width is None else stray.gripper_width
                return TeleopInput(stray.twist, stray_width, True, False, stamp_ns)
        return TeleopInput(twist, wanted_width, True, True, stamp_ns)


def _grasp_axes(axes: FloatArray, cube_yaw: float) -> FloatArray:
    """(3, 3) tool axes of the grasp, pointing straight down, that is the smallest turn away."""
    present = np.arctan2(axes[1, 0], axes[0, 0])
    candidates = cube_yaw + np.pi / 2 * np.arange(-2, 3)
    candidates = candidates[np.abs(candidates) <= LARGEST_YAW]
    yaw = candidates[np.argmin(np.abs(candidates - present))]
    c, s = np.cos(yaw), np.sin(yaw)
    return np.array([[c, s, 0.0], [s, -c, 0.0], [0.0, 0.0, -1.0]])


def _approach_velocity(offset: FloatArray, turn: FloatArray, width: float) -> FloatArray:
    """(3,) m/s along the funnel; `offset` leads from the tool to the cube's centre."""
    aside = float(np.hypot(offset[0], offset[1]))
    misalignment = aside + YAW_WEIGHT * float(np.linalg.norm(turn))
    height = HOVER * _rise(misalignment, FUNNEL_END, FUNNEL_MOUTH)
    if not _is_between_fingers(offset, turn, width):
        height = max(height, HOVER * _rise(OPEN - width, 0.0, OPEN - CLOSED))
    velocity = _capped(LINEAR_GAIN * (offset + np.array([0.0, 0.0, height])), LINEAR_SPEED)
    if aside > GRASP_SIDE_CLOSING:  # low beside the cube: up first, so as not to push it
        velocity[:2] *= _rise(-offset[2], 0.5 * CLEARANCE, CLEARANCE)
    return velocity


def _is_between_fingers(offset: FloatArray, turn: FloatArray, width: float) -> bool:
    side = GRASP_SIDE if width >= OPEN else GRASP_SIDE_CLOSING
    return bool(
        np.hypot(offset[0], offset[1]) < side
        and abs(offset[2]) < GRASP_ABOVE
        and (width < OPEN or np.linalg.norm(turn) < GRASP_YAW)
    )


def _lift_velocity(tool: FloatArray) -> FloatArray:
    """(3,) m/s straight up to the goal; the cube rests with its centre 2 cm above the table."""
    return np.array([0.0, 0.0, np.clip(LINEAR_GAIN * (LIFT_GOAL + 0.02 - tool[2]), -LIFT_SPEED, LIFT_SPEED)])


def _rise(value: float, start: float, end: float) -> float:
    """0 up to `start`, 1 from `end`, smooth between."""
    x = min(max((value - start) / (end - start), 0.0), 1.0)
    return x * x * (3 - 2 * x)


def _capped(vector: FloatArray, largest: float) -> FloatArray:
    """The vector, shortened to at most this length."""
    length = float(np.linalg.norm(vector))
    return vector * (largest / length) if length > largest else vector
