"""What is left of the foundation model in patch features: likeness to the original, and dense correspondence."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from spark_ros.contracts import ImageArray
from spark_ros.encoders.spark_losses import preservation


@dataclass(frozen=True)
class Likeness:
    """How alike two models' patch features of the same images are.

    Attributes:
        cosine: Mean cosine of a patch to the same patch, directly: no projection lies between.
        cka: Linear centred kernel alignment (Kornblith et al., arXiv:1905.00414), 1 up to rotation and scale.
        gram: Mean squared difference of the patches' cosines with each other within an image, 0 for the same.
    """

    cosine: float
    cka: float
    gram: float


def likeness(ours: Tensor, theirs: Tensor) -> Likeness:
    """Compare patch features (B, N, D) with (B, N, E); cosine is not a number where D and E differ."""
    ours, theirs = ours.double(), theirs.double()
    same_width = ours.shape[-1] == theirs.shape[-1]
    return Likeness(
        1.0 - float(preservation(ours, theirs, "cosine").mean()) if same_width else float("nan"),
        linear_cka(ours.flatten(0, 1), theirs.flatten(0, 1)),
        float(preservation(ours, theirs, "gram").mean()),
    )


def linear_cka(x: Tensor, y: Tensor) -> float:
    """Linear CKA of features (N, D) and (N, E) of the same N samples."""
    x, y = x - x.mean(dim=0), y - y.mean(dim=0)
    norms = torch.linalg.norm(x.T @ x) * torch.linalg.norm(y.T @ y)
    return float(torch.linalg.norm(x.T @ y).square() / norms) if norms > 0 else float("nan")


@dataclass(frozen=True)
class View:
    """A known change of an image.

    Shifts and scales are such that patches move by more than one patch: a model that answers with the same place in
    the image, which the position embedding alone would do, finds nothing.

    Attributes:
        shift: Right and down, over the image's side.
        scale: Magnification.
        degrees: Rotation about the centre.
        gain: Factor on the brightness.
        gamma: Exponent of the brightness before it.
    """

    shift: tuple[float, float] = (0.0, 0.0)
    scale: float = 1.0
    degrees: float = 0.0
    gain: float = 1.0
    gamma: float = 1.0

    def matrix(self, side: int) -> NDArray[np.float64]:
        """(2, 3) map of pixel coordinates of the image to those of the view, pixel centres at whole numbers."""
        centre = (side - 1) / 2
        matrix = cv2.getRotationMatrix2D((centre, centre), self.degrees, self.scale)
        matrix[:, 2] += np.multiply(self.shift, side)
        return np.asarray(matrix, np.float64)

    def __call__(self, image: ImageArray) -> ImageArray:
        """(S, S, 3) uint8 to (S, S, 3) uint8; what lies beyond the image is its reflection."""
        side = image.shape[0]
        moved = cv2.warpAffine(image, self.matrix(side), (side, side), borderMode=cv2.BORDER_REFLECT_101)
        light = np.clip(255.0 * self.gain * (np.arange(256) / 255.0) ** self.gamma, 0, 255).astype(np.uint8)
        return np.ascontiguousarray(light[moved])


VIEWS: Mapping[str, View] = {
    "shift": View(shift=(0.22, -0.16)),
    "scale": View(scale=1.5, shift=(-0.1, 0.08)),
    "rotation": View(degrees=35.0),
    "light": View(shift=(-0.19, 0.15), gain=0.7, gamma=1.4),
}
CLOSE = 1.0  # patches
TEXTURED = 0.5  # quantile of a patch's deviation: below it lie plain patches, which look like each other to anyone


def correspondence(patches: Callable[[ImageArray], Tensor], images: ImageArray) -> dict[str, float]:
    """How often the most similar patch is the right one, after each change of `VIEWS`.

    For every textured patch of a view whose true place lies in the image and more than `CLOSE` patches from its place
    in the view, the image's patch of highest cosine is looked up; it is right within `CLOSE` patches of the truth.

    Args:
        patches: (B, S, S, 3) uint8 images to (B, N, D) patch features, row by row.
        images: (B, S, S, 3) uint8.

    Returns:
        The part of right answers in [0, 1] by name of the view; views for which the grid is too coarse are left out.
    """
    original = F.normalize(patches(images).float(), dim=-1)
    right: dict[str, float] = {}
    for name, view in VIEWS.items():
        if not _truth(view, images.shape[1], round(original.shape[1] ** 0.5))[1].any():
            continue
        seen = np.stack([view(image) for image in images])
        found = F.normalize(patches(seen).float(), dim=-1)
        answers = (found @ original.mT).argmax(dim=-1).cpu().numpy()  # (B, N)
        right[name] = _part_right(view, seen, answers)
    return right


def correspondence_chance(side: int, grid: int) -> float:
    """What `correspondence` gives, as a mean over `VIEWS`, to answers drawn at random among `grid * grid` patches."""
    parts = []
    for view in VIEWS.values():
        truth, counted = _truth(view, side, grid)
        if counted.any():
            parts.append(_close(truth[counted, None], _centres(grid)[None]).mean())
    return float(np.mean(parts)) if parts else float("nan")


def _part_right(view: View, seen: ImageArray, answers: NDArray[np.int64]) -> float:
    count, side = seen.shape[:2]
    grid = round(answers.shape[1] ** 0.5)
    truth, counted = _truth(view, side, grid)
    patch = side // grid
    grey = seen[:, : grid * patch, : grid * patch].mean(axis=3)
    deviation = grey.reshape(count, grid, patch, grid, patch).std(axis=(2, 4)).reshape(count, -1)  # (B, N)
    textured = deviation >= np.quantile(deviation[:, counted], TEXTURED, axis=1, keepdims=True)
    right = _close(_centres(grid)[answers], truth[None])
    return float(right[textured & counted].mean())


def _truth(view: View, side: int, grid: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Where each patch (N) of the view lies in the image, (N, 2) in patches, and which of them are asked for."""
    centres = _centres(grid)
    patch = side / grid
    inverse = cv2.invertAffineTransform(view.matrix(side))
    pixels = (centres + 0.5) * patch - 0.5
    truth = ((pixels @ inverse[:, :2].T + inverse[:, 2]) + 0.5) / patch - 0.5
    inside = np.all((truth >= 0) & (truth <= grid - 1), axis=1)
    return truth, inside & ~_close(truth, centres)


def _centres(grid: int) -> NDArray[np.float64]:
    """(N, 2) column and row of each patch, row by row."""
    rows, columns = np.divmod(np.arange(grid * grid), grid)
    return np.stack([columns, rows], axis=1).astype(np.float64)


def _close(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.bool_]:
    return np.asarray(np.linalg.norm(a - b, axis=-1) <= CLOSE)
