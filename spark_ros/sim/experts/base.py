"""What an expert needs to see, and what it does with it."""

from __future__ import annotations

from typing import Any, Protocol

from spark_ros.contracts import JointState, TeleopInput
from spark_ros.robots.spec import RobotSpec

GO_ON_S = 1.0  # recorded after success: how to go on is worth imitating too, and a chunk looks 1 s ahead


class ExpertWorld(Protocol):
    """The state an expert acts on: a `World`, or the same facts received over topics."""

    spec: RobotSpec

    def joint_state(self, stamp_ns: int) -> JointState:
        """Arm and finger joints now."""

    def task_state(self) -> dict[str, Any]:
        """The task's privileged state now, see `tasks.base.Task.state`."""


class Expert(Protocol):
    """A scripted operator."""

    def act(self, stamp_ns: int) -> TeleopInput:
        """What the operator asks for at this time, called at about 20 Hz."""
