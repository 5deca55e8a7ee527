"""The frame of every training here: steps, schedule, averaged weights, validations, checkpoints, and a clean stop.

Everything random in step s is drawn from generators seeded with the run's seed and s, so a run that was killed at any
moment goes on from its last checkpoint along exactly the curve it would have followed.
"""

from __future__ import annotations

import copy
import math
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Generic, TypeVar

import torch
from torch import Tensor, nn
from tqdm import tqdm

from spark_ros.contracts import SparkError
from spark_ros.training.checkpoint import Progress, load_checkpoint, save_checkpoint
from spark_ros.training.distributed import World, synchronise
from spark_ros.training.interrupt import Interrupted
from spark_ros.training.optimisation import OptimisationOptions, learning_rate, step_seed, update_average
from spark_ros.training.run_directory import RunDirectory

Batch = TypeVar("Batch")
Model = TypeVar("Model", bound=nn.Module)


@dataclass(frozen=True)
class StepLosses:
    """Of a batch.

    Attributes:
        total: Scalar, what is minimised.
        samples: (B,) of each sample.
        terms: Means of the parts that `total` has, for metrics.csv.
    """

    total: Tensor
    samples: Tensor
    terms: Mapping[str, Tensor] = field(default_factory=dict)


@dataclass(frozen=True)
class StepTime:
    """Where the time of a step went, seconds.

    Attributes:
        wait_s: Waiting for the batch.
        compute_s: Forward and backward.
        total_s: All of it, the optimiser and the averaging included.
    """

    wait_s: float
    compute_s: float
    total_s: float


@dataclass(frozen=True)
class Schedule:
    """How long and how a run goes.

    Attributes:
        optimiser: Steps, minutes, learning rate.
        seed: Of everything random.
        evaluate_every: Steps between validations.
        started: `time.monotonic()` when the session began.
    """

    optimiser: OptimisationOptions
    seed: int
    evaluate_every: int
    started: float


