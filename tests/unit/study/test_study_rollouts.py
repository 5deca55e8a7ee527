from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from benchmarks.study.fr3_rollouts import Episode, Worlds, roll_out
from spark_ros.contracts import ActionChunk, ActionKind, Frame, ImageArray, JointState, StateFeatures
from spark_ros.evaluation.cell import Cell
from spark_ros.evaluation.lockstep import run_episode
from spark_ros.evaluation.pilots import Pilot
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot
from spark_ros.sim.world import World

CAMERAS = ("front", "wrist")
SEEDS = (1_000_000_001, 1_000_000_002, 1_000_000_003)


def world(task: str, shift: str) -> World:
    made = World(task, "fr3", CAMERAS, image_size=32, shift=shift)
    made.task.max_duration_s = 1.0
    return made


class Recorder:
    """Goes where the pictures are bright, and writes down everything that it is asked."""

    def __init__(self) -> None:
        self.asked: list[np.ndarray] = []
        self._kinematics = Kinematics(load_robot("fr3"))

    def act(self, features: Mapping[str, StateFeatures], joints: JointState) -> ActionChunk:
        tokens = np.concatenate([features[camera].tokens.ravel() for camera in CAMERAS])
        arm = joints.select(self._kinematics.spec.joint_names).position
        self.asked.append(np.concatenate([tokens, arm]))
        pose = self._kinematics.forward(arm)
        position = pose.position + np.outer(1 + np.arange(5), 0.02 * (tokens[:3] - tokens[:3].mean()))
        poses = np.hstack([position, np.tile(pose.quaternion, (5, 1))])
        return ActionChunk(ActionKind.EE_POSE, poses, np.full(5, 0.05), (), 0.1, joints.stamp_ns)


def colours(images: Sequence[ImageArray]) -> np.ndarray:
    return np.stack([image.mean(axis=(0, 1), dtype=np.float64) / 255 for image in images])[:, None].astype(np.float32)


def test_episodes_side_by_side_are_those_of_one_after_the_other() -> None:
    together = Recorder()
    worlds = Worlds(CAMERAS, world)
    episodes = [Episode(shift, seed) for seed in SEEDS for shift in ("nominal", "table")]
    success = roll_out(worlds, "lift", episodes, together.act, colours, 10.0, beside=3)
    worlds.close()
    assert success == [False] * 6
    alone = Recorder()
    for shift in ("nominal", "table"):
        cell = Cell(world("lift", shift))

        def encode(frame: Frame) -> StateFeatures:
            return StateFeatures(frame.camera, colours([frame.image])[0], frame.stamp_ns)

        pilot = Pilot("p", {}, cell.world.spec, CAMERAS, "lift", 10.0, encode, alone.act)
        assert not any(run_episode(cell, pilot, seed).success for seed in SEEDS)
        cell.world.close()
    assert len(together.asked) == len(alone.asked) >= 6 * 8
    # Stamps go on over a reset, so interpolated joints differ in their last bits.
    apart = np.abs(np.stack(together.asked)[:, None] - np.stack(alone.asked)).max(axis=2)
    assert apart.min(axis=0).max() < 1e-5 and apart.min(axis=1).max() < 1e-5
