"""Training a policy on frozen encoder tokens: ``train_policy`` from demonstrations to a run directory."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spark_ros.policies.base import Policy
from spark_ros.policies.registry import build_policy
from spark_ros.training.batches import Batch, SampleSet
from spark_ros.training.config import OptimiserOptions, TrainingConfig
from spark_ros.training.interrupt import InterruptFlag
from spark_ros.training.metrics import MetricsFile, Panel, plot_curves
from spark_ros.training.run_directory import RunDirectory
from spark_ros.training.setup import TrainingSetup, prepare
from spark_ros.training.trainer import Schedule, StepLosses, Trainer


def train_policy(config: TrainingConfig) -> Path:
    """Train, or continue a run that was stopped.

    Args:
        config: The run; calling again with the same one continues it, and returns at once when it is finished.

    Returns:
        The run directory.

    Raises:
        SparkError: The data, the configuration or the directory does not fit, or the loss is not finite.
        Interrupted: Ctrl-C; the state is saved.
    """
    started = time.monotonic()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    run = RunDirectory(config.out_dir)
    with run.owned(), InterruptFlag() as interrupt:
        run.check_config(config)
        setup = prepare(config, run, lambda: interrupt.raised)
        PolicyTrainer(config, run, setup, started).run(lambda: interrupt.raised)
    return run.path


class PolicyTrainer(Trainer[Batch, Policy]):
    """One session of a run.

    Args:
        config: The run.
        run: Its directory.
        setup: Data and policy recipe.
        started: `time.monotonic()` when the session began.
    """

    def __init__(self, config: TrainingConfig, run: RunDirectory, setup: TrainingSetup, started: float) -> None:
        self._setup, self._learning = setup, config.optimiser
        torch.manual_seed(config.seed)
        model = build_policy(setup.recipe)
        model.set_statistics(setup.statistics)
        model.to(config.device)
        schedule = Schedule(config.optimiser, config.seed, config.evaluate_every, started)
        super().__init__(run, schedule, model, make_optimiser(model, config.optimiser))
        # "Best" means the smallest error of the motion. The smallest loss comes much too early, because a policy that
        # has learnt to commit itself where there is a choice (a cube looks the same every 90 degrees) is sometimes
        # wrong by much: with 50 demonstrations step 500 had the smallest loss and lifted the cube in 45 of 50 scenes,
        # step 3000 in 49.
        self._motion_error = next(iter(setup.error_groups))
        columns = ["step", "epoch", "minutes", "learning_rate", "train_loss", "val_loss", *setup.error_groups]
        self._metrics = MetricsFile(run.metrics, columns)

    def batches(self, first: int, end: int) -> Iterator[Batch]:
        """The batches of steps `first` to `end` - 1."""
        self._metrics.truncate(first)
        return self._setup.training.training_batches(self._learning.batch_size, self._schedule.seed, first, end)

    def losses(self, batch: Batch) -> StepLosses:
        """What is to be minimised."""
        samples = sample_losses(self.model, batch, self._learning.smooth_l1_beta)
        return StepLosses(samples.mean(), samples)

    def sources(self, batch: Batch, chosen: Tensor) -> list[str]:
        """Names of the episodes from which the `chosen` samples of a batch come."""
        return [self._setup.training.names[episode] for episode in batch.episode[chosen.numpy()]]

    def evaluate(self, finished: bool) -> str:
        """Validate, write a row of metrics, save checkpoints; what the progress bar shows then."""
        progress = self.progress
        loss, errors = validate(self.average, self._setup.validation, self._learning, self._setup.error_groups)
        epoch = progress.step * self._learning.batch_size // len(self._setup.training)
        row = {**self.row(), "epoch": epoch, "val_loss": loss, **errors}
        progress.begin_row()
        improved = errors[self._motion_error] < progress.best_error
        if improved:
            progress.best_error, progress.best_step = errors[self._motion_error], progress.step
        # The row goes first: one beyond the checkpoint is cut off when the run continues, a missing one stays missing.
        self._metrics.append(row)
        if improved:
            self.save("best")
        self.save("last")
        return f"best {self._motion_error} {progress.best_error:.2f} at {progress.best_step}"

    def finish(self) -> None:
        """The curves of the run."""
        errors = [*self._setup.error_groups]
        panels = [
            Panel("loss", ["train_loss", "val_loss"], ["training", "validation (averaged weights)"]),
            Panel("mean error on held-out episodes", errors, [name.removeprefix("val_") for name in errors]),
        ]
        plot_curves(self._metrics.rows(), panels, self._run.curves)


def sample_losses(policy: Policy, batch: Batch, beta: float) -> Tensor:
    """Smooth L1 in standard deviations of the labels, averaged over each sample's valid steps, (B,)."""
    device = policy.action_mean.device
    target = (batch.action.to(device) - policy.action_mean) / policy.action_std
    predicted = policy.standardised_actions(batch.tokens.to(device), batch.proprioception.to(device))
    error = F.smooth_l1_loss(predicted, target, reduction="none", beta=beta).mean(dim=2)  # (B, H)
    valid = batch.valid.to(device)
    return (error * valid).sum(dim=1) / valid.sum(dim=1)


@torch.no_grad()
def validate(
    policy: Policy, samples: SampleSet, options: OptimiserOptions, groups: dict[str, tuple[Sequence[int], float]]
) -> tuple[float, dict[str, float]]:
    """Loss, and mean errors in physical units, over all samples.

    Args:
        policy: In evaluation mode.
        samples: The held-out samples.
        options: For the loss and the batch size.
        groups: Per error its action columns, whose Euclidean norm is taken, and a factor to its unit.
    """
    losses, errors = [], {name: np.zeros(2) for name in groups}
    for batch in samples.all(options.batch_size):
        losses.append(sample_losses(policy, batch, options.smooth_l1_beta))
        device = policy.action_mean.device
        predicted = policy(batch.tokens.to(device), batch.proprioception.to(device)).cpu()
        for name, (columns, factor) in groups.items():
            error = (predicted - batch.action)[batch.valid][:, list(columns)].norm(dim=1) * factor
            errors[name] += (error.sum().item(), len(error))
    return torch.cat(losses).mean().item(), {name: total / count for name, (total, count) in errors.items()}


def make_optimiser(model: Policy, options: OptimiserOptions) -> torch.optim.AdamW:
    """AdamW; only matrices decay, since pulling biases, norms and scales to zero regularises nothing."""
    decayed = [parameter for parameter in model.parameters() if parameter.ndim >= 2]
    others = [parameter for parameter in model.parameters() if parameter.ndim < 2]
    groups = [
        {"params": decayed, "weight_decay": options.weight_decay},
        {"params": others, "weight_decay": 0.0},
    ]
    return torch.optim.AdamW(groups, lr=options.learning_rate, betas=(0.9, 0.99))
