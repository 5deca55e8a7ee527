"""Spatial keypoints from patch tokens, then an MLP: the cheap and accurate head for a small patch grid.

Each keypoint is a learned attention map over a camera's patch grid. It yields *where* (the soft-argmax coordinates of
Levine et al., "End-to-End Training of Deep Visuomotor Policies", JMLR 2016, section 5.2) and *what* (the expectation
of the tokens under the same map, as in attention pooling). The second half is what makes an 8x8 grid enough: one patch
of a 112 px image covers about 10 cm of a table, and where inside its patch an object lies is written in the patch's
channels, not in the map.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spark_ros.contracts import SparkError
from spark_ros.policies.base import Policy, PolicyRecipe, PolicySpace
from spark_ros.policies.options import read_options


@dataclass(frozen=True)
class SpatialMlpOptions:
    """Options of the head.

    Attributes:
        keypoints: Attention maps per camera, N.
        features: Numbers kept from the expected token of each keypoint, V.
        bottleneck: Channels that the attention maps are computed from.
        width: Width of the MLP.
        blocks: Residual blocks of the MLP.
        dropout: Dropout in the MLP.
    """

    keypoints: int = 16
    features: int = 16
    bottleneck: int = 64
    width: int = 256
    blocks: int = 2
    dropout: float = 0.1


class SpatialMlp(Policy):
    """Keypoints of every camera + proprioception -> residual MLP -> chunk.

    Raises:
        SparkError: The tokens are not a patch grid, or an option is unknown.
    """

    def __init__(self, recipe: PolicyRecipe) -> None:
        super().__init__(recipe)
        options = read_options(SpatialMlpOptions, recipe.options, "policy.options")
        space = recipe.space
        if space.grid == 0:
            raise SparkError(
                "spatial_mlp needs patch tokens on a grid, this encoder gives none: set policy.head=transformer"
            )
        self.keypoints = nn.ModuleList(SpatialKeypoints(space, options) for _ in space.cameras)
        inputs = sum(module.size for module in self.keypoints) + space.proprioception_size  # type: ignore[misc]
        self.inlet = nn.Linear(inputs, options.width)
        self.trunk = nn.Sequential(*(ResidualBlock(options.width, options.dropout) for _ in range(options.blocks)))
        self.outlet = nn.Sequential(
            nn.LayerNorm(options.width), nn.Linear(options.width, space.horizon * space.action_size)
        )

    def predict(self, tokens: Tensor, proprioception: Tensor) -> Tensor:
        """See `Policy.predict`."""
        seen = [module(tokens[:, camera]) for camera, module in enumerate(self.keypoints)]
        x = self.trunk(self.inlet(torch.cat([*seen, proprioception], dim=1)))
        return self.outlet(x).view(-1, self.space.horizon, self.space.action_size)


class SpatialKeypoints(nn.Module):
    """One camera's tokens (B, K, D) to (B, size): N keypoints with 2 coordinates and V features each.

    Tokens before the grid (a cls token) are projected to V numbers each and appended.
    """

    def __init__(self, space: PolicySpace, options: SpatialMlpOptions) -> None:
        super().__init__()
        self.prefix = space.num_tokens - space.grid**2
        self.size = options.keypoints * (2 + options.features) + self.prefix * options.features
        self.bottleneck = nn.Linear(space.token_dim, options.bottleneck)
        self.maps = nn.Linear(options.bottleneck, options.keypoints)
        # One projection per keypoint, so that each may ask something else of the tokens it looks at.
        self.features = nn.Parameter(torch.empty(options.keypoints + self.prefix, space.token_dim, options.features))
        nn.init.normal_(self.features, std=space.token_dim**-0.5)
        self.register_buffer("coordinates", grid_coordinates(space.grid), persistent=False)

    def forward(self, tokens: Tensor) -> Tensor:
        """(B, K, D) to (B, size)."""
        patches = tokens[:, self.prefix :]
        maps = self.maps(F.gelu(self.bottleneck(patches))).softmax(dim=1).transpose(1, 2)  # (B, N, grid * grid)
        coordinates = maps @ self.coordinates  # (B, N, 2)
        expected = torch.cat([tokens[:, : self.prefix], maps @ patches], dim=1)  # (B, prefix + N, D)
        features = torch.einsum("bnd,ndv->bnv", expected, self.features)
        return torch.cat([coordinates.flatten(1), features.flatten(1)], dim=1)


class ResidualBlock(nn.Module):
    """x + MLP(LayerNorm(x)), (B, W) to (B, W)."""

    def __init__(self, width: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.LayerNorm(width),
            nn.Linear(width, 2 * width),
            nn.GELU(),
            nn.Dropout(dropout),
            nn.Linear(2 * width, width),
        )

    def forward(self, x: Tensor) -> Tensor:
        """(B, W) to (B, W)."""
        return x + self.layers(x)


def grid_coordinates(grid: int) -> Tensor:
    """Centres of the patches row by row, (grid * grid, 2), x to the right and y down, in [-1, 1]."""
    centres = (torch.arange(grid) + 0.5) / grid * 2.0 - 1.0
    y, x = torch.meshgrid(centres, centres, indexing="ij")
    return torch.stack([x.flatten(), y.flatten()], dim=1)