class Trainer(ABC, Generic[Batch, Model]):
    """One session of a run.

    Args:
        run: Its directory; an existing checkpoint ``last`` is restored.
        schedule: How long and how.
        model: What is trained, on its device.
        optimiser: Of the model. A group's ``lr_scale`` multiplies the schedule.
        world: The processes that train together.

    Attributes:
        model: As given.
        average: Its averaged weights, in evaluation mode.
        progress: Where the run is.
        times: Of the steps since the last validation.
    """

    def __init__(
        self,
        run: RunDirectory,
        schedule: Schedule,
        model: Model,
        optimiser: torch.optim.Optimizer,
        world: World | None = None,
    ) -> None:
        self._run, self._schedule, self._options = run, schedule, schedule.optimiser
        self._world = world or World()
        self.model, self._optimiser = model, optimiser
        self.average = self.copy_of(model).eval().requires_grad_(False)
        self.progress = Progress()
        last = run.checkpoint("last")
        if last.exists():
            self.progress = load_checkpoint(last, model, self.average, optimiser)
        self._clock_zero = schedule.started - self.progress.seconds
        self._done = 0.0
        self.times: list[StepTime] = []

    @abstractmethod
    def batches(self, first: int, end: int) -> Iterable[Batch]:
        """The batches of steps `first` to `end` - 1."""

    @abstractmethod
    def losses(self, batch: Batch) -> StepLosses:
        """What is to be minimised."""

    @abstractmethod
    def sources(self, batch: Batch, chosen: Tensor) -> Iterable[str]:
        """Names of the recordings from which the `chosen` (B,) bool samples of a batch come."""

    @abstractmethod
    def evaluate(self, finished: bool) -> str:
        """Validate, write a row of metrics and begin a new one, save checkpoints; what the progress bar shows then.

        Of several processes only the first does.
        """

    @abstractmethod
    def finish(self) -> None:
        """What is made once, at the end of the run."""

    def copy_of(self, model: Model) -> Model:
        """A copy of the model, for its averaged weights."""
        return copy.deepcopy(model)

    def run(self, stop: Callable[[], bool]) -> None:
        """Train to the end, or until `stop()`.

        Raises:
            SparkError: The loss or the gradient is not finite.
            Interrupted: `stop()` was True.
        """
        progress, options, world = self.progress, self._options, self._world
        if progress.finished:
            if world.first:
                tqdm.write(f"{self._run.path} is finished after {progress.step} steps: nothing to do")
                if not self.complete:  # killed between the last checkpoint and what is made of it
                    self.finish()
            return
        (self._done,) = world.largest([self._done_part()])
        bar = tqdm(
            total=options.max_steps, initial=progress.step, desc="training", unit="step", disable=not world.first
        )
        with bar:
            batches = iter(self.batches(progress.step, options.max_steps))
            while progress.step < options.max_steps:
                self.times.append(self.step(batches))
                self._done, stopped = world.largest([self._done_part(), float(stop())])
                finished = self._done >= 1.0
                if progress.step % self._schedule.evaluate_every == 0 or finished:
                    progress.finished = finished
                    if world.first:
                        bar.set_postfix_str(self.evaluate(finished))
                    else:
                        progress.begin_row()
                    self.times.clear()
                bar.update()
                if finished:
                    break
                if stopped:
                    self.save("last")
                    raise Interrupted(
                        f"training stopped at step {progress.step} of {options.max_steps} and was saved in "
                        f"{self._run.path}: run the same command to continue"
                    )
        if world.first:
            self.finish()
        world.wait()

    def step(self, batches: Iterator[Batch]) -> StepTime:
        """Take the next batch and learn from it; the counters of `progress` move with it.

        Raises:
            SparkError: The loss or the gradient is not finite.
        """
        begin = time.perf_counter()
        batch = next(batches)
        waited = time.perf_counter()
        computed_s = self._learn(batch)
        return StepTime(waited - begin, computed_s, time.perf_counter() - begin)

    @property
    def complete(self) -> bool:
        """Whether `finish` was reached before."""
        return self._run.curves.exists()

    @property
    def minutes(self) -> float:
        """Of the run so far, over all its sessions."""
        return (time.monotonic() - self._clock_zero) / 60.0

    def row(self) -> dict[str, float | int]:
        """The columns that every metrics.csv has."""
        progress = self.progress
        return {
            "step": progress.step,
            "minutes": round(self.minutes, 3),
            "learning_rate": self._optimiser.param_groups[0]["lr"],
            "train_loss": progress.loss_sum / progress.loss_count,
            **{f"train_{name}": total / progress.loss_count for name, total in progress.term_sums.items()},
        }

    def save(self, which: str) -> None:
        """Write a checkpoint, if this process writes."""
        if self._world.first:
            self.progress.seconds = 60.0 * self.minutes
            save_checkpoint(self._run.checkpoint(which), self.progress, self.model, self.average, self._optimiser)

    def _done_part(self) -> float:
        """How much of the run is done: by steps or by the clock, whichever is further."""
        parts = [self.progress.step / self._options.max_steps]
        if self._options.max_minutes is not None:
            parts.append(self.minutes / self._options.max_minutes)
        return max(parts)

    def _learn(self, batch: Batch) -> float:
        """One optimiser step; seconds in forward and backward."""
        progress, options = self.progress, self._options
        torch.manual_seed(step_seed(self._schedule.seed, progress.step))
        rate = learning_rate(options, progress.step, self._done)
        for group in self._optimiser.param_groups:
            group["lr"] = rate * group.get("lr_scale", 1.0)
        self.model.train()
        self._optimiser.zero_grad()
        begin = time.perf_counter()
        losses = self.losses(batch)
        losses.total.backward()
        synchronise(self._world.device)
        computed_s = time.perf_counter() - begin
        norm = nn.utils.clip_grad_norm_(self.model.parameters(), options.gradient_clip)
        total, *terms = self._world.mean([losses.total.item(), *(term.item() for term in losses.terms.values())])
        if not (math.isfinite(total) and torch.isfinite(norm)):
            raise SparkError(self._not_finite(batch, losses))
        self._optimiser.step()
        update_average(self.average, self.model, options.ema_decay, progress.step)
        progress.count(total, dict(zip(losses.terms, terms, strict=True)))
        return computed_s

    def _not_finite(self, batch: Batch, losses: StepLosses) -> str:
        bad = ~torch.isfinite(losses.samples.detach()).cpu()
        every = torch.ones_like(bad)
        guilty = self._world.together([*self.sources(batch, bad)]) or self._world.together(
            [*self.sources(batch, every)]
        )
        names = sorted(set(guilty))
        listed = ", ".join(names[:5]) + (f" and {len(names) - 5} more" if len(names) > 5 else "")
        kept = self._run.checkpoint("last")
        return (
            f"the loss or its gradient is not finite at step {self.progress.step} with samples of {listed}: "
            f"{f'{kept} still holds the last good state' if kept.exists() else 'nothing was saved yet'}; "
            "check these recordings or lower optimiser.learning_rate"
        )
