"""What a task adds to a world: objects, a random start, and the rule that says it is done."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import numpy as np

from spark_ros.contracts import FloatArray, Pose
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import multiply_quaternions, quaternion_from_rotvec
from spark_ros.sim.arms.base import ArmModel
from spark_ros.sim.engine import mujoco

START_OFFSET = np.array([0.05, 0.06, 0.05])  # m, either way, of the tool at the start of an episode
START_YAW = 0.2  # rad, either way
START_TILT = 0.05  # rad, either way, about each horizontal axis


@dataclass(frozen=True)
class Area:
    """A circle on the table, m, base frame, that the task needs for itself."""

    x: float
    y: float
    radius: float


class Task(ABC):
    """One task in one world; holds no state of the episode.

    Attributes:
        name: Registry name.
        instruction: What to tell an operator or a language-conditioned policy.
        max_duration_s: An episode without success is over after this time.
        success_hold_s: How long `is_done` must hold without a break.
        object_name: The geom, a box alone in its body, and the texture of the main object: what shifts vary.
    """

    name: str
    instruction: str
    max_duration_s: float
    success_hold_s: float
    object_name: str

    @abstractmethod
    def add_objects(self, arm: ArmModel) -> None:
        """Adds the task's objects to the model, before it is compiled."""

    @abstractmethod
    def bind(self, model: mujoco.MjModel, arm: ArmModel) -> None:
        """Looks the objects up in the compiled model."""

    @abstractmethod
    def place_objects(self, data: mujoco.MjData, rng: np.random.Generator) -> None:
        """Puts the objects at random poses; their sizes are those of the bound model now."""

    @abstractmethod
    def occupied(self, data: mujoco.MjData) -> list[Area]:
        """Where the objects lie that `place_objects` has just put there."""

    @abstractmethod
    def is_done(self, data: mujoco.MjData) -> bool:
        """Whether the goal is reached at this instant."""

    @abstractmethod
    def state(self, data: mujoco.MjData) -> dict[str, Any]:
        """What only a simulator knows, JSON-able, for the expert and for reports; lengths in m, base frame."""

    def start_joints(self, kinematics: Kinematics, rng: np.random.Generator) -> FloatArray:
        """(J,) rad: the robot's home with the tool moved and turned a little at random."""
        home = kinematics.forward(kinematics.spec.home)
        position = home.position + rng.uniform(-START_OFFSET, START_OFFSET)
        turn = rng.uniform([-START_TILT, -START_TILT, -START_YAW], [START_TILT, START_TILT, START_YAW])
        quaternion = multiply_quaternions(quaternion_from_rotvec(turn), home.quaternion)
        return kinematics.solve(Pose(position, quaternion), kinematics.spec.home)[0]
