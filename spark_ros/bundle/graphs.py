"""Trained torch modules as ONNX graphs that run anywhere ONNX Runtime does."""

from __future__ import annotations

import ast
import copy
import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import onnx
import torch
from torch import Tensor, nn

from spark_ros.encoders.base import Encoder, normalise_images
from spark_ros.encoders.vit import Block
from spark_ros.policies.base import Policy

# The newest that ONNX Runtime 1.20, the oldest we support, runs. Opset 23 would keep attention as one node, which is
# no faster (measured: 11.3 against 11.6 ms for a ViT-S at 112 px on two threads).
OPSET = 20


def export_encoder(encoder: Encoder, file: Path, opset: int = OPSET) -> None:
    """Write ``images`` uint8 (B, S, S, 3) RGB -> ``tokens`` float32 (B, K, D), normalisation inside, B free."""
    size = encoder.image_size
    images = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    batch = torch.export.Dim("batch", min=1, max=1024)
    _export(_EncoderGraph(_with_fewer_passes(encoder)), (images,), file, ["images"], "tokens", ({0: batch},), opset)


def export_policy(policy: Policy, file: Path) -> None:
    """Write ``tokens_<camera>`` float32 (1, K, D) each, ``proprioception`` (1, P) -> ``actions`` (1, H, A)."""
    space = policy.space
    tokens = [torch.zeros(1, space.num_tokens, space.token_dim) for _ in space.cameras]
    inputs = (*tokens, torch.zeros(1, space.proprioception_size))
    names = [*(f"tokens_{camera}" for camera in space.cameras), "proprioception"]
    _export(_PolicyGraph(policy), inputs, file, names, "actions", None)


@torch.no_grad()
def _with_fewer_passes(encoder: Encoder) -> Encoder:
    """A copy whose transformer blocks compute the same with less between the products, which runtimes then fuse.

    The factors and shifts of layer norms go into the matrices that follow, that of attention into the queries'.
    """
    encoder = copy.deepcopy(encoder)
    for block in (module for module in encoder.modules() if isinstance(module, Block)):
        _fold(block.norm1, block.attn.qkv)
        _fold(block.norm2, block.mlp.fc1)
        width = block.attn.qkv.in_features
        for parameter in (block.attn.qkv.weight, block.attn.qkv.bias):
            parameter[:width] *= (width // block.attn.heads) ** -0.5
        block.attn.attend = _attend_without_scale  # type: ignore[method-assign]
    return encoder


def _fold(norm: nn.LayerNorm, linear: nn.Linear) -> None:
    linear.bias.add_(linear.weight @ norm.bias)
    linear.weight.mul_(norm.weight)
    norm.weight.fill_(1.0)
    norm.bias.fill_(0.0)


def _attend_without_scale(query: Tensor, key: Tensor, value: Tensor) -> Tensor:
    return (query @ key.transpose(-2, -1)).softmax(-1) @ value


class _EncoderGraph(nn.Module):
    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder

    def forward(self, images: Tensor) -> Tensor:
        return self.encoder(normalise_images(images))


class _PolicyGraph(nn.Module):
    def __init__(self, policy: Policy) -> None:
        super().__init__()
        self.policy = policy

    def forward(self, *inputs: Tensor) -> Tensor:
        *tokens, proprioception = inputs
        return self.policy(torch.stack(tokens, dim=1), proprioception)


def _export(
    module: nn.Module,
    inputs: tuple[Tensor, ...],
    file: Path,
    names: Sequence[str],
    output: str,
    dynamic: tuple[dict[int, torch.export.Dim], ...] | None,
    opset: int = OPSET,
) -> None:
    with _quiet(), torch.no_grad():
        program = torch.onnx.export(
            module.eval(),
            inputs,
            input_names=list(names),
            output_names=[output],
            opset_version=opset,
            dynamic_shapes=dynamic,
            dynamo=True,
            verbose=False,
        )
    model = program.model_proto  # type: ignore[union-attr]
    _name_nodes_by_module(model)
    onnx.save(model, str(file))


def _name_nodes_by_module(model: onnx.ModelProto) -> None:
    """Give nodes the name of the module they came from, and drop the exporter's notes, which hold local paths."""
    for number, node in enumerate(model.graph.node):
        notes = {entry.key: entry.value for entry in node.metadata_props}
        scopes = ast.literal_eval(notes.get("pkg.torch.onnx.name_scopes", "['']"))
        node.name = f"{scopes[-2] if len(scopes) > 1 else ''}/{node.op_type}_{number}"
        node.doc_string = ""
        del node.metadata_props[:]
    for holder in (*model.graph.value_info, *model.graph.input, *model.graph.output, *model.graph.initializer):
        del holder.metadata_props[:]
    del model.graph.metadata_props[:]
    del model.metadata_props[:]


@contextmanager
def _quiet() -> Iterator[None]:
    """The exporter reports missing optional packages and its own deprecations; none concerns the caller."""
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
