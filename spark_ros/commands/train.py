"""`spark-ros train policy`: from demonstrations to a training run."""

from __future__ import annotations

import argparse
import os

from spark_ros.commands.common import Verbs, add_verb


def add_to(verbs: Verbs) -> None:
    """Adds the verb."""
    parser = add_verb(verbs, "train", "train a policy on recorded demonstrations")
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
    policy.add_argument("--config", help="YAML file with options (default: the package's config/train_policy.yaml)")
    policy.add_argument("overrides", nargs="*", metavar="key=value", help="options that win over the file")
    policy.set_defaults(run=_run, interrupted="interrupted before the first step; the same command starts again")


def _run(options: argparse.Namespace) -> int:
    # Read when torch loads OpenMP. Its threads otherwise wait for each other in busy loops, which costs little alone
    # and, beside other work on the same cores, slowed encoding from 270 to 13 images per second.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    from spark_ros.shares import config_file
    from spark_ros.training.config import load_config
    from spark_ros.training.policy_loop import train_policy

    config = load_config(options.config or config_file("train_policy.yaml"), options.overrides)
    run = train_policy(config)
    print(f"trained: {run} (curves in {run / 'curves.png'})")
    print(f"next: spark-ros export --run {run} --out <bundle>, or spark-ros eval --run {run}")
    return 0
