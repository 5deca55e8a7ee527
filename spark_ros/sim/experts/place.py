"""Scripted operator for `place`: looks at the present state only, so it knows what to do wherever it finds itself.

- The cube is over the bin and nobody holds it: open the hand and go up, straight.
- Both fingers press on the cube: carry it, along a funnel over the bin, high as long as the bin is off to the side,
  down to just above the walls as it comes under the cube; there the hand opens.
- Otherwise reach for the cube, see `reaching`.
"""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import FloatArray, TeleopInput
from spark_ros.robots.kinematics import Kinematics
from spark_ros.sim.experts import reaching
from spark_ros.sim.experts.base import ExpertWorld
from spark_ros.sim.experts.excursions import Excursions
from spark_ros.sim.experts.reaching import Hand

CARRY_SPEED = 0.22  # m/s
CARRY_HEIGHT = 0.13  # m of the tool above the table at the mouth of the funnel: the cube is 7 cm above the walls
RELEASE_HEIGHT = 0.065  # the finger tips, which open wider than the bin, stay 2 cm above the walls
FUNNEL_END, FUNNEL_MOUTH = 0.012, 0.055  # m to the side
PASSING = (0.070, 0.105)  # m of height between which the way to the side opens: first up, then over the wall
RELEASE_SIDE = 0.020  # m
RELEASE_ABOVE = 0.012
OVER_BIN = 0.045  # m from the bin's middle, either way
LEAVE_HEIGHT = 0.17  # success begins at 0.10


class PlaceExpert:
    """See the module's text."""

    def __init__(self, world: ExpertWorld, seed: int, perturb: bool) -> None:
        """Watches `world`; with `perturb`, strays now and then as `seed` says."""
        self._world = world
        self._kinematics = Kinematics(world.spec)
        self._excursions = Excursions(seed) if perturb else None

    def act(self, stamp_ns: int) -> TeleopInput:
        """What to do now."""
        state = self._world.task_state()
        hand = Hand.of(self._world, self._kinematics, stamp_ns)
        cube, target = np.array(state["cube_position"]), np.array(state["bin_position"])
        open_width = self._world.spec.gripper.max_width
        if state["held"]:
            angular = reaching.angular_velocity(hand.turn_to(reaching.axes_down(0.0)))
            linear, release = _carry(hand.position, target - cube)
            return self._input(stamp_ns, linear, angular, open_width if release else 0.0, hand.position[2], held=True)
        if _is_over(target, state["bin_yaw"], cube):
            up = np.clip(reaching.LINEAR_GAIN * (LEAVE_HEIGHT - hand.position[2]), 0.0, reaching.LINEAR_SPEED)
            return TeleopInput(np.array([0.0, 0.0, up, 0.0, 0.0, 0.0]), open_width, True, True, stamp_ns)
        turn = hand.turn_to(reaching.grasp_axes(hand.axes, state["cube_yaw"]))
        offset = cube - hand.position
        linear = reaching.approach_velocity(offset, turn, hand.width)
        width = 0.0 if reaching.is_between_fingers(offset, turn, hand.width) else open_width
        return self._input(stamp_ns, linear, reaching.angular_velocity(turn), width, -offset[2], held=False)

    def _input(
        self, stamp_ns: int, linear: FloatArray, angular: FloatArray, width: float, height: float, held: bool
    ) -> TeleopInput:
        """What is right, or a deliberate mistake; a cube in the hand is never dropped on purpose."""
        stray = None if self._excursions is None else self._excursions.at(stamp_ns, height)
        if stray is None:
            return TeleopInput(np.concatenate([linear, angular]), width, True, True, stamp_ns)
        stray_width = width if held or stray.gripper_width is None else stray.gripper_width
        return TeleopInput(stray.twist, stray_width, True, False, stamp_ns)


def _carry(tool: FloatArray, way: FloatArray) -> tuple[FloatArray, bool]:
    """(3,) m/s towards the bin, and whether to let go; `way` (3,) leads from the cube to the bin's middle."""
    aside = float(np.hypot(way[0], way[1]))
    funnel = reaching.rise(aside, FUNNEL_END, FUNNEL_MOUTH)
    height = RELEASE_HEIGHT + (CARRY_HEIGHT - RELEASE_HEIGHT) * funnel
    velocity = reaching.capped(reaching.LINEAR_GAIN * np.array([way[0], way[1], height - tool[2]]), CARRY_SPEED)
    velocity[:2] *= max(reaching.rise(tool[2], *PASSING), 1.0 - funnel)
    return velocity, aside < RELEASE_SIDE and tool[2] < RELEASE_HEIGHT + RELEASE_ABOVE


def _is_over(target: FloatArray, yaw: float, cube: FloatArray) -> bool:
    c, s = np.cos(yaw), np.sin(yaw)
    x, y = cube[:2] - target[:2]
    return bool(max(abs(c * x + s * y), abs(c * y - s * x)) < OVER_BIN)
