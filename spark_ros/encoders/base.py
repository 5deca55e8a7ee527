"""What every encoder looks like from outside, and the arithmetic between a camera image and its input."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from spark_ros.data.preprocess import IMAGENET_MEAN, IMAGENET_STD


class Encoder(nn.Module, ABC):
    """Images to state tokens.

    Attributes:
        image_size: Side in pixels of the square input.
        num_tokens: Tokens per image, K.
        token_dim: Channels per token, D.
        grid: Patches along one side where the last ``grid * grid`` tokens form a square map row by row, else 0.
        recipe: JSON-able dict from which `registry.build_encoder` builds the same encoder again.
        notice: Origin and licence of the weights, carried wherever they go.
        keep_float: Names of modules that lose too much when their matrices become 8-bit integers and
            activations are scaled as they come.
    """

    image_size: int
    num_tokens: int
    token_dim: int
    grid: int
    recipe: dict[str, Any]
    notice: str
    keep_float: tuple[str, ...] = ()

    @abstractmethod
    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) float, ImageNet-normalised, to (B, K, D)."""


def normalise_images(images: Tensor) -> Tensor:
    """Camera bytes to an encoder's input.

    Args:
        images: (B, S, S, 3) uint8 RGB.

    Returns:
        (B, 3, S, S) float32, ImageNet-normalised.
    """
    mean = torch.tensor(IMAGENET_MEAN, device=images.device) * 255.0
    std = torch.tensor(IMAGENET_STD, device=images.device) * 255.0
    return ((images.float() - mean) / std).permute(0, 3, 1, 2)


@contextmanager
def fast_inference(device: torch.device | str = "cpu") -> Iterator[None]:
    """No gradients, and bfloat16 where the processor computes it natively.

    On a CPU with AVX512-BF16 or AMX this makes a ViT about twice as fast at a cosine of .9999 to float32; on others
    bfloat16 is emulated and slower, so they stay with float32.
    """
    kind = torch.device(device).type
    with torch.inference_mode(), torch.autocast(kind, dtype=torch.bfloat16, enabled=bfloat16_is_native(kind)):
        yield


def bfloat16_is_native(device_type: str) -> bool:
    """Whether `device_type` multiplies bfloat16 in hardware."""
    if device_type == "cpu":
        # Earlier versions of torch do not tell; float32 is right everywhere, only slower.
        capabilities = torch.cpu.get_capabilities() if hasattr(torch.cpu, "get_capabilities") else {}
        return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
    return device_type == "cuda" and torch.cuda.is_bf16_supported(including_emulation=False)
