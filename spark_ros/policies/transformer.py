"""Learned queries, one per step of the chunk, that attend to every token: the head for tokens without a grid.

After ACT (Zhao et al., "Learning Fine-Grained Bimanual Manipulation with Low-Cost Hardware", arXiv:2304.13705)
without its variational encoder, which a scripted or a single operator's demonstrations do not need, and without
self-attention among the observation tokens: a vision transformer has just done that.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spark_ros.contracts import SparkError
from spark_ros.policies.base import Policy, PolicyRecipe
from spark_ros.policies.options import read_options


@dataclass(frozen=True)
class TransformerOptions:
    """Options of the head.

    Attributes:
        width: Channels of a token inside the head, a multiple of `heads`.
        heads: Attention heads.
        layers: Decoder layers.
        dropout: Dropout of the layers' MLPs.
    """

    width: int = 128
    heads: int = 4
    layers: int = 3
    dropout: float = 0.1


class Transformer(Policy):
    """Queries (H) cross-attend to the tokens of all cameras and one token of proprioception.

    Raises:
        SparkError: An option is unknown or the width does not divide by the heads.
    """

    def __init__(self, recipe: PolicyRecipe) -> None:
        super().__init__(recipe)
        options = read_options(TransformerOptions, recipe.options, "policy.options")
        if options.width % options.heads:
            raise SparkError(
                f"policy.options.width={options.width} does not divide by policy.options.heads={options.heads}: "
                f"use e.g. {options.width // options.heads * options.heads}"
            )
        space = recipe.space
        self.token_inlet = nn.Linear(space.token_dim, options.width)
        self.token_position = nn.Parameter(0.02 * torch.randn(len(space.cameras), space.num_tokens, options.width))
        self.proprioception_inlet = nn.Linear(space.proprioception_size, options.width)
        self.queries = nn.Parameter(torch.randn(space.horizon, options.width))
        self.memory_norm = nn.LayerNorm(options.width)
        self.layers = nn.ModuleList(DecoderLayer(options) for _ in range(options.layers))
        self.outlet = nn.Sequential(nn.LayerNorm(options.width), nn.Linear(options.width, space.action_size))

    def predict(self, tokens: Tensor, proprioception: Tensor) -> Tensor:
        """See `Policy.predict`."""
        seen = (self.token_inlet(tokens) + self.token_position).flatten(1, 2)  # (B, C * K, W)
        felt = self.proprioception_inlet(proprioception)[:, None]  # (B, 1, W)
        memory = self.memory_norm(torch.cat([seen, felt], dim=1))
        x = self.queries + felt  # (B, H, W): proprioception also reaches every query directly
        for layer in self.layers:
            x = layer(x, memory)
        return self.outlet(x)


class DecoderLayer(nn.Module):
    """Self-attention among the queries, cross-attention to the memory, MLP; each pre-norm and residual."""

    def __init__(self, options: TransformerOptions) -> None:
        super().__init__()
        width = options.width
        self.self_norm, self.cross_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.self_attention = Attention(width, options.heads)
        self.cross_attention = Attention(width, options.heads)
        self.mlp = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 4 * width),
            nn.GELU(),
            nn.Dropout(options.dropout),
            nn.Linear(4 * width, width),
        )

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """(B, H, W) and (B, M, W) to (B, H, W)."""
        normed = self.self_norm(x)
        x = x + self.self_attention(normed, normed)
        x = x + self.cross_attention(self.cross_norm(x), memory)
        return x + self.mlp(x)


class Attention(nn.Module):
    """Multi-head attention of queries (B, H, W) over a memory (B, M, W)."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.query, self.key_value = nn.Linear(width, width), nn.Linear(width, 2 * width)
        self.outlet = nn.Linear(width, width)

    def forward(self, x: Tensor, memory: Tensor) -> Tensor:
        """(B, H, W) and (B, M, W) to (B, H, W)."""
        key, value = self.key_value(memory).chunk(2, dim=-1)
        attended = F.scaled_dot_product_attention(self._split(self.query(x)), self._split(key), self._split(value))
        return self.outlet(attended.transpose(1, 2).flatten(2))

    def _split(self, x: Tensor) -> Tensor:
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, heads, N, W / heads)
