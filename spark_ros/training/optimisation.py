"""What every training here has in common: warm-up and cosine, averaged weights, and draws that depend on the step."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import nn

from spark_ros.training.options_file import RangeCheck


@dataclass(frozen=True)
class OptimisationOptions:
    """AdamW with warm-up and a cosine to zero.

    Attributes:
        batch_size: Samples per step.
        max_steps: Steps of the whole run.
        max_minutes: Ends the run earlier: minutes from its start, preparation included. The learning rate then
            follows the clock, so such a run repeats only approximately; null makes it exact.
        learning_rate: Peak.
        weight_decay: Of matrices; biases, norms and scalars have none.
        warmup_steps: Steps of linear warm-up.
        gradient_clip: Largest norm of the gradient.
        ema_decay: Of the averaged weights, which are what is validated and exported.
    """

    batch_size: int = 128
    max_steps: int = 4000
    max_minutes: float | None = None
    learning_rate: float = 1e-3
    weight_decay: float = 1e-3
    warmup_steps: int = 200
    gradient_clip: float = 1.0
    ema_decay: float = 0.998


def optimisation_ranges(options: OptimisationOptions) -> list[RangeCheck]:
    """For `options_file.check_ranges`, under the key ``optimiser``."""
    return [
        ("optimiser.batch_size", options.batch_size, options.batch_size >= 1, "at least 1"),
        ("optimiser.max_steps", options.max_steps, options.max_steps >= 1, "at least 1"),
        ("optimiser.max_minutes", options.max_minutes, (options.max_minutes or 1.0) > 0.0, "positive or null"),
        ("optimiser.learning_rate", options.learning_rate, options.learning_rate > 0.0, "positive"),
        ("optimiser.gradient_clip", options.gradient_clip, options.gradient_clip > 0.0, "positive"),
        ("optimiser.ema_decay", options.ema_decay, 0.0 <= options.ema_decay < 1.0, "in [0, 1)"),
    ]


def learning_rate(options: OptimisationOptions, step: int, done: float) -> float:
    """Linear warm-up over steps times a cosine over the part of the run that is done."""
    warmup = min(1.0, (step + 1) / max(1, options.warmup_steps))
    return options.learning_rate * warmup * 0.5 * (1.0 + math.cos(math.pi * min(done, 1.0)))


@torch.no_grad()
def update_average(average: nn.Module, model: nn.Module, decay: float, step: int) -> None:
    """Exponential moving average of the parameters; it forgets the first steps faster than `decay` says."""
    decay = min(decay, (1.0 + step) / (10.0 + step))
    pairs = [(a, b) for a, b in zip(average.parameters(), model.parameters(), strict=True) if b.requires_grad]
    torch._foreach_lerp_([held for held, _ in pairs], [running.detach() for _, running in pairs], 1.0 - decay)
    for held, running in zip(average.buffers(), model.buffers(), strict=True):
        held.copy_(running)  # statistics of batch norm are averages already


def step_seed(seed: int, step: int) -> int:
    """Of everything that a step draws."""
    return int(np.random.SeedSequence([seed, 2, step]).generate_state(1, np.uint64)[0])
