"""Noise on a policy's standardised inputs while it trains; nothing at all afterwards.

There is no Gaussian noise on tokens: drawing 50,000 numbers per sample takes seven times as long as the rest of a step
of the spatial head on a CPU, and augmented images vary the tokens in the way that images really do.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class InputNoiseOptions:
    """How much noise; the unit is one standard deviation of the training data.

    Attributes:
        token_dropout: Probability with which a token is replaced by the mean token.
        proprioception_noise: Standard deviation of noise added to every number. Without it, a policy tells the phase
            of the task from joint angles to a precision that the arm never repeats.
        proprioception_dropout: Probability with which a sample's whole proprioception is replaced by its mean, so
            that the images alone must do: the known trap is a policy that replays the average demonstration.
    """

    token_dropout: float = 0.05
    proprioception_noise: float = 0.05
    proprioception_dropout: float = 0.1


class InputNoise(nn.Module):
    """Applies `InputNoiseOptions` in training mode, is the identity otherwise."""

    def __init__(self, options: InputNoiseOptions) -> None:
        super().__init__()
        self.options = options

    def forward(self, tokens: Tensor, proprioception: Tensor) -> tuple[Tensor, Tensor]:
        """Standardised (B, C, K, D) and (B, P) to the same shapes."""
        if not self.training:
            return tokens, proprioception
        options = self.options
        if options.token_dropout > 0.0:
            tokens = tokens * (torch.rand(tokens.shape[:3], device=tokens.device) >= options.token_dropout)[..., None]
        if options.proprioception_noise > 0.0:
            proprioception = proprioception + options.proprioception_noise * torch.randn_like(proprioception)
        if options.proprioception_dropout > 0.0:
            kept = torch.rand(len(proprioception), 1, device=proprioception.device) >= options.proprioception_dropout
            proprioception = proprioception * kept
        return tokens, proprioception
