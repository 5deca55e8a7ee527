"""How far a student is from its teacher, and what a pixel target looks like."""

from __future__ import annotations

import torch.nn.functional as F
from torch import Tensor


def preservation(student: Tensor, teacher: Tensor, kind: str) -> Tensor:
    """(B,) how far the student's patches (B, N, D) are from the teacher's (B, N, D); `kind` as in `SparkOptions`."""
    if kind == "gram":
        a, b = F.normalize(student, dim=-1), F.normalize(teacher, dim=-1)
        return (a @ a.mT - b @ b.mT).square().mean(dim=(1, 2))
    distance = (1.0 - F.cosine_similarity(student, teacher, dim=-1)).mean(dim=1)
    if kind == "cosine+l1":
        distance = distance + F.smooth_l1_loss(student, teacher, reduction="none").mean(dim=(1, 2))
    return distance


def normalised_patches(images: Tensor, patch_size: int) -> Tensor:
    """(B, 3, S, S) to (B, N, 3 * P * P), every patch with mean 0 and deviation 1."""
    patches = F.unfold(images.float(), patch_size, stride=patch_size).transpose(1, 2)
    mean, variance = patches.mean(dim=2, keepdim=True), patches.var(dim=2, keepdim=True)
    return (patches - mean) / (variance + 1e-6).sqrt()
