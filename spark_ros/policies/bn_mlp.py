"""Batch norm, then a plain MLP: the head with which published studies compare compact states.

CortexBench (Majumdar et al., arXiv:2303.18240, its `BatchNormMLP`) puts batch norm over the concatenated embedding
and proprioception and three hidden layers of 256 behind it. There is nothing in it that could make up for what an
encoder leaves out, which is why encoders are compared with it; it predicts a chunk here instead of one action.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import torch
from torch import Tensor, nn

from spark_ros.contracts import SparkError
from spark_ros.policies.base import Policy, PolicyRecipe
from spark_ros.policies.options import read_options


@dataclass(frozen=True)
class BnMlpOptions:
    """Options of the head.

    Attributes:
        width: Numbers in each hidden layer.
        layers: Hidden layers.
        momentum: Part of a batch's statistics that enters the running ones.
        dropout: Dropout after each hidden layer.
    """

    width: int = 256
    layers: int = 3
    momentum: float = 0.1
    dropout: float = 0.0


class BnMlp(Policy):
    """[flattened tokens of all cameras, proprioception] -> batch norm -> MLP -> chunk.

    Raises:
        SparkError: The tokens are a patch grid, or an option is unknown or out of range.
    """

    def __init__(self, recipe: PolicyRecipe) -> None:
        super().__init__(recipe)
        options = read_options(BnMlpOptions, recipe.options, "policy.options")
        space = recipe.space
        if space.grid:
            raise SparkError(
                f"bn_mlp takes a compact state, this encoder gives a grid of {space.grid} x {space.grid} patches: "
                "set encoder.tokens to cls or bottleneck, or policy.head=spatial_mlp"
            )
        if options.layers < 1 or options.width < 1:
            raise SparkError(
                f"bn_mlp with {options.layers} layers of {options.width} is not possible: expected at least 1 of each"
            )
        inputs = len(space.cameras) * space.num_tokens * space.token_dim + space.proprioception_size
        self.norm = nn.BatchNorm1d(inputs, momentum=options.momentum)
        sizes = [inputs, *[options.width] * options.layers]
        hidden: list[nn.Module] = []
        for ins, outs in pairwise(sizes):
            hidden += [nn.Linear(ins, outs), nn.ReLU(), nn.Dropout(options.dropout)]
        self.mlp = nn.Sequential(*hidden, nn.Linear(options.width, space.horizon * space.action_size))

    def predict(self, tokens: Tensor, proprioception: Tensor) -> Tensor:
        """See `Policy.predict`."""
        x = self.norm(torch.cat([tokens.flatten(1), proprioception], dim=1))
        return self.mlp(x).view(-1, self.space.horizon, self.space.action_size)
