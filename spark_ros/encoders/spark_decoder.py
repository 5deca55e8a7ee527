"""The light decoder of SPARK: bottleneck tokens and a few visible patches to all patches of the later frame."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor, nn

from spark_ros.encoders.vit import Block, ViTConfig


class FutureDecoder(nn.Module):
    """A small transformer over [K bottleneck tokens, N patches], most of which are a mask token.

    Args:
        encoder: Shape of the model whose tokens it sees.
        width: Channels.
        depth: Blocks.
        heads: Attention heads.
        target: ``teacher``, ``pixels`` or ``both``, see `spark.SparkOptions`.
    """

    def __init__(self, encoder: ViTConfig, width: int, depth: int, heads: int, target: str) -> None:
        super().__init__()
        count = encoder.grid**2
        self.squeeze = nn.Linear(encoder.width, width)
        self.hint = nn.Linear(encoder.width, width)
        self.mask_token = nn.Parameter(torch.zeros(1, 1, width))
        self.position = nn.Parameter(torch.zeros(1, count, width))
        config = replace(encoder, width=width, depth=depth, heads=heads)
        self.blocks = nn.ModuleList(Block(config) for _ in range(depth))
        self.norm = nn.LayerNorm(width)
        self.features = nn.Linear(width, encoder.width) if target != "pixels" else None
        self.pixels = nn.Linear(width, 3 * encoder.patch_size**2) if target != "teacher" else None
        for parameter in (self.mask_token, self.position):
            nn.init.trunc_normal_(parameter, std=0.02)

    def forward(self, bottleneck: Tensor, hints: Tensor, places: Tensor) -> tuple[Tensor | None, Tensor | None]:
        """Predict the later frame.

        Args:
            bottleneck: (B, K, D) of the first frame.
            hints: (B, V, D) encoded visible patches of the later frame.
            places: (B, V) int64, which patches they are.

        Returns:
            Teacher features (B, N, D) and pixels (B, N, 3 * P * P); None for what is not predicted.
        """
        batch, _, _ = hints.shape
        count, width = self.position.shape[1:]
        squeezed, seen = self.squeeze(bottleneck), self.hint(hints)
        patches = self.mask_token.to(seen.dtype).expand(batch, count, width)
        patches = patches.scatter(1, places[..., None].expand(-1, -1, width), seen) + self.position
        x = torch.cat([squeezed, patches], dim=1)
        for block in self.blocks:
            x = block(x)
        x = self.norm(x)[:, squeezed.shape[1] :]
        return (
            None if self.features is None else self.features(x),
            None if self.pixels is None else self.pixels(x),
        )
