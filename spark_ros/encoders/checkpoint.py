"""A vision transformer's checkpoint: read from Hugging Face's DINOv2 layout, built into a model of any image size."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from spark_ros.contracts import SparkError
from spark_ros.data.file_hash import file_sha256
from spark_ros.encoders.vit import ViT, ViTConfig, resize_position_embedding


@dataclass(frozen=True)
class Weights:
    """A checkpoint in memory.

    Attributes:
        tensors: Parameters by the names of `vit.ViT`; `pos_embed` has the size it was trained with.
        config: The shape of the model they belong to.
        sha256: Of the file they came from (of the tensors for random ones).
        notice: Origin and licence, to be carried wherever the weights go.
    """

    tensors: dict[str, Tensor]
    config: ViTConfig
    sha256: str
    notice: str


def build_vit(weights: Weights, image_size: int) -> ViT:
    """A model for images of `image_size` pixels, in evaluation mode.

    Raises:
        SparkError: The size does not fit the patches.
    """
    patch = weights.config.patch_size
    if image_size <= 0 or image_size % patch:
        below = max(patch, image_size // patch * patch)
        raise SparkError(
            f"image size {image_size} is not a multiple of the encoder's patch size {patch}: use e.g. {below}"
        )
    config = replace(weights.config, image_size=image_size)
    model = ViT(config)
    embedding = resize_position_embedding(weights.tensors["pos_embed"], config.grid, antialias=config.registers > 0)
    model.load_state_dict({**weights.tensors, "pos_embed": embedding})
    return model.eval()


def read_checkpoint(path: Path) -> Weights:
    """A ``.safetensors`` file, or the ``model.safetensors`` of a folder, in the layout of `Dinov2Model`.

    Raises:
        SparkError: It is missing, damaged or of another layout.
    """
    file = path / "model.safetensors" if path.is_dir() else path
    if not file.is_file():
        raise SparkError(
            f"no weights at {file}: expected a .safetensors file, or a folder that holds model.safetensors"
        )
    try:
        published = load_file(file)
    except SafetensorError as error:
        raise SparkError(f"{file} is not a readable safetensors file ({error}): fetch it again") from error
    config_file = file.parent / "config.json"
    settings = json.loads(config_file.read_text()) if config_file.is_file() else {}
    config = _config_of(published, settings, file)
    tensors = _rename(published, config.depth, file)
    wanted = {name: tuple(value.shape) for name, value in ViT(config).state_dict().items()}
    found = {name: tuple(value.shape) for name, value in tensors.items()}
    if wanted != found:
        name = next(n for n in {**wanted, **found} if wanted.get(n) != found.get(n))
        raise SparkError(
            f"{file} is not a DINOv2 checkpoint we can read: {name} has shape {found.get(name)}, expected "
            f"{wanted.get(name)}; use one in Hugging Face's Dinov2Model layout with a plain MLP"
        )
    notice = f"Encoder weights from {file.name}, SHA-256 below; see the licence of the checkpoint you supplied."
    return Weights({name: value.float() for name, value in tensors.items()}, config, file_sha256(file), notice)


def _config_of(published: dict[str, Tensor], settings: dict[str, object], file: Path) -> ViTConfig:
    """The model's shape, read from its tensors; only the number of heads has to be told or assumed."""
    try:
        patch = published["embeddings.patch_embeddings.projection.weight"]
        positions = published["embeddings.position_embeddings"].shape[1] - 1
        hidden = published["encoder.layer.0.mlp.fc1.weight"].shape[0]
    except KeyError as error:
        raise SparkError(
            f"{file} is not a DINOv2 checkpoint we can read: it lacks {error.args[0]}; "
            "use one in Hugging Face's Dinov2Model layout with a plain MLP"
        ) from error
    width, _, patch_size, _ = patch.shape
    registers = published.get("embeddings.register_tokens")
    return ViTConfig(
        width=width,
        depth=1 + max(int(name.split(".")[2]) for name in published if name.startswith("encoder.layer.")),
        # Every published DINOv2 has heads of 64 channels; a config.json beside the weights may say otherwise.
        heads=int(settings.get("num_attention_heads", max(1, width // 64))),  # type: ignore[call-overload]
        patch_size=patch_size,
        registers=0 if registers is None else registers.shape[1],
        mlp_ratio=hidden // width,
        image_size=round(positions**0.5) * patch_size,
    )


# Hugging Face's names to ours; query, key and value are joined below.
_TOP_NAMES = {
    "embeddings.cls_token": "cls_token",
    "embeddings.position_embeddings": "pos_embed",
    "embeddings.register_tokens": "register_tokens",
    "embeddings.patch_embeddings.projection.weight": "patch_embed.weight",
    "embeddings.patch_embeddings.projection.bias": "patch_embed.bias",
    "layernorm.weight": "norm.weight",
    "layernorm.bias": "norm.bias",
}
_BLOCK_NAMES = {
    "attention.output.dense": "attn.proj",
    "layer_scale1.lambda1": "ls1.gamma",
    "layer_scale2.lambda1": "ls2.gamma",
}
_UNUSED = ("embeddings.mask_token",)  # only needed to go on with the original's own training


def _rename(published: dict[str, Tensor], depth: int, file: Path) -> dict[str, Tensor]:
    rest = {name: value for name, value in published.items() if name not in _UNUSED}
    tensors = {ours: rest.pop(theirs) for theirs, ours in _TOP_NAMES.items() if theirs in rest}
    tensors.setdefault("register_tokens", torch.zeros(1, 0, tensors["cls_token"].shape[-1]))
    for number in range(depth):
        for part in ("weight", "bias"):
            names = [f"encoder.layer.{number}.attention.attention.{key}.{part}" for key in ("query", "key", "value")]
            if missing := [name for name in names if name not in rest]:
                raise SparkError(
                    f"{file} is not a DINOv2 checkpoint we can read: it lacks {missing[0]}; fetch it again"
                )
            tensors[f"blocks.{number}.attn.qkv.{part}"] = torch.cat([rest.pop(name) for name in names])
    for name, value in rest.items():
        ours = name.replace("encoder.layer.", "blocks.")
        for their_part, our_part in _BLOCK_NAMES.items():
            ours = ours.replace(their_part, our_part)
        tensors[ours] = value
    return tensors
