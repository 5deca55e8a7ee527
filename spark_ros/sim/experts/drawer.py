"""Scripted operator for `drawer`: looks at the present state only, so it knows what to do wherever it finds itself.

It reaches for the handle, see `reaching`; once both fingers press on it, the tool goes the way of the drawer, and to
the side only as far as it keeps to the handle.
"""

from __future__ import annotations

import numpy as np

from spark_ros.contracts import FloatArray, TeleopInput
from spark_ros.robots.kinematics import Kinematics
from spark_ros.sim.experts import reaching
from spark_ros.sim.experts.base import ExpertWorld
from spark_ros.sim.experts.excursions import Excursions
from spark_ros.sim.experts.reaching import Hand

PULL_SPEED = 0.12  # m/s
PULL_GOAL = 0.112  # m of opening; success begins at 0.09, the drawer's way ends at 0.12


class DrawerExpert:
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
        turn = hand.turn_to(reaching.axes_down(state["cabinet_yaw"]))
        angular = reaching.angular_velocity(turn)
        offset = np.array(state["handle_position"]) - hand.position
        if state["held"]:
            linear = _pull_velocity(offset, state["cabinet_yaw"], state["opening"])
            return TeleopInput(np.concatenate([linear, angular]), 0.0, True, True, stamp_ns)

        twist = np.concatenate([reaching.approach_velocity(offset, turn, hand.width), angular])
        closing = reaching.is_between_fingers(offset, turn, hand.width)
        wanted_width = 0.0 if closing else self._world.spec.gripper.max_width
        if self._excursions is not None:
            stray = self._excursions.at(stamp_ns, height=-offset[2])
            if stray is not None:
                stray_width = wanted_width if stray.gripper_width is None else stray.gripper_width
                return TeleopInput(stray.twist, stray_width, True, False, stamp_ns)
        return TeleopInput(twist, wanted_width, True, True, stamp_ns)


def _pull_velocity(offset: FloatArray, yaw: float, opening: float) -> FloatArray:
    """(3,) m/s; `offset` leads from the tool to the handle's middle."""
    way = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
    across = offset - way * float(way @ offset)
    speed = np.clip(reaching.LINEAR_GAIN * (PULL_GOAL - opening), -PULL_SPEED, PULL_SPEED)
    return reaching.capped(reaching.LINEAR_GAIN * across + speed * way, reaching.LINEAR_SPEED)
