"""Suite fr3-shift: FR3 tasks learnt on the nominal scene, tested under light, textures, objects and cameras unseen."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.study.arms import IMAGE_SIZE, Arm, lighten, make_encoder
from benchmarks.study.cells import Cell
from benchmarks.study.fr3_data import CAMERAS, DT_S, HORIZON, ROBOT, Fr3Data, no_tokens
from benchmarks.study.fr3_rollouts import Episode, Worlds, roll_out
from benchmarks.study.imitation import ImitationOptions, imitate
from benchmarks.study.policies import PolicyStore
from benchmarks.study.suite import Suite
from spark_ros.contracts import ActionChunk, ActionKind, ImageArray, JointState, StateFeatures
from spark_ros.data.codec import ActionCodec, Proprioception
from spark_ros.data.preprocess import ImagePreprocess
from spark_ros.encoders.base import Encoder
from spark_ros.evaluation.seeds import evaluation_seeds
from spark_ros.policies.base import Policy
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot
from spark_ros.sim.registry import TASKS
from spark_ros.sim.shifts import SHIFTS
from spark_ros.sim.world import World
from spark_ros.training.features import encode

VALIDATION_DEMOS = 5  # beside those to learn from
_MOTION = (0, 1, 2)  # dx, dy, dz of the action


class Fr3Shift(Suite):
    """See the module's text; one per process.

    Args:
        work: The study's folder.
        quick: One task, one demonstration held out, two shifts.
    """

    name = "fr3-shift"
    protocol = 1
    demos: tuple[int, ...] = (50,)
    arms = (
        *(
            "vanilla-9",
            "spark@fr3",
            "random",
            "proprio",
            "vanilla-12",
            "dyn@fr3",
            "kp@fr3",
            "crop@fr3",
            "vanilla-9-mean",
        ),
        *("spark@metaworld5", "lora-dyn@fr3", "vanilla-12-mean", "vanilla-9-patch", "spark-patch@fr3"),
    )
    episodes = 10
    batch = 5

    def __init__(self, work: Path, quick: bool = False) -> None:
        self._work = work
        self._held_out = 1 if quick else VALIDATION_DEMOS
        self.tasks = tuple(TASKS)[:1] if quick else tuple(TASKS)
        self.shifts = tuple(SHIFTS)[:2] if quick else tuple(SHIFTS)
        self._policies = PolicyStore(work / "policies", quick)
        self._worlds = Worlds(CAMERAS, lambda task, shift: World(task, ROBOT, CAMERAS, shift=shift))
        self._blind = Worlds(CAMERAS, _blind_world)

    def prepared(self, task: str, demos: int) -> bool:
        """See `Suite.prepared`."""
        return Fr3Data(self._work, task).ready(demos + self._held_out)

    def prepare(self, task: str, demos: int) -> None:
        """See `Suite.prepare`; the nominal scene's, recorded in process."""
        Fr3Data(self._work, task).prepare(demos + self._held_out)

    def filmed(self, task: str) -> bool:
        """See `Suite.filmed`."""
        return self.prepared(task, max(self.demos))

    def film(self, task: str) -> None:
        """See `Suite.film`: the demonstrations are the video, from both cameras."""
        self.prepare(task, max(self.demos))

    def video_folder(self, task: str) -> Path:
        """See `Suite.video_folder`."""
        return Fr3Data(self._work, task).demos

    def run(self, cell: Cell, arm: Arm, shifts: Sequence[str]) -> tuple[dict[str, list[bool]], dict[str, Any]]:
        """See `Suite.run`."""
        begin = time.monotonic()
        encoder = make_encoder(arm, self._work)
        policy, extra = self._policies.get(cell, arm, encoder, lambda options: self._train(cell, encoder, options))
        trained_s = time.monotonic() - begin
        seeds = evaluation_seeds(cell.first, cell.episodes)
        episodes = [Episode(shift, seed) for seed in seeds for shift in shifts]
        robot = load_robot(ROBOT)
        driver = _Driver(policy, Kinematics(robot))
        worlds = self._blind if encoder is None else self._worlds
        look = _Eyes(encoder if encoder is None else lighten(encoder))
        success = roll_out(worlds, cell.task, episodes, driver.act, look.encode, 1.0 / DT_S)
        found: dict[str, list[bool]] = {shift: [] for shift in shifts}
        for episode, value in zip(episodes, success, strict=True):
            found[episode.shift].append(value)
        return found, {**extra, "training_s": round(trained_s, 1)}

    def _train(self, cell: Cell, encoder: Encoder | None, options: ImitationOptions) -> Any:
        examples = Fr3Data(self._work, cell.task).examples(cell.demos + self._held_out, encoder)
        return imitate(
            examples.of(0, cell.demos),
            examples.of(cell.demos, cell.demos + self._held_out),
            CAMERAS,
            0 if encoder is None else encoder.grid,
            _MOTION,
            options,
            cell.seed,
        )


class _Eyes:
    """Pictures of any camera to tokens."""

    def __init__(self, encoder: Encoder | None) -> None:
        self._encoder = encoder
        self._preprocess = ImagePreprocess(IMAGE_SIZE)

    def encode(self, images: Sequence[ImageArray]) -> np.ndarray:
        """(N, K, D) float32."""
        if self._encoder is None:
            return no_tokens(len(images), 1)[:, 0].astype(np.float32)
        return encode(self._encoder, np.stack([self._preprocess(image) for image in images])).astype(np.float32)


class _Driver:
    """Tokens and joints to a chunk, as the policy runtime does it."""

    def __init__(self, policy: Policy, kinematics: Kinematics) -> None:
        self._policy = policy
        self._proprioception = Proprioception(kinematics, kinematics.spec.gripper)
        self._codec = ActionCodec(ActionKind.EE_POSE, HORIZON, DT_S, kinematics)

    def act(self, features: Mapping[str, StateFeatures], joints: JointState) -> ActionChunk:
        """See `evaluation.pilots.Pilot.act`."""
        tokens = torch.stack([torch.from_numpy(features[name].tokens) for name in CAMERAS])[None]
        proprioception = torch.from_numpy(self._proprioception.encode(joints))[None]
        with torch.inference_mode():
            actions = self._policy(tokens, proprioception)[0].numpy()
        return self._codec.decode(actions, joints, min(item.stamp_ns for item in features.values()))


def _blind_world(task: str, shift: str) -> World:
    """A world whose cameras cost nothing, for the policy that does not look."""

    class Blind(World):
        def render(self, camera: str) -> ImageArray:
            return np.zeros((self.image_size, self.image_size, 3), np.uint8)

    return Blind(task, ROBOT, CAMERAS, render=False, shift=shift)
