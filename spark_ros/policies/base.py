"""What every policy head looks like from outside: physical units in, physical units out.

Normalisation lives in buffers of the module and not beside it, so that a trained policy, its exported graph and its
copy on the robot cannot be fed with another data set's statistics.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from spark_ros.contracts import SparkError
from spark_ros.policies.regularise import InputNoise, InputNoiseOptions

# Proprioception further than this from the mean is clipped: a network extrapolates wildly where it saw no data, and
# a joint that hardly moved in the demonstrations reaches a hundred standard deviations with the first disturbance.
CLIP_DEVIATIONS = 5.0


@dataclass(frozen=True)
class PolicySpace:
    """Sizes of a policy's inputs and outputs.

    Attributes:
        cameras: Camera names, in the order of the tokens' second axis; C of them.
        num_tokens: Tokens per camera, K.
        token_dim: Channels per token, D.
        grid: Patches along one side where the last ``grid * grid`` tokens form a square map row by row, else 0.
        proprioception_size: P.
        horizon: Steps in a chunk, H.
        action_size: Numbers per step, A.
    """

    cameras: tuple[str, ...]
    num_tokens: int
    token_dim: int
    grid: int
    proprioception_size: int
    horizon: int
    action_size: int


@dataclass(frozen=True)
class PolicyStatistics:
    """Means and standard deviations of the training data, float32.

    Attributes:
        token_mean: (C, D), over frames and positions.
        token_std: (C, D).
        proprioception_mean: (P,).
        proprioception_std: (P,).
        action_mean: (H, A), of valid steps; each step of the chunk has its own, since later ones lie further away.
        action_std: (H, A).
    """

    token_mean: Tensor
    token_std: Tensor
    proprioception_mean: Tensor
    proprioception_std: Tensor
    action_mean: Tensor
    action_std: Tensor


@dataclass(frozen=True)
class PolicyRecipe:
    """Everything needed to build an untrained policy again.

    Attributes:
        head: Name in `registry.HEADS`.
        space: Sizes.
        options: Options of the head; what is left out has the head's default.
        noise: Input regularisers, active in training mode only.
    """

    head: str
    space: PolicySpace
    options: dict[str, Any] = field(default_factory=dict)
    noise: InputNoiseOptions = field(default_factory=InputNoiseOptions)


class Policy(nn.Module, ABC):
    """State tokens and proprioception to an action chunk.

    Args:
        recipe: What to build; `registry.build_policy` chooses the subclass.

    Attributes:
        recipe: As given.
        space: Its sizes.
    """

    token_mean: Tensor
    token_std: Tensor
    proprioception_mean: Tensor
    proprioception_std: Tensor
    action_mean: Tensor
    action_std: Tensor

    def __init__(self, recipe: PolicyRecipe) -> None:
        super().__init__()
        self.recipe = recipe
        self.space = space = recipe.space
        self.noise = InputNoise(recipe.noise)
        cameras, steps = len(space.cameras), (space.horizon, space.action_size)
        for name, shape in (
            ("token", (cameras, space.token_dim)),
            ("proprioception", (space.proprioception_size,)),
            ("action", steps),
        ):
            self.register_buffer(f"{name}_mean", torch.zeros(shape))
            self.register_buffer(f"{name}_std", torch.ones(shape))

    @abstractmethod
    def predict(self, tokens: Tensor, proprioception: Tensor) -> Tensor:
        """The head itself: standardised (B, C, K, D) and (B, P) to a standardised chunk (B, H, A)."""

    def forward(self, tokens: Tensor, proprioception: Tensor) -> Tensor:
        """Act.

        Args:
            tokens: (B, C, K, D) as the encoder gives them, cameras in the order of `space.cameras`.
            proprioception: (B, P), see `data.codec.Proprioception`.

        Returns:
            (B, H, A) in the units of `data.codec.ActionCodec`.
        """
        return self.standardised_actions(tokens, proprioception) * self.action_std + self.action_mean

    def standardised_actions(self, tokens: Tensor, proprioception: Tensor) -> Tensor:
        """As `forward`, in standard deviations of the training labels (B, H, A): what the loss compares."""
        tokens = (tokens - self.token_mean[:, None]) / self.token_std[:, None]
        proprioception = (proprioception - self.proprioception_mean) / self.proprioception_std
        proprioception = proprioception.clamp(-CLIP_DEVIATIONS, CLIP_DEVIATIONS)
        return self.predict(*self.noise(tokens, proprioception))

    def set_statistics(self, statistics: PolicyStatistics) -> None:
        """Take over the training data's statistics.

        Raises:
            SparkError: A shape does not fit `space`.
        """
        for name, value in vars(statistics).items():
            buffer = getattr(self, name)
            if buffer.shape != value.shape:
                raise SparkError(
                    f"statistics {name} have shape {tuple(value.shape)}, expected {tuple(buffer.shape)}: "
                    "compute them from the data set the policy is built for"
                )
            buffer.copy_(value)
