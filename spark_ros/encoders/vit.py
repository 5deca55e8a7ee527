"""A vision transformer in the DINOv2 layout, readable in one sitting.

Oquab et al., *DINOv2: Learning Robust Visual Features without Supervision*, arXiv:2304.07193: pre-norm blocks with
layer scale; optionally register tokens (Darcet et al., arXiv:2309.16588). `weights.py` maps published checkpoints onto
the parameter names used here.

The position embedding has the size of the image the model was built for: `resize_position_embedding` runs once, when
weights are loaded, so neither inference nor an exported graph ever resizes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn


@dataclass(frozen=True)
class ViTConfig:
    """The shape of a vision transformer.

    Attributes:
        width: Channels of a token, D.
        depth: Number of blocks.
        heads: Attention heads; `width` must divide by it.
        patch_size: Side of a patch in pixels.
        registers: Number of register tokens, R.
        mlp_ratio: Hidden channels of the block's MLP over `width`.
        image_size: Side in pixels of the square image the position embedding fits.
    """

    width: int
    depth: int
    heads: int
    patch_size: int = 14
    registers: int = 0
    mlp_ratio: int = 4
    image_size: int = 224

    @property
    def grid(self) -> int:
        """Patches along one side."""
        return self.image_size // self.patch_size


def vit_small(image_size: int, registers: int = 0) -> ViTConfig:
    """ViT-S/14: 22 M parameters."""
    return ViTConfig(width=384, depth=12, heads=6, registers=registers, image_size=image_size)


def vit_base(image_size: int, registers: int = 0) -> ViTConfig:
    """ViT-B/14: 87 M parameters."""
    return ViTConfig(width=768, depth=12, heads=12, registers=registers, image_size=image_size)


def vit_large(image_size: int, registers: int = 0) -> ViTConfig:
    """ViT-L/14: 304 M parameters."""
    return ViTConfig(width=1024, depth=24, heads=16, registers=registers, image_size=image_size)


class ViT(nn.Module):
    """Images to tokens, with the output of any block on request.

    A token sequence is [cls, R registers, K = grid x grid patches row by row].
    """

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.config = config
        self.patch_embed = nn.Conv2d(3, config.width, config.patch_size, stride=config.patch_size)
        self.cls_token = nn.Parameter(torch.zeros(1, 1, config.width))
        self.pos_embed = nn.Parameter(torch.zeros(1, 1 + config.grid**2, config.width))
        self.register_tokens = nn.Parameter(torch.zeros(1, config.registers, config.width))
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.depth))
        self.norm = nn.LayerNorm(config.width, eps=1e-6)

    @property
    def num_prefix_tokens(self) -> int:
        """Tokens before the patches: cls and registers."""
        return 1 + self.config.registers

    def forward(self, images: Tensor, blocks: Sequence[int] | None = None) -> dict[int, Tensor]:
        """Tokens after the asked blocks, computing no block beyond the last one asked.

        Args:
            images: (B, 3, H, W) float, ImageNet-normalised, H = W = `config.image_size`.
            blocks: Block numbers from 1; 0 means the embeddings. The last block if left out.

        Returns:
            For each asked block its raw tokens (B, 1 + R + K, D), before `norm`.
        """
        wanted = (len(self.blocks),) if blocks is None else tuple(blocks)
        x = self.embed(images)
        outputs = {0: x} if 0 in wanted else {}
        for number, block in enumerate(self.blocks[: max(wanted)], start=1):
            x = block(x)
            if number in wanted:
                outputs[number] = x
        return outputs

    def embed(self, images: Tensor) -> Tensor:
        """(B, 3, H, W) images to (B, 1 + R + K, D) tokens before the first block."""
        patches = self.patch_embed(images).flatten(2).transpose(1, 2)  # (B, K, D)
        cls = self.cls_token.expand(patches.shape[0], -1, -1)
        x = torch.cat([cls, patches], dim=1) + self.pos_embed
        if self.config.registers:  # registers carry no position
            registers = self.register_tokens.expand(x.shape[0], -1, -1)
            x = torch.cat([x[:, :1], registers, x[:, 1:]], dim=1)
        return x


class Block(nn.Module):
    """x + LayerScale(Attention(LN(x))), then the same with an MLP."""

    def __init__(self, config: ViTConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width, eps=1e-6)
        self.attn = Attention(config.width, config.heads)
        self.ls1 = LayerScale(config.width)
        self.norm2 = nn.LayerNorm(config.width, eps=1e-6)
        self.mlp = Mlp(config.width, config.mlp_ratio * config.width)
        self.ls2 = LayerScale(config.width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        x = x + self.ls1(self.attn(self.norm1(x)))
        return x + self.ls2(self.mlp(self.norm2(x)))


class Attention(nn.Module):
    """Multi-head self-attention; `qkv` holds query, key, value in this order."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        batch, count, width = x.shape
        qkv = self.qkv(x).view(batch, count, 3, self.heads, width // self.heads)
        query, key, value = qkv.permute(2, 0, 3, 1, 4).unbind(0)  # each (B, heads, N, D / heads)
        x = self.attend(query, key, value)
        return self.proj(x.transpose(1, 2).reshape(batch, count, width))

    def attend(self, query: Tensor, key: Tensor, value: Tensor) -> Tensor:
        """softmax(Q K^T / sqrt(C)) V, each (B, heads, N, C)."""
        return F.scaled_dot_product_attention(query, key, value)


class Mlp(nn.Module):
    """Linear, exact GELU, linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        return self.fc2(F.gelu(self.fc1(x)))


class LayerScale(nn.Module):
    """A learned factor per channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.ones(width))

    def forward(self, x: Tensor) -> Tensor:
        """(B, N, D) to (B, N, D)."""
        return x * self.gamma


def resize_position_embedding(embedding: Tensor, grid: int, antialias: bool) -> Tensor:
    """Fit a position embedding to another number of patches.

    Bicubic with a = -0.75 and half-pixel centres, as the DINOv2 models were evaluated (torch's `bicubic`).

    Args:
        embedding: (1, 1 + G * G, D), the cls position first.
        grid: Wanted patches along one side.
        antialias: True for the models with registers, which were published with it.

    Returns:
        (1, 1 + grid * grid, D).
    """
    cls, patches = embedding[:, :1], embedding[:, 1:]
    side = round(patches.shape[1] ** 0.5)
    if side == grid:
        return embedding
    patches = patches.reshape(1, side, side, -1).permute(0, 3, 1, 2).float()
    patches = F.interpolate(patches, size=(grid, grid), mode="bicubic", align_corners=False, antialias=antialias)
    return torch.cat([cls, patches.permute(0, 2, 3, 1).reshape(1, grid * grid, -1).to(cls.dtype)], dim=1)


def initialise(model: ViT, seed: int) -> None:
    """Random weights that depend on nothing but `seed`: truncated normal, std 0.02, layer scale 1.

    Layer scale starts at 1 and not at DINOv2's 1e-5, with which an untrained model would pass its patch embedding
    through unchanged and be no control for a trained one.
    """
    generator = torch.Generator().manual_seed(seed)
    for module in model.modules():
        if isinstance(module, nn.Linear | nn.Conv2d):
            nn.init.trunc_normal_(module.weight, std=0.02, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
    for token in (model.cls_token, model.pos_embed, model.register_tokens):
        nn.init.trunc_normal_(token, std=0.02, generator=generator)
