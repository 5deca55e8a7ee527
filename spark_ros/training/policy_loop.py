"""Training a policy on frozen encoder tokens: ``train_policy`` from demonstrations to a run directory.

Everything random in step s is drawn from generators seeded with the run's seed and s, so a run that was killed at any
moment goes on from its last checkpoint along exactly the curve it would have followed.
"""

from __future__ import annotations

import copy
import math
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor
from tqdm import tqdm

from spark_ros.contracts import SparkError
from spark_ros.policies.base import Policy
from spark_ros.policies.registry import build_policy
from spark_ros.training.batches import Batch, SampleSet
from spark_ros.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from spark_ros.training.config import OptimiserOptions, TrainingConfig
from spark_ros.training.interrupt import Interrupted, InterruptFlag
from spark_ros.training.metrics import MetricsFile, plot_curves
from spark_ros.training.run_directory import RunDirectory
from spark_ros.training.setup import TrainingSetup, prepare


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


class PolicyTrainer:
    """One session of a run.

    Args:
        config: The run.
        run: Its directory.
        setup: Data and policy recipe.
        started: `time.monotonic()` when the session began.
    """

    def __init__(self, config: TrainingConfig, run: RunDirectory, setup: TrainingSetup, started: float) -> None:
        self._config, self._run, self._setup = config, run, setup
        self._options = config.optimiser
        torch.manual_seed(config.seed)
        self._model = build_policy(setup.recipe)
        self._model.set_statistics(setup.statistics)
        self._model.to(config.device)
        self._average = copy.deepcopy(self._model).eval().requires_grad_(False)
        self._optimiser = make_optimiser(self._model, self._options)
        self._progress = Progress()
        last = run.checkpoint("last")
        if last.exists():
            self._progress = load_checkpoint(last, self._model, self._average, self._optimiser)
        self._clock_zero = started - self._progress.seconds
        # "Best" means the smallest error of the motion. The smallest loss comes much too early, because a policy that
        # has learnt to commit itself where there is a choice (a cube looks the same every 90 degrees) is sometimes
        # wrong by much: with 50 demonstrations step 500 had the smallest loss and lifted the cube in 45 of 50 scenes,
        # step 3000 in 49.
        self._motion_error = next(iter(setup.error_groups))
        columns = ["step", "epoch", "minutes", "learning_rate", "train_loss", "val_loss", *setup.error_groups]
        self._metrics = MetricsFile(run.metrics, columns)

    def run(self, stop: Callable[[], bool]) -> None:
        """Train to the end, or until `stop()`.

        Raises:
            SparkError: The loss or the gradient is not finite.
            Interrupted: `stop()` was True.
        """
        progress, options = self._progress, self._options
        if progress.finished:
            tqdm.write(f"{self._run.path} is finished after {progress.step} steps: nothing to do")
            return
        self._metrics.truncate(progress.step)
        batches = self._setup.training.training_batches(
            options.batch_size, self._config.seed, progress.step, options.max_steps
        )
        with tqdm(total=options.max_steps, initial=progress.step, desc="training", unit="step") as bar:
            for batch in batches:
                self._step(batch)
                done = self._done_part()
                if progress.step % self._config.evaluate_every == 0 or done >= 1.0:
                    self._evaluate(finished=done >= 1.0)
                    bar.set_postfix_str(f"best {self._motion_error} {progress.best_error:.2f} at {progress.best_step}")
                bar.update()
                if done >= 1.0:
                    break
                if stop():
                    self._save("last")
                    raise Interrupted(
                        f"training stopped at step {progress.step} of {options.max_steps} and was saved in "
                        f"{self._run.path}: run the same command to continue"
                    )
        plot_curves(self._metrics.rows(), self._run.curves)

    def _step(self, batch: Batch) -> None:
        """One optimiser step; the counters of `Progress` move with it."""
        progress, options = self._progress, self._options
        torch.manual_seed(_seed(self._config.seed, progress.step))
        for group in self._optimiser.param_groups:
            group["lr"] = learning_rate(options, progress.step, self._done_part())
        self._model.train()
        losses = sample_losses(self._model, batch, options.smooth_l1_beta)
        loss = losses.mean()
        self._optimiser.zero_grad()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(self._model.parameters(), options.gradient_clip)
        if not (torch.isfinite(loss) and torch.isfinite(norm)):
            raise SparkError(self._not_finite(batch, losses))
        self._optimiser.step()
        update_average(self._average, self._model, options.ema_decay, progress.step)
        progress.step += 1
        progress.loss_sum += loss.item()
        progress.loss_count += 1

    def _done_part(self) -> float:
        """How much of the run is done: by steps or by the clock, whichever is further."""
        parts = [self._progress.step / self._options.max_steps]
        if self._options.max_minutes is not None:
            parts.append((time.monotonic() - self._clock_zero) / (60.0 * self._options.max_minutes))
        return max(parts)

    def _evaluate(self, finished: bool) -> None:
        """Validate, write a row of metrics, save checkpoints."""
        progress = self._progress
        loss, errors = validate(self._average, self._setup.validation, self._options, self._setup.error_groups)
        row: dict[str, float | int] = {
            "step": progress.step,
            "epoch": progress.step * self._options.batch_size // len(self._setup.training),
            "minutes": round((time.monotonic() - self._clock_zero) / 60.0, 3),
            "learning_rate": self._optimiser.param_groups[0]["lr"],
            "train_loss": progress.loss_sum / progress.loss_count,
            "val_loss": loss,
            **errors,
        }
        progress.loss_sum, progress.loss_count, progress.finished = 0.0, 0, finished
        improved = errors[self._motion_error] < progress.best_error
        if improved:
            progress.best_error, progress.best_step = errors[self._motion_error], progress.step
        # The row goes first: one beyond the checkpoint is cut off when the run continues, a missing one stays missing.
        self._metrics.append(row)
        if improved:
            self._save("best")
        self._save("last")

    def _save(self, which: str) -> None:
        self._progress.seconds = time.monotonic() - self._clock_zero
        save_checkpoint(self._run.checkpoint(which), self._progress, self._model, self._average, self._optimiser)

    def _not_finite(self, batch: Batch, losses: Tensor) -> str:
        bad = ~torch.isfinite(losses.detach().cpu()).numpy()
        names = self._setup.training.names
        guilty = sorted({names[episode] for episode in batch.episode[bad if bad.any() else slice(None)]})
        listed = ", ".join(guilty[:5]) + (f" and {len(guilty) - 5} more" if len(guilty) > 5 else "")
        kept = self._run.checkpoint("last")
        return (
            f"the loss or its gradient is not finite at step {self._progress.step} with samples of {listed}: "
            f"{f'{kept} still holds the last good state' if kept.exists() else 'nothing was saved yet'}; "
            "check these episodes or lower optimiser.learning_rate"
        )


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


def learning_rate(options: OptimiserOptions, step: int, done: float) -> float:
    """Linear warm-up over steps times a cosine over the part of the run that is done."""
    warmup = min(1.0, (step + 1) / max(1, options.warmup_steps))
    return options.learning_rate * warmup * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))


@torch.no_grad()
def update_average(average: Policy, model: Policy, decay: float, step: int) -> None:
    """Exponential moving average of the parameters; it forgets the first steps faster than `decay` says."""
    decay = min(decay, (1.0 + step) / (10.0 + step))
    torch._foreach_lerp_(list(average.parameters()), list(model.parameters()), 1.0 - decay)
    for held, running in zip(average.buffers(), model.buffers(), strict=True):
        held.copy_(running)  # statistics of batch norm are averages already


def _seed(seed: int, step: int) -> int:
    return int(np.random.SeedSequence([seed, 2, step]).generate_state(1, np.uint64)[0])
