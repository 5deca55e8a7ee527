"""Everything post-training needs before its first step: clips, their split, the model and its statistics."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch

from spark_ros.contracts import SparkError
from spark_ros.data.clips import Clip, open_clips
from spark_ros.encoders.base import normalise_images
from spark_ros.encoders.spark import SparkModel
from spark_ros.shares import cache_dir
from spark_ros.training.distributed import World
from spark_ros.training.encoder_config import EncoderTrainingConfig
from spark_ros.training.pairs import PairSampler, split_clips
from spark_ros.training.run_directory import RunDirectory

# Frames from which the target's statistics are taken: 256 x 64 patches give a channel's deviation to under 1%.
STATISTICS_FRAMES = 256


@dataclass(frozen=True)
class ClipUse:
    """A clip and what it was used for: ``train`` or ``validation``."""

    name: str
    camera: str
    fingerprint: str
    split: str


@dataclass(frozen=True)
class EncoderRunInfo:
    """What the data and the foundation model of a run turned out to be.

    Attributes:
        weights_sha256: Of the foundation model.
        parameters: Numbers that are trained.
        clips: The video.
    """

    weights_sha256: str
    parameters: int
    clips: tuple[ClipUse, ...]


@dataclass(frozen=True)
class EncoderSetup:
    """What the loop works on.

    Attributes:
        model: On its device, its statistics measured.
        training: Pairs to learn from.
        validation: Pairs of held-out clips.
        held_out: These clips, for probes.
    """

    model: SparkModel
    training: PairSampler
    validation: PairSampler
    held_out: Sequence[Clip]


def prepare_encoder(
    config: EncoderTrainingConfig, run: RunDirectory, world: World, stop: Callable[[], bool]
) -> EncoderSetup:
    """Open the video, build the model, describe the run in its directory.

    Args:
        config: The run.
        run: Its directory; run.json is written by the first process, or compared if it is there.
        world: The processes that train together.
        stop: Asked now and then while frames are decoded; True ends that.

    Raises:
        SparkError: The video, the weights or the run directory does not fit.
        Interrupted: `stop()` was True; what was decoded is kept.
    """
    data = config.data
    clips = [clip for folder in data.folders for clip in open_clips(folder, data.cameras, data.damaged)]
    training, held_out = split_clips(clips, config.data.validation_fraction, config.seed)
    torch.manual_seed(config.seed)
    with_state = config.spark.action_head
    model = SparkModel(config.spark, _proprioception_size(clips) if with_state else 0)
    if world.first:
        parameters = sum(parameter.numel() for parameter in model.trainable_parameters())
        uses = [(clip, "train") for clip in training] + [(clip, "validation") for clip in held_out]
        run.check_info(
            EncoderRunInfo(
                model.weights_sha256,
                parameters,
                tuple(ClipUse(clip.name, clip.camera, clip.fingerprint, split) for clip, split in uses),
            )
        )
    folder = Path(config.cache_dir) if config.cache_dir is not None else cache_dir() / "frames"
    pairs, held_out_pairs = (
        PairSampler(
            part,
            config.data,
            config.spark.image_size,
            config.seed,
            folder,
            augment=part is training,
            with_state=with_state,
            stop=stop,
        )
        for part in (training, held_out)
    )
    model.to(world.device)
    if not run.checkpoint("last").exists():  # which holds them
        _measure_statistics(model, pairs, world.device)
    return EncoderSetup(model, pairs, held_out_pairs, held_out)


def _measure_statistics(model: SparkModel, sampler: PairSampler, device: str) -> None:
    batch = sampler.batch(0, STATISTICS_FRAMES)
    proprioception = batch.proprioception_now
    model.calibrate(
        normalise_images(batch.now.to(device)), None if proprioception is None else proprioception.to(device)
    )


def _proprioception_size(clips: Sequence[Clip]) -> int:
    """Numbers per frame; 0 where there are none.

    Raises:
        SparkError: Clips differ in it.
    """
    sizes = {clip.proprioception.shape[1]: clip.name for clip in clips if clip.proprioception is not None}
    if len(sizes) > 1:
        (first, name), (second, other) = list(sizes.items())[:2]
        raise SparkError(
            f"{name} has {first} numbers of proprioception and {other} has {second}: train on video of one robot"
        )
    return next(iter(sizes), 0)
