"""Linear read-outs of a state vector, always judged on episodes they have not seen.

A probe asks what a frozen feature makes easy to read, so it is the simplest model there is: ridge regression in closed
form on standardised features. Frames of one episode resemble each other, so every split is by episode: the outer folds
that the figures come from, and the inner split that picks the strength of the ridge.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FOLDS = 5
MIN_EPISODES = 4  # the outer split needs three to learn from, of which the inner one keeps one aside
# Over the number of samples times the (unit) variance of a feature. The strongest ridge predicts the mean, so that a
# feature that knows nothing scores about 0 and not far below.
STRENGTHS = np.logspace(-5, 4, 19)
INNER_PART = 0.25


@dataclass(frozen=True)
class Fit:
    """How well something could be read from features of unseen episodes.

    Attributes:
        r2: 1 - squared error over variance, all columns together (a column counts by how much it varies).
        error: Mean Euclidean distance, in the labels' unit.
    """

    r2: float
    error: float


def regress(features: Sequence[Array], labels: Sequence[Array], seed: int = 0) -> Fit:
    """Read `labels` linearly from `features`.

    Args:
        features: Per episode (T, D).
        labels: Per episode (T, L).
        seed: Of the splits.
    """
    predicted, truth = predict_held_out(features, labels, seed)
    residual = predicted - truth
    variance = np.square(truth - truth.mean(axis=0)).sum()
    r2 = 1.0 - np.square(residual).sum() / variance if variance > 0 else float("nan")
    return Fit(float(r2), float(np.linalg.norm(residual, axis=1).mean()))


def order_accuracy(first: Sequence[Array], second: Sequence[Array], seed: int = 0) -> float:
    """How often a linear classifier on [a, b, b - a] tells which of two states came first; chance is 0.5.

    Every pair is shown in both orders, so knowing which of them is commoner is worth nothing.

    Args:
        first: Per episode (P, D), the earlier states of its pairs.
        second: Per episode (P, D), the later ones.
        seed: Of the splits.
    """
    features, labels = [], []
    for early, late in zip(first, second, strict=True):
        forward = np.concatenate([early, late, late - early], axis=1)
        backward = np.concatenate([late, early, early - late], axis=1)
        features.append(np.concatenate([forward, backward]))
        labels.append(np.repeat([1.0, -1.0], len(early))[:, None])
    predicted, truth = predict_held_out(features, labels, seed)
    return float(np.mean(np.sign(predicted) == truth))


def predict_held_out(features: Sequence[Array], labels: Sequence[Array], seed: int = 0) -> tuple[Array, Array]:
    """Every episode's labels as predicted by a probe fitted to other episodes.

    Args:
        features: Per episode (T, D), of at least `MIN_EPISODES` episodes.
        labels: Per episode (T, L).
        seed: Of the splits.

    Returns:
        Predictions and labels, (N, L) each, N being all frames of all episodes.
    """
    rng = np.random.default_rng(seed)
    order = rng.permutation(len(features))
    predicted, truth = [], []
    for held_out in np.array_split(order, min(FOLDS, len(order))):
        training = rng.permutation([episode for episode in order if episode not in held_out])
        predict = _fit([features[e] for e in training], [labels[e] for e in training])
        for episode in held_out:
            predicted.append(predict(features[episode]))
            truth.append(labels[episode])
    return np.concatenate(predicted), np.concatenate(truth)


def _fit(features: Sequence[Array], labels: Sequence[Array]) -> Callable[[Array], Array]:
    """A ridge regression whose strength some of the episodes have picked."""
    kept = max(1, round(INNER_PART * len(features)))
    chosen_by, truth = np.concatenate(features[:kept]), np.concatenate(labels[:kept])
    path = _RidgePath(np.concatenate(features[kept:]), np.concatenate(labels[kept:]))
    errors = [np.square(path.predict(chosen_by, strength) - truth).sum() for strength in STRENGTHS]
    best = float(STRENGTHS[int(np.argmin(errors))])
    whole = _RidgePath(np.concatenate(features), np.concatenate(labels))
    return lambda x: whole.predict(x, best)


class _RidgePath:
    """Ridge regressions of every strength, for one eigendecomposition.

    Args:
        x: (N, D) features.
        y: (N, L) labels.
    """

    def __init__(self, x: Array, y: Array) -> None:
        self._mean, deviation = x.mean(axis=0), x.std(axis=0)
        # A channel that does not vary among these frames carries nothing, and must not be blown up elsewhere.
        self._scale = np.where(deviation > 1e-6, deviation, np.inf)
        self._offset = y.mean(axis=0)
        x, y = (x - self._mean) / self._scale, y - self._offset
        self._samples = len(x)
        if x.shape[0] >= x.shape[1]:
            self._values, vectors = np.linalg.eigh(x.T @ x)
            self._left, self._right = vectors, vectors.T @ (x.T @ y)
        else:  # more channels than frames: the same weights from the smaller matrix
            self._values, vectors = np.linalg.eigh(x @ x.T)
            self._left, self._right = x.T @ vectors, vectors.T @ y

    def predict(self, x: Array, strength: float) -> Array:
        """(N, D) features to (N, L) labels."""
        shrunk = self._right / (np.maximum(self._values, 0.0) + strength * self._samples)[:, None]
        return ((x - self._mean) / self._scale) @ (self._left @ shrunk) + self._offset
