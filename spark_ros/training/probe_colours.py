"""Features as colours: principal components that mean the same in every picture they are drawn in."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Colours:
    """The three strongest principal components of features, as red, green and blue.

    Attributes:
        mean: (D,).
        axes: (D, 3).
        low: (3,) what is drawn dark.
        high: (3,) what is drawn bright.
    """

    mean: Tensor
    axes: Tensor
    low: Tensor
    high: Tensor

    def __call__(self, features: Tensor) -> Tensor:
        """(..., D) features to (..., 3) in [0, 1]."""
        return (((features - self.mean) @ self.axes - self.low) / (self.high - self.low)).clamp(0.0, 1.0)


def fit_colours(features: Tensor, like: Tensor | None = None) -> Colours:
    """Colours that tell the features (N, D) apart as well as three numbers can.

    Args:
        features: Of many patches.
        like: (N, 3) colours of the same patches to come close to in sign, since a component has none of its own.
    """
    mean = features.mean(dim=0)
    # Of the covariance, which is small however many patches there are.
    _, vectors = torch.linalg.eigh((features - mean).T @ (features - mean))
    axes = vectors[:, -3:].flip(1)
    axes = axes * torch.sign(axes.sum(dim=0))  # a fixed sign: the same features give the same colours
    values = (features - mean) @ axes
    if like is not None:
        agreement = torch.sign(((values - values.mean(dim=0)) * (like - like.mean(dim=0))).sum(dim=0))
        axes, values = axes * agreement, values * agreement
    low, high = torch.quantile(values, torch.tensor([0.01, 0.99], dtype=values.dtype), dim=0)
    return Colours(mean, axes, low, high + 1e-9)


def turned_onto(features: Tensor, target: Tensor) -> Tensor:
    """Features (N, D) moved and rotated as a whole to lie as near to `target` (N, D) as they can (Procrustes).

    Training may turn the feature space without losing anything; what is still different after this is.
    """
    mean, target_mean = features.mean(dim=0), target.mean(dim=0)
    u, _, v = torch.linalg.svd((features - mean).T @ (target - target_mean))
    return (features - mean) @ (u @ v) + target_mean
