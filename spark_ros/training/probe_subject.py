"""What a probe needs of a model, whatever it is: its state vector, its patches after each block, the original's."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor, nn

from spark_ros.contracts import ImageArray
from spark_ros.encoders.base import Encoder, fast_inference, normalise_images
from spark_ros.encoders.spark import SparkModel
from spark_ros.encoders.vit import ViT

BATCH = 64


@dataclass(frozen=True)
class Subject:
    """A model under examination; every function takes (B, S, S, 3) uint8 images and returns float32 on the CPU.

    Attributes:
        image_size: S.
        state: To (B, D), the compact state that a policy would get.
        blocks: To the patches (B, N, D) after each block, each through the model's final norm; None if it has none.
        original: The same of the foundation model it came from or is compared to; None for no comparison.
    """

    image_size: int
    state: Callable[[ImageArray], Tensor]
    blocks: Callable[[ImageArray], list[Tensor]] | None = None
    original: Callable[[ImageArray], list[Tensor]] | None = None


def subject_of_model(model: SparkModel) -> Subject:
    """A model in training: its bottleneck, its student's patches, its teacher's."""
    return Subject(
        model.options.image_size,
        lambda images: _run(model, lambda x: [model.encode(x).bottleneck.flatten(1)], images)[0],
        lambda images: _run(model, partial(_blocks, model.student), images),
        lambda images: _run(model, partial(_blocks, model.teacher), images),
    )


def subject_of_encoder(encoder: Encoder, original: ViT | None = None) -> Subject:
    """Any encoder.

    Its state is what stands before the patches (class or bottleneck tokens, in a row), or the mean patch where there
    are only patches.

    Args:
        encoder: It can be looked at block by block if its model is a `ViT` named ``vit``.
        original: The foundation model to compare to, for the same image size.
    """
    leading = encoder.num_tokens - encoder.grid**2

    def state(images: Tensor) -> list[Tensor]:
        tokens = encoder(images)
        return [tokens[:, :leading].flatten(1) if leading else tokens.mean(dim=1)]

    def blocks_of(vit: object) -> Callable[[ImageArray], list[Tensor]] | None:
        return (lambda images: _run(vit, partial(_blocks, vit), images)) if isinstance(vit, ViT) else None

    return Subject(
        encoder.image_size,
        lambda images: _run(encoder, state, images)[0],
        blocks_of(getattr(encoder, "vit", None)),
        blocks_of(original),
    )


def _blocks(vit: ViT, images: Tensor) -> list[Tensor]:
    outputs = vit(images, range(1, len(vit.blocks) + 1))
    return [vit.norm(x)[:, vit.num_prefix_tokens :] for x in outputs.values()]


def _run(module: nn.Module, function: Callable[[Tensor], list[Tensor]], images: ImageArray) -> list[Tensor]:
    """Each output of `function` over all images, (B, ...) float32 on the CPU."""
    device = next(module.parameters()).device
    outputs = []
    with fast_inference(device):
        for start in range(0, len(images), BATCH):
            part = torch.from_numpy(images[start : start + BATCH]).to(device)
            outputs.append([output.float().cpu() for output in function(normalise_images(part))])
    return [torch.cat(parts) for parts in zip(*outputs, strict=True)]
