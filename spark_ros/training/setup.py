"""Everything a run needs before its first step: samples, tokens, the split, statistics, the policy's recipe."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from spark_ros.contracts import SparkError
from spark_ros.data.codec import ActionCodec, Proprioception
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.preprocess import ImagePreprocess
from spark_ros.data.samples import PolicySamples, load_samples
from spark_ros.encoders.base import Encoder
from spark_ros.encoders.registry import build_encoder
from spark_ros.policies.base import PolicyRecipe, PolicySpace, PolicyStatistics
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot
from spark_ros.shares import cache_dir
from spark_ros.training.batches import SampleSet
from spark_ros.training.config import TrainingConfig
from spark_ros.training.features import FeatureCache
from spark_ros.training.interrupt import Interrupted
from spark_ros.training.policy_run import CameraInput, EpisodeUse, RunInfo
from spark_ros.training.run_directory import RunDirectory

# Labels that vary less than this (m, rad) are below what a gripper notices: dividing by less would make the network
# spend itself on them.
SMALLEST_ACTION_DEVIATION = 0.005
# An input (m, rad) that hardly moved in the demonstrations, such as the tilt of the tool, will move when the policy
# runs: dividing by less would turn its first two degrees into many standard deviations.
SMALLEST_PROPRIOCEPTION_DEVIATION = 0.03
# Frames from which token statistics are taken; a mean over 2000 x 64 patches is known to well below 1%.
STATISTICS_FRAMES = 2000


@dataclass(frozen=True)
class TrainingSetup:
    """What the loop works on.

    Attributes:
        recipe: The policy to build.
        statistics: For its buffers.
        training: Samples to learn from.
        validation: Samples of held-out episodes.
        error_groups: Validation errors in physical units, see `policy_loop.validate`.
    """

    recipe: PolicyRecipe
    statistics: PolicyStatistics
    training: SampleSet
    validation: SampleSet
    error_groups: dict[str, tuple[Sequence[int], float]] = field(default_factory=dict)


def prepare(config: TrainingConfig, run: RunDirectory, stop: Callable[[], bool]) -> TrainingSetup:
    """Read the demonstrations, encode their images, describe the run in its directory.

    Args:
        config: The run.
        run: Its directory; run.json and statistics.json are written, or compared if they are there.
        stop: Asked now and then; True ends the work.

    Raises:
        SparkError: The demonstrations, the robot, the encoder or the run directory does not fit.
        Interrupted: `stop()` was True; what was encoded is kept.
    """
    samples, info_of_robot = read_samples(config)
    held_out = choose_validation(len(samples.episodes), config.data.validation_fraction, config.seed)
    encoder = build_encoder({**config.encoder, "image_size": config.data.image_size}).to(config.device)
    recipe = PolicyRecipe(
        config.policy.head, _space(samples, encoder, config), config.policy.options, config.policy.noise
    )
    run.check_info(_info(config, samples, held_out, encoder, recipe, info_of_robot))
    run.write_json(
        "statistics.json",
        {
            "proprioception": {"names": samples.proprioception_names} | samples.proprioception_statistics().to_json(),
            "action": {"names": samples.action_names} | samples.action_statistics().to_json(),
        },
    )
    cache = FeatureCache(
        Path(config.cache_dir) if config.cache_dir is not None else cache_dir() / "features",
        encoder,
        ImagePreprocess(config.data.image_size, config.data.crop),
        config.augmentation,
        config.seed,
    )
    versions = [1 if number in held_out else 1 + config.augmentation.copies for number in range(len(samples.episodes))]
    tokens = cache.tokens(samples, versions, stop)
    if stop():
        raise Interrupted(
            f"training stopped while encoding; what was encoded is kept in {cache.folder}: "
            "run the same command to continue"
        )
    training, validation = (
        SampleSet(
            [episode for number, episode in enumerate(samples.episodes) if (number in held_out) == chosen],
            [versions for number, versions in enumerate(tokens) if (number in held_out) == chosen],
        )
        for chosen in (False, True)
    )
    return TrainingSetup(
        recipe, measure_statistics(training, config.seed), training, validation, error_groups(samples.action_names)
    )


def read_samples(config: TrainingConfig) -> tuple[PolicySamples, tuple[str, ...]]:
    """The demonstrations of the configuration, and the robot's joint names.

    Raises:
        SparkError: The folder, the robot or an episode does not fit, or the episodes show different tasks.
    """
    robot = load_robot(config.robot)
    kinematics = Kinematics(robot)
    samples = load_samples(
        DemoFolder(config.data.folder),
        config.data.cameras,
        Proprioception(kinematics, robot.gripper),
        ActionCodec(config.action.kind, config.action.horizon, config.action.dt_s, kinematics),
    )
    episodes = samples.episodes[: config.data.max_episodes]
    tasks = sorted({episode.entry.task for episode in episodes})
    if len(tasks) != 1:
        raise SparkError(
            f"{config.data.folder} holds demonstrations of {len(tasks)} tasks ({'; '.join(tasks)}), expected one: "
            "these policies take no language; keep one folder per task"
        )
    return PolicySamples(
        samples.cameras, samples.proprioception_names, samples.action_names, episodes
    ), robot.joint_names


def choose_validation(count: int, fraction: float, seed: int) -> set[int]:
    """Numbers of the episodes to hold out, at least one.

    Raises:
        SparkError: There are fewer than two episodes.
    """
    if count < 2:
        raise SparkError(f"found {count} episode, expected at least 2 so that one can be held out: record more")
    held_out = min(count - 1, max(1, round(fraction * count)))
    return {int(number) for number in np.random.default_rng([seed, 3]).permutation(count)[:held_out]}


def measure_statistics(training: SampleSet, seed: int) -> PolicyStatistics:
    """Means and deviations for the policy's buffers, the latter with a floor."""
    action = np.where(training.valid[..., None], training.action, np.nan)
    last_valid = int(np.flatnonzero(training.valid.any(axis=0)).max())
    action[:, last_valid + 1 :] = action[:, last_valid : last_valid + 1]  # steps nobody ever imitated
    token_mean, token_std = _token_statistics(training, seed)
    return PolicyStatistics(
        token_mean,
        token_std,
        torch.from_numpy(training.proprioception.mean(axis=0)),
        torch.from_numpy(np.maximum(training.proprioception.std(axis=0), SMALLEST_PROPRIOCEPTION_DEVIATION)),
        torch.from_numpy(np.nanmean(action, axis=0)),
        torch.from_numpy(np.maximum(np.nanstd(action, axis=0), SMALLEST_ACTION_DEVIATION)),
    )


