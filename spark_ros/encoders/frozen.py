"""A pretrained vision transformer used as it is: the tokens of one of its blocks.

Later blocks are removed, so they cost neither time nor memory nor space in an exported bundle.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor

from spark_ros.contracts import SparkError
from spark_ros.encoders.base import Encoder
from spark_ros.encoders.weights import load_vit

TOKENS = ("patch", "cls+patch", "cls", "mean")
NORMS = ("final", "none")


class FrozenFeatures(Encoder):
    """Tokens after block `block`, without gradients.

    Args:
        weights: A source as in `weights`.
        image_size: Side of the square input in pixels, a multiple of the patch size.
        block: Number of the block from 1. 9 of a ViT-S by default: half-way features carry geometry that the last
            blocks have traded for semantics, and those of *dinov2-s-derived* are fine-tuned for another task.
        tokens: ``patch``, ``cls+patch`` (cls first), ``cls`` or ``mean`` (of all patches).
        norm: ``final`` applies the model's last layer norm, as DINOv2 does to intermediate blocks; it brings a few
            channels that are a hundred times larger than the rest into a range that float16 caches and int8 like.
        weights_sha256: If given, the weights must have this hash.

    Raises:
        SparkError: The weights cannot be had, have another hash, or an option is unknown.
    """

    keep_float = ("vit.blocks.0.mlp",)  # a few channels of the patch embedding are far larger than the rest

    def __init__(
        self,
        weights: str,
        image_size: int = 112,
        block: int = 9,
        tokens: str = "patch",
        norm: str = "final",
        weights_sha256: str | None = None,
    ) -> None:
        super().__init__()
        if tokens not in TOKENS or norm not in NORMS:
            raise SparkError(
                f"encoder options tokens={tokens!r} and norm={norm!r} are not known: "
                f"use one of {', '.join(TOKENS)} and one of {', '.join(NORMS)}"
            )
        vit, loaded = load_vit(weights, image_size)
        if weights_sha256 is not None and weights_sha256 != loaded.sha256:
            raise SparkError(
                f"the weights {weights} have SHA-256 {loaded.sha256[:12]}…, expected {weights_sha256[:12]}…: "
                "get the file the encoder was made from"
            )
        if not 1 <= block <= vit.config.depth:
            raise SparkError(f"encoder block {block} does not exist: {weights} has blocks 1 to {vit.config.depth}")
        self.vit = vit
        self.vit.blocks = vit.blocks[:block]
        self.notice = loaded.notice
        self._tokens = tokens
        self._norm = norm
        self.image_size = image_size
        self.token_dim = vit.config.width
        self.grid = vit.config.grid if "patch" in tokens else 0
        self.num_tokens = self.grid**2 + (tokens != "patch")
        self.recipe: dict[str, Any] = {
            "name": "frozen",
            "weights": weights,
            "weights_sha256": loaded.sha256,
            "image_size": image_size,
            "block": block,
            "tokens": tokens,
            "norm": norm,
        }
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) float, ImageNet-normalised, to (B, K, D)."""
        block = len(self.vit.blocks)
        x = self.vit(images)[block]  # (B, 1 + R + grid * grid, D)
        if self._norm == "final":
            x = self.vit.norm(x)
        cls, patches = x[:, :1], x[:, self.vit.num_prefix_tokens :]
        if self._tokens == "cls":
            return cls
        if self._tokens == "mean":
            return patches.mean(dim=1, keepdim=True)
        return patches if self._tokens == "patch" else torch.cat([cls, patches], dim=1)
