"""A pilot that sees the true state of the world: succeeds without any training."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from spark_ros.contracts import ActionChunk, ActionKind, Frame, JointState, StateFeatures
from spark_ros.evaluation.pilots import Pilot
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import multiply_quaternions, quaternion_from_rotvec
from spark_ros.sim.registry import make_expert
from spark_ros.sim.world import World

HORIZON, DT_S = 5, 0.1


class KnowingPilot:
    """Extrapolates what the scripted expert would do now."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._kinematics = Kinematics(world.spec)

    def act(self, features: Mapping[str, StateFeatures], joints: JointState) -> ActionChunk:
        teleop = make_expert(self._world.task.name, self._world).act(joints.stamp_ns)
        tool = self._kinematics.forward(joints.select(self._world.spec.joint_names).position)
        times = (1 + np.arange(HORIZON)) * DT_S
        ahead = 1 - np.exp(-4 * times)  # the expert slows down as it comes near
        position = tool.position + ahead[:, None] * teleop.twist[:3] / 4
        turned = [
            multiply_quaternions(quaternion_from_rotvec(a * teleop.twist[3:] / 4), tool.quaternion) for a in ahead
        ]
        width = np.full(HORIZON, teleop.gripper_width)
        return ActionChunk(
            ActionKind.EE_POSE, np.hstack([position, np.array(turned)]), width, (), DT_S, joints.stamp_ns
        )


def blind_features(frame: Frame) -> StateFeatures:
    return StateFeatures(frame.camera, np.zeros((1, 1), np.float32), frame.stamp_ns)


def knowing_pilot(world: World) -> Pilot:
    return Pilot(
        "knowing-1",
        {"policy": "scripted"},
        world.spec,
        world.camera_names,
        world.task.instruction,
        10.0,
        blind_features,
        KnowingPilot(world).act,
    )
