"""The trainable parts of SPARK that start as the original: the student, and the projection onto the teacher."""

from __future__ import annotations

import copy
from dataclasses import replace

import torch
from torch import Tensor, nn

from spark_ros.encoders.lora import add_lora
from spark_ros.encoders.spark_options import SparkOptions
from spark_ros.encoders.vit import ViT


def make_student(teacher: ViT, options: SparkOptions) -> ViT:
    """A trainable copy of the teacher with the bottleneck and the adaptation that the options ask for."""
    student = copy.deepcopy(teacher).requires_grad_(True)
    if options.bottleneck == "learned":
        tokens = options.bottleneck_tokens
        start = student.cls_token.detach() + student.pos_embed.detach()[:, :1]
        noise = 0.02 * torch.randn(1, tokens, start.shape[-1], generator=torch.Generator().manual_seed(0))
        registers = torch.cat([student.register_tokens.detach(), start + noise], dim=1)
        student.register_tokens = nn.Parameter(registers)
        student.config = replace(student.config, registers=student.config.registers + tokens)
    if options.adaptation == "full":
        return student
    student.requires_grad_(False)
    if options.adaptation == "lora":
        add_lora(student.blocks, options.lora_rank, options.lora_alpha)
    else:
        student.blocks[-options.last_blocks :].requires_grad_(True)
        student.norm.requires_grad_(True)
    if options.bottleneck == "learned":
        student.register_tokens.requires_grad_(True)
    return student


def make_projection(kind: str, width: int) -> nn.Module:
    """Student patches to teacher patches, (..., D) to (..., D); `kind` as in `SparkOptions.projection`."""
    if kind == "identity":
        return nn.Identity()
    if kind == "linear":
        linear = nn.Linear(width, width)
        with torch.no_grad():
            linear.weight.copy_(torch.eye(width))
            linear.bias.zero_()
        return linear
    return _ResidualMlp(width)


class _ResidualMlp(nn.Module):
    """x + MLP(x), the identity at the start."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(width, width), nn.GELU(), nn.Linear(width, width))
        nn.init.zeros_(self.layers[2].weight)  # type: ignore[arg-type]
        nn.init.zeros_(self.layers[2].bias)  # type: ignore[arg-type]

    def forward(self, x: Tensor) -> Tensor:
        """(..., D) to (..., D)."""
        return x + self.layers(x)
