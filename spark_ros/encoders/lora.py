"""Low-rank adaptation of a vision transformer's linear layers.

Hu et al., *LoRA: Low-Rank Adaptation of Large Language Models*, arXiv:2106.09685: y = W x + (alpha / r) B A x with B
zero at the start, so an adapted model begins as the original.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class LoraLinear(nn.Module):
    """A frozen linear layer beside a trainable update of rank r.

    Args:
        base: The layer; it is frozen.
        rank: r.
        alpha: The update is scaled by alpha / r.
    """

    def __init__(self, base: nn.Linear, rank: int, alpha: float) -> None:
        super().__init__()
        self.base = base.requires_grad_(False)
        self.scale = alpha / rank
        self.down = nn.Parameter(torch.empty(rank, base.in_features))
        self.up = nn.Parameter(torch.zeros(base.out_features, rank))
        nn.init.kaiming_uniform_(self.down, a=math.sqrt(5))

    def forward(self, x: Tensor) -> Tensor:
        """(..., in) to (..., out)."""
        return self.base(x) + F.linear(F.linear(x, self.down), self.up) * self.scale

    @torch.no_grad()
    def merged(self) -> nn.Linear:
        """One plain layer that computes the same."""
        layer = nn.Linear(self.base.in_features, self.base.out_features, bias=self.base.bias is not None)
        layer.load_state_dict(self.base.state_dict())
        layer.weight += self.scale * self.up @ self.down
        return layer


def add_lora(module: nn.Module, rank: int, alpha: float) -> None:
    """Replaces every linear layer below `module`, in place."""
    for name, child in module.named_children():
        if isinstance(child, nn.Linear):
            setattr(module, name, LoraLinear(child, rank, alpha))
        else:
            add_lora(child, rank, alpha)


def merge_lora(module: nn.Module) -> None:
    """Undoes `add_lora`, keeping what was learnt, in place."""
    for name, child in module.named_children():
        if isinstance(child, LoraLinear):
            setattr(module, name, child.merged())
        else:
            merge_lora(child)
