"""Scripted operator for `lift`: looks at the present state only, so it knows what to do wherever it finds itself.

It reaches for the cube, see `reaching`; once both fingers press on it, the tool goes up.
"""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import FloatArray, TeleopInput
from spark_ros.robots.kinematics import Kinematics
from spark_ros.sim.experts import reaching
from spark_ros.sim.experts.base import ExpertWorld
from spark_ros.sim.experts.excursions import Excursions
from spark_ros.sim.experts.reaching import Hand

LIFT_SPEED = 0.20  # m/s
LIFT_GOAL = 0.16  # m above the cube's resting place; success begins at 0.10


class LiftExpert:
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
        turn = hand.turn_to(reaching.grasp_axes(hand.axes, state["cube_yaw"]))
        angular = reaching.angular_velocity(turn)
        if state["held"]:
            return TeleopInput(np.concatenate([_lift_velocity(hand.position), angular]), 0.0, True, True, stamp_ns)

        offset = np.array(state["cube_position"]) - hand.position
        twist = np.concatenate([reaching.approach_velocity(offset, turn, hand.width), angular])
        closing = reaching.is_between_fingers(offset, turn, hand.width)
        wanted_width = 0.0 if closing else self._world.spec.gripper.max_width
        if self._excursions is not None:
            stray = self._excursions.at(stamp_ns, height=-offset[2])
            if stray is not None:
                stray_width = wanted_width if stray.gripper_width is None else stray.gripper_width
                return TeleopInput(stray.twist, stray_width, True, False, stamp_ns)
        return TeleopInput(twist, wanted_width, True, True, stamp_ns)


def _lift_velocity(tool: FloatArray) -> FloatArray:
    """(3,) m/s straight up to the goal; the cube rests with its centre 2 cm above the table."""
    return np.array([0.0, 0.0, np.clip(reaching.LINEAR_GAIN * (LIFT_GOAL + 0.02 - tool[2]), -LIFT_SPEED, LIFT_SPEED)])
