"""`spark-ros train`: from demonstrations to a policy, from video to an encoder."""

from __future__ import annotations

import argparse
import os

from spark_ros.commands.common import Verbs, add_verb

_STARTS_AGAIN = "interrupted before the first step; the same command starts again"


def add_to(verbs: Verbs) -> None:
    """Adds the verb."""
    parser = add_verb(verbs, "train", "train a policy on recorded demonstrations, or an encoder on video")
    what = parser.add_subparsers(title="what to train", metavar="<what>", required=True)
    policy = add_verb(
        what,
        "policy",
        "a policy head on frozen encoder features",
        "Train a policy head on the tokens of a frozen encoder and the robot's own state. The images are encoded once\n"
        "and cached. Running the same command again continues an interrupted run exactly where it was.",
        "examples:\n"
        "  spark-ros train policy data.folder=demos out_dir=run\n"
        "  spark-ros train policy --config my.yaml optimiser.max_minutes=8 seed=3\n"
        "Every option, its default and its consequence: config/train_policy.yaml",
    )
    policy.add_argument("--robot", help="the demonstrations' arm, short for robot= (default: the configuration's)")
    _add_options(policy, "train_policy.yaml")
    policy.set_defaults(run=_run_policy, interrupted=_STARTS_AGAIN)
    encoder = add_verb(
        what,
        "encoder",
        "SPARK: post-train a foundation model on video of robots",
        "Post-train a vision transformer so that its state says what moves (it must foresee a later frame) while its\n"
        "patches stay aligned with the original. Video is recorded episodes, LeRobot v3 datasets or video files.\n"
        "Running the same command again continues an interrupted run exactly where it was.",
        "examples:\n"
        "  spark-ros train encoder data.folders='[demos]' out_dir=encoder\n"
        "  spark-ros train encoder data.folders='[demos, videos]' spark.adaptation=lora optimiser.max_minutes=5\n"
        "  torchrun --nproc-per-node 8 -m spark_ros.cli train encoder --config config/train_encoder_8gpu.yaml\n"
        "Configurations: config/train_encoder.yaml (minutes on a CPU), train_encoder_1gpu.yaml,\n"
        "train_encoder_8gpu.yaml; the first explains every option.",
    )
    _add_options(encoder, "train_encoder.yaml")
    encoder.set_defaults(run=_run_encoder, interrupted=_STARTS_AGAIN)


def _add_options(parser: argparse.ArgumentParser, default: str) -> None:
    parser.add_argument("--config", help=f"YAML file with options (default: the package's config/{default})")
    parser.add_argument("overrides", nargs="*", metavar="key=value", help="options that win over the file")


def _wait_passively() -> None:
    # Read when torch loads OpenMP. Its threads otherwise wait for each other in busy loops, which costs little alone
    # and, beside other work on the same cores, slowed encoding from 270 to 13 images per second.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")


def _run_policy(options: argparse.Namespace) -> int:
    _wait_passively()

    from spark_ros.shares import config_file
    from spark_ros.training.config import load_config
    from spark_ros.training.policy_loop import train_policy

    overrides = [*options.overrides, *([] if options.robot is None else [f"robot={options.robot}"])]
    config = load_config(options.config or config_file("train_policy.yaml"), overrides)
    run = train_policy(config)
    print(f"trained: {run} (curves in {run / 'curves.png'})")
    print(f"next: spark-ros export --run {run} --out <bundle>, or spark-ros eval --run {run}")
    return 0


def _run_encoder(options: argparse.Namespace) -> int:
    _wait_passively()

    from spark_ros.encoders.spark_encoder import FILE_NAME
    from spark_ros.shares import config_file
    from spark_ros.training.encoder_config import load_encoder_config
    from spark_ros.training.encoder_loop import train_encoder

    config = load_encoder_config(options.config or config_file("train_encoder.yaml"), options.overrides)
    run = train_encoder(config)
    if os.environ.get("RANK", "0") == "0":
        pictures = f", pictures in {run / 'pictures'}" if (run / "pictures").is_dir() else ""
        print(f"trained: {run / FILE_NAME} (curves in {run / 'curves.png'}{pictures})")
        recipe = f"{{name: spark, weights: {run}, tokens: patch}}"
        print(f"next: spark-ros train policy encoder='{recipe}' data.folder=<demos> out_dir=<run>")
    return 0