def error_groups(action_names: Sequence[str]) -> dict[str, tuple[Sequence[int], float]]:
    """Validation errors worth a column of metrics.csv, by action names; that of the motion comes first."""
    position = [i for i, name in enumerate(action_names) if name in ("dx", "dy", "dz")]
    rotation = [i for i, name in enumerate(action_names) if name in ("rx", "ry", "rz")]
    gripper = [i for i, name in enumerate(action_names) if name == "gripper_width"]
    joints = [i for i in range(len(action_names)) if i not in (*position, *rotation, *gripper)]
    groups = {
        "val_position_mm": (position, 1e3),
        "val_joints_mrad": (joints, 1e3),
        "val_rotation_mrad": (rotation, 1e3),
        "val_gripper_mm": (gripper, 1e3),
    }
    return {name: group for name, group in groups.items() if group[0]}


def _token_statistics(training: SampleSet, seed: int) -> tuple[Tensor, Tensor]:
    generator = np.random.default_rng([seed, 4])
    chosen = generator.permutation(len(training))[:STATISTICS_FRAMES]
    sums, squares, count = torch.zeros(()), torch.zeros(()), 0
    for start in range(0, len(chosen), 100):
        tokens = training.batch(chosen[start : start + 100], generator).tokens.double()  # (B, C, K, D)
        sums = sums + tokens.sum(dim=(0, 2))
        squares = squares + tokens.square().sum(dim=(0, 2))
        count += tokens.shape[0] * tokens.shape[2]
    mean = sums / count
    std = (squares / count - mean.square()).clamp(min=0.0).sqrt()
    # A dead channel would be amplified to noise; a thousandth of the typical deviation is as good as dead.
    return mean.float(), std.clamp(min=1e-3 * std.median().item()).clamp(min=1e-6).float()


def _space(samples: PolicySamples, encoder: Encoder, config: TrainingConfig) -> PolicySpace:
    return PolicySpace(
        samples.cameras,
        encoder.num_tokens,
        encoder.token_dim,
        encoder.grid,
        len(samples.proprioception_names),
        config.action.horizon,
        len(samples.action_names),
    )


def _info(
    config: TrainingConfig,
    samples: PolicySamples,
    held_out: set[int],
    encoder: Encoder,
    recipe: PolicyRecipe,
    joint_names: tuple[str, ...],
) -> RunInfo:
    return RunInfo(
        robot=config.robot,
        joint_names=joint_names,
        cameras={camera: CameraInput(config.data.image_size, config.data.crop) for camera in samples.cameras},
        encoder=encoder.recipe,
        policy=recipe,
        action=config.action,
        proprioception_names=samples.proprioception_names,
        action_names=samples.action_names,
        task=samples.episodes[0].entry.task,
        episodes=tuple(
            EpisodeUse(episode.entry.file, episode.entry.sha256, "validation" if number in held_out else "train")
            for number, episode in enumerate(samples.episodes)
        ),
    )
