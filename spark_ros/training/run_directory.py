"""What a training run leaves behind, and how the rest of the stack picks it up.

<out_dir>/config.yaml    the configuration, complete
          run.json       what export needs to know, see `RunInfo`
          statistics.json  of proprioception and actions, for people and for drift checks
          metrics.csv    one row per validation
          curves.png     the same as a picture
          checkpoints/{last,best}.safetensors
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml

from spark_ros.contracts import SparkError
from spark_ros.policies.base import Policy, PolicyRecipe
from spark_ros.policies.options import read_options, write_options
from spark_ros.policies.registry import build_policy
from spark_ros.training.checkpoint import load_average
from spark_ros.training.config import ActionOptions, TrainingConfig

# What may differ between two sessions of one run: where things lie and on what they are computed.
NOT_PART_OF_THE_RUN = ("out_dir", "cache_dir", "threads", "device")


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
    info = RunDirectory(run_dir).read_info()
    policy = build_policy(info.policy)
    load_average(RunDirectory(run_dir).checkpoint(which), policy)
    return policy.eval().requires_grad_(False), info


class RunDirectory:
    """The files of a run.

    Args:
        path: The run's `out_dir`; made by `start`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.metrics = self.path / "metrics.csv"
        self.curves = self.path / "curves.png"

    def checkpoint(self, which: str) -> Path:
        """``checkpoints/<which>.safetensors``."""
        return self.path / "checkpoints" / f"{which}.safetensors"

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Be the only process that trains here while the block runs.

        Raises:
            SparkError: Another process trains here, or the directory cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise SparkError(f"cannot train into {self.path}: {error.strerror}; choose another out_dir") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SparkError(
                    f"another process is training in {self.path}: wait, or choose another out_dir"
                ) from None
            yield
        finally:
            os.close(descriptor)

    def check_config(self, config: TrainingConfig) -> None:
        """Keep the configuration with the run, or make sure that it is the one kept there.

        Before the first checkpoint there is nothing to continue, so a mistake in the first command can be corrected.

        Raises:
            SparkError: The run was started with another one.
        """
        path = self.path / "config.yaml"
        wanted = write_options(config)
        if not self._begun or not path.exists():
            self._write(path, yaml.safe_dump(wanted, sort_keys=False))
            return
        try:
            kept = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise SparkError(f"{path} is damaged: choose another out_dir") from error
        self._compare(path, "config", _part_of_run(kept), _part_of_run(wanted))

    def check_info(self, info: RunInfo) -> None:
        """As `check_config`, for what the data and the encoder turned out to be."""
        path = self.path / "run.json"
        wanted = write_options(info)
        if not self._begun or not path.exists():
            self._write(path, json.dumps(wanted, indent=1) + "\n")
            return
        self._compare(path, "run", write_options(self.read_info()), wanted)

    def read_info(self) -> RunInfo:
        """What `check_info` kept.

        Raises:
            SparkError: There is none, or it is damaged.
        """
        path = self.path / "run.json"
        if not path.is_file():
            raise SparkError(f"{self.path} holds no training run (no run.json): give the out_dir of `train policy`")
        try:
            return read_options(RunInfo, json.loads(path.read_text(encoding="utf-8")), "run")
        except ValueError as error:
            raise SparkError(f"{path} is damaged ({error}): train again") from error

    @property
    def _begun(self) -> bool:
        return self.checkpoint("last").exists()

    def write_statistics(self, statistics: dict[str, Any]) -> None:
        """Keep statistics.json."""
        self._write(self.path / "statistics.json", json.dumps(statistics, indent=1) + "\n")

    def _compare(self, path: Path, what: str, kept: Any, wanted: Any) -> None:
        difference = _first_difference(kept, wanted, "")
        if difference is not None:
            key, before, now = difference
            raise SparkError(
                f"{path} was made with {key}={before}, this run has {now}: continue it with the same {what}, "
                "or choose another out_dir"
            )

    def _write(self, path: Path, text: str) -> None:
        temporary = path.with_name(path.name + ".part")
        try:
            temporary.write_text(text, encoding="utf-8")
            os.replace(temporary, path)
        except OSError as error:
            raise SparkError(f"cannot write {path}: {error.strerror}; make room or choose another out_dir") from error


def _part_of_run(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in NOT_PART_OF_THE_RUN}


def _first_difference(kept: Any, wanted: Any, key: str) -> tuple[str, str, str] | None:
    if isinstance(kept, dict) and isinstance(wanted, dict):
        for name in [*kept, *(name for name in wanted if name not in kept)]:
            below = f"{key}.{name}" if key else name
            found = _first_difference(kept.get(name, "nothing"), wanted.get(name, "nothing"), below)
            if found is not None:
                return found
        return None
    if isinstance(kept, list) and isinstance(wanted, list) and len(kept) != len(wanted):
        return f"number of {key}", str(len(kept)), str(len(wanted))
    if isinstance(kept, list) and isinstance(wanted, list):
        pairs = (_first_difference(a, b, f"{key}[{i}]") for i, (a, b) in enumerate(zip(kept, wanted, strict=True)))
        return next((pair for pair in pairs if pair is not None), None)
    return None if kept == wanted else (key, str(kept), str(wanted))
