"""The configuration of SPARK post-training: defaults here and in `config/train_encoder.yaml`, which explains each."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

from spark_ros.encoders.spark import SparkOptions
from spark_ros.training.optimisation import OptimisationOptions, optimisation_ranges
from spark_ros.training.options_file import check_ranges, load_options
from spark_ros.training.pairs import PairOptions

PRECISIONS = ("bf16", "fp32")


@dataclass(frozen=True)
class EncoderOptimiserOptions(OptimisationOptions):
    """How the encoder learns; the batch is that of all processes together.

    Attributes:
        layer_decay: Each block of the student learns this much slower than the one above it.
        backbone_scale: Learning rate of the student's last block over that of the new decoder and projection.
        precision: ``bf16`` (where the processor multiplies it natively, else float32) or ``fp32``.
    """

    batch_size: int = 32
    max_steps: int = 600
    learning_rate: float = 5e-4
    weight_decay: float = 0.05
    warmup_steps: int = 50
    ema_decay: float = 0.99
    layer_decay: float = 0.9
    backbone_scale: float = 0.2
    precision: str = "bf16"


@dataclass(frozen=True)
class EncoderTrainingConfig:
    """A whole run.

    Attributes:
        out_dir: The run directory; running again with the same configuration continues there.
        data: Video, and which frames of it make pairs.
        spark: The method.
        optimiser: How it learns.
        seed: Of everything random.
        evaluate_every: Steps between validations; each writes a row of metrics.csv and a checkpoint.
        validation_pairs: Pairs of held-out clips on which the loss is measured.
        probe_every: Steps between probes and pictures; null for the end alone, 0 for never.
        device: ``cpu`` or ``cuda``; only on the CPU is a run repeatable to the last bit.
        threads: Of torch; null for its default, one per physical core.
        workers: Threads that read frames while the model computes; 0 reads them in between.
        cache_dir: Where decoded frames are kept; null for ``frames`` in the user's cache directory.
    """

    out_dir: str
    data: PairOptions
    spark: SparkOptions = field(default_factory=SparkOptions)
    optimiser: EncoderOptimiserOptions = field(default_factory=EncoderOptimiserOptions)
    seed: int = 0
    evaluate_every: int = 100
    validation_pairs: int = 128
    probe_every: int | None = None
    device: str = "cpu"
    threads: int | None = None
    workers: int = 1
    cache_dir: str | None = None


def load_encoder_config(path: str | Path | None, overrides: Sequence[str] = ()) -> EncoderTrainingConfig:
    """Read a configuration.

    Args:
        path: A YAML file; None to start from the defaults.
        overrides: ``dotted.key=value``; values are read as YAML.

    Raises:
        SparkError: The file is missing or no YAML, a key is unknown, or a value has the wrong type or range.
    """
    config = load_options(EncoderTrainingConfig, path, overrides)
    optimiser, precisions = config.optimiser, f"one of {', '.join(PRECISIONS)}"
    check_ranges(
        [
            *optimisation_ranges(optimiser),
            ("optimiser.layer_decay", optimiser.layer_decay, 0.0 < optimiser.layer_decay <= 1.0, "in (0, 1]"),
            ("optimiser.backbone_scale", optimiser.backbone_scale, optimiser.backbone_scale > 0.0, "positive"),
            ("optimiser.precision", optimiser.precision, optimiser.precision in PRECISIONS, precisions),
            ("evaluate_every", config.evaluate_every, config.evaluate_every >= 1, "at least 1"),
            ("validation_pairs", config.validation_pairs, config.validation_pairs >= 1, "at least 1"),
            ("probe_every", config.probe_every, (config.probe_every or 0) >= 0, "at least 0 or null"),
            ("workers", config.workers, config.workers >= 0, "at least 0"),
        ]
    )
    return config
