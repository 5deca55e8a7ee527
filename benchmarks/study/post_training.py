"""Post-training of an arm's encoder: the quick configuration of the repository, but for what makes the arm."""

from __future__ import annotations

import json

from benchmarks.study.arms import IMAGE_SIZE, Arm, encoder_folder
from benchmarks.study.jobs import Settings
from benchmarks.study.suite import Suite
from spark_ros.contracts import SparkError
from spark_ros.shares import config_file
from spark_ros.training.encoder_config import EncoderTrainingConfig, load_encoder_config
from spark_ros.training.encoder_loop import train_encoder

STEPS = 500  # of every arm; the quick configuration has more, and the study two cores for a dozen arms
QUICK = {"optimiser.max_steps": 3, "optimiser.batch_size": 4, "validation_pairs": 4}


def post_train(arm: Arm, video: Suite, settings: Settings) -> None:
    """Trains the encoder of an arm, or goes on with it.

    Raises:
        SparkError: The video or the configuration does not fit, or the loss is not finite.
    """
    train_encoder(encoder_config(arm, video, settings))


def encoder_config(arm: Arm, video: Suite, settings: Settings) -> EncoderTrainingConfig:
    """The run that makes the arm's encoder; one thread, like all work of the study.

    Raises:
        SparkError: The arm is not post-trained, or an option does not exist.
    """
    if arm.post_training is None:
        raise SparkError(f"arm {arm.name} has no encoder to post-train")
    options = {
        "out_dir": str(encoder_folder(arm, settings.work)),
        "data.folders": [str(video.video_folder(task)) for task in video.tasks],
        "cache_dir": str(settings.work / "frames"),
        "threads": 1,
        "probe_every": 0,
        "spark.image_size": IMAGE_SIZE,
        "optimiser.max_steps": STEPS,
        **{f"spark.{name}": value for name, value in arm.post_training.spark.items()},
        **{f"data.{name}": value for name, value in arm.post_training.pairs.items()},
        **(QUICK if settings.quick else {}),
    }
    overrides = [f"{name}={json.dumps(value)}" for name, value in options.items()]
    return load_encoder_config(config_file("train_encoder.yaml"), overrides)
