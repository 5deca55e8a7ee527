"""The same small policy for every arm: behaviour cloning on states that were encoded once, in memory, in seconds."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spark_ros.contracts import SparkError
from spark_ros.policies.base import Policy, PolicyRecipe, PolicySpace
from spark_ros.policies.registry import build_policy
from spark_ros.policies.regularise import InputNoiseOptions
from spark_ros.training.batches import Batch
from spark_ros.training.config import OptimiserOptions
from spark_ros.training.optimisation import learning_rate, update_average
from spark_ros.training.policy_loop import make_optimiser, sample_losses
from spark_ros.training.setup import measure_statistics


@dataclass(frozen=True)
class Examples:
    """Steps to imitate, of whole demonstrations.

    Attributes:
        tokens: (N, C, K, D) float16.
        proprioception: (N, P) float32.
        action: (N, H, A) float32.
        valid: (N, H) bool, the first step of each is valid.
        episode: (N,) number of each step's demonstration, from 0.
    """

    tokens: NDArray[np.float16]
    proprioception: NDArray[np.float32]
    action: NDArray[np.float32]
    valid: NDArray[np.bool_]
    episode: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.episode)

    def of(self, first: int, end: int) -> Examples:
        """Those of demonstrations `first` to `end` - 1."""
        chosen = np.flatnonzero((self.episode >= first) & (self.episode < end))
        if not len(chosen):
            raise SparkError(f"demonstrations {first} to {end - 1} hold no step to imitate: record more")
        return Examples(*(values[chosen] for values in vars(self).values()))

    def batch(self, chosen: NDArray[np.int64], generator: np.random.Generator | None = None) -> Batch:
        """These steps; nothing is drawn, whatever the generator."""
        return Batch(
            torch.from_numpy(self.tokens[chosen]).float(),
            torch.from_numpy(self.proprioception[chosen]),
            torch.from_numpy(self.action[chosen]),
            torch.from_numpy(self.valid[chosen]),
            self.episode[chosen],
        )


@dataclass(frozen=True)
class ImitationOptions:
    """How a policy of the study is trained.

    Attributes:
        head: Name of the policy's head.
        head_options: Its options.
        noise: Of its inputs.
        optimiser: How it learns.
        validate_every: Steps between validations, from which ``best`` is chosen.
    """

    head: str = "bn_mlp"
    head_options: dict[str, object] = field(default_factory=dict)
    noise: InputNoiseOptions = field(default_factory=lambda: InputNoiseOptions(token_dropout=0.0))
    optimiser: OptimiserOptions = field(default_factory=lambda: OptimiserOptions(max_steps=3000))
    validate_every: int = 250


@dataclass(frozen=True)
class Imitated:
    """A trained policy at two moments.

    Attributes:
        last: At the end.
        best: Where the validation error was smallest.
        last_error: Mean distance from the demonstrated action on held-out demonstrations, unit of the action.
        best_error: The same for `best`.
        best_step: Where that was.
    """

    last: Policy
    best: Policy
    last_error: float
    best_error: float
    best_step: int


def imitate(
    training: Examples,
    validation: Examples,
    cameras: tuple[str, ...],
    grid: int,
    motion: Sequence[int],
    options: ImitationOptions,
    seed: int,
) -> Imitated:
    """Trains one policy.

    Args:
        training: To learn from.
        validation: To choose `best` by; never seen otherwise.
        cameras: Names, in the order of the tokens' second axis.
        grid: Of the tokens, see `PolicySpace`.
        motion: Columns of the action whose error decides.
        options: How.
        seed: Of the weights and batches.

    Raises:
        SparkError: The loss is not finite, or the head does not fit the tokens.
    """
    _, _, count, width = training.tokens.shape
    space = PolicySpace(
        cameras,
        count,
        width,
        grid,
        training.proprioception.shape[1],
        training.action.shape[1],
        training.action.shape[2],
    )
    torch.manual_seed(seed)
    model = build_policy(PolicyRecipe(options.head, space, dict(options.head_options), options.noise))
    model.set_statistics(measure_statistics(training, seed))  # type: ignore[arg-type]  # has what is asked of it
    average = copy.deepcopy(model).eval().requires_grad_(False)
    optimiser = make_optimiser(model, options.optimiser)
    held_out = validation.batch(np.arange(len(validation)))
    best: tuple[float, int, Policy] = (float("inf"), 0, average)
    size, steps = min(options.optimiser.batch_size, len(training)), options.optimiser.max_steps
    generator = np.random.default_rng([seed, 0])
    order: NDArray[np.int64] = np.zeros(0, np.int64)
    for step in range(steps):
        if len(order) < size:
            order = generator.permutation(len(training))
        batch, order = training.batch(order[:size]), order[size:]
        for group in optimiser.param_groups:
            group["lr"] = learning_rate(options.optimiser, step, step / steps)
        model.train()
        loss = sample_losses(model, batch, options.optimiser.smooth_l1_beta).mean()
        if not torch.isfinite(loss):
            raise SparkError(f"the policy's loss is not finite at step {step}: lower its learning rate")
        optimiser.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), options.optimiser.gradient_clip)
        optimiser.step()
        update_average(average, model, options.optimiser.ema_decay, step)
        if (step + 1) % options.validate_every == 0 or step + 1 == steps:
            error = _motion_error(average, held_out, motion)
            if error < best[0]:
                best = (error, step + 1, copy.deepcopy(average))
    return Imitated(average, best[2], _motion_error(average, held_out, motion), best[0], best[1])


@torch.no_grad()
def _motion_error(policy: Policy, batch: Batch, motion: Sequence[int]) -> float:
    """Mean length of the error of these columns over valid steps."""
    errors: list[Tensor] = []
    for start in range(0, len(batch.episode), 512):
        part = slice(start, start + 512)
        error = policy(batch.tokens[part], batch.proprioception[part]) - batch.action[part]
        errors.append(error[batch.valid[part]][:, list(motion)].norm(dim=1))
    return float(torch.cat(errors).mean())
