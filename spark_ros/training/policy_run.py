"""A trained policy's run, and how the rest of the stack picks it up.

Beside what every run has, see `run_directory`: statistics.json of proprioception and actions, for people and for drift
checks, and the checkpoints ``last`` and ``best``.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spark_ros.contracts import SparkError
from spark_ros.policies.base import Policy, PolicyRecipe
from spark_ros.policies.registry import build_policy
from spark_ros.training.checkpoint import load_average
from spark_ros.training.config import ActionOptions
from spark_ros.training.run_directory import RunDirectory


@dataclass(frozen=True)
class CameraInput:
    """How a camera's image becomes the encoder's square, see `data.preprocess.ImagePreprocess`."""

    size: int
    crop: str


@dataclass(frozen=True)
class EpisodeUse:
    """A demonstration and what it was used for: ``train`` or ``validation``."""

    file: str
    sha256: str
    split: str


@dataclass(frozen=True)
class RunInfo:
    """Everything about a trained policy that its weights do not say.

    Attributes:
        robot: Name or file for `robots.spec.load_robot`.
        joint_names: Arm joints in the order of proprioception and joint actions.
        cameras: By name, in the order of the policy's token input.
        encoder: Complete recipe for `encoders.registry.build_encoder`.
        policy: Recipe for `policies.registry.build_policy`.
        action: Kind, horizon and step time.
        proprioception_names: What each of the P inputs is.
        action_names: What each of the A outputs of a step is.
        task: The demonstrations' task text.
        episodes: The demonstrations.
    """

    robot: str
    joint_names: tuple[str, ...]
    cameras: dict[str, CameraInput]
    encoder: dict[str, Any]
    policy: PolicyRecipe
    action: ActionOptions
    proprioception_names: tuple[str, ...]
    action_names: tuple[str, ...]
    task: str
    episodes: tuple[EpisodeUse, ...]


def load_policy_run(run_dir: str | Path, which: str = "best") -> tuple[Policy, RunInfo]:
    """A trained policy in evaluation mode, with averaged weights, and what it was trained for.

    Args:
        run_dir: The `out_dir` of a run, finished or not.
        which: ``best`` (lowest validation error of the motion) or ``last``.

    Raises:
        SparkError: There is no such run or checkpoint, or it is damaged.
    """
    run_dir = Path(run_dir)
    if which not in ("best", "last"):
        raise SparkError(f"checkpoint {which!r} is unknown: use best or last")
    info = RunDirectory(run_dir).read_info(RunInfo)
    policy = build_policy(info.policy)
    load_average(RunDirectory(run_dir).checkpoint(which), policy)
    return policy.eval().requires_grad_(False), info
