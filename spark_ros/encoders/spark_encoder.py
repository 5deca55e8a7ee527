"""The result of SPARK post-training: a file that says what it is, and the encoder that runs it."""

from __future__ import annotations

import copy
import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from spark_ros.contracts import SparkError
from spark_ros.data.file_hash import file_sha256
from spark_ros.encoders.base import Encoder
from spark_ros.encoders.checkpoint import Weights, build_vit
from spark_ros.encoders.lora import merge_lora
from spark_ros.encoders.spark import SparkModel
from spark_ros.encoders.vit import ViTConfig

FILE_NAME = "encoder.safetensors"
FORMAT = "spark_ros encoder 1"
TOKENS = ("bottleneck", "patch", "bottleneck+patch")


def save_encoder(model: SparkModel, path: Path, training: Mapping[str, Any]) -> None:
    """Write the student as one file that needs nothing else: low-rank updates merged, decoder and teacher left out.

    Args:
        model: The trained model, or its average.
        path: The file; replaced whole or not at all.
        training: JSON-able facts about the run, kept in the file.

    Raises:
        SparkError: It cannot be written.
    """
    student = copy.deepcopy(model.student)
    merge_lora(student)
    options = model.options
    metadata = {
        "format": FORMAT,
        "config": json.dumps(asdict(student.config)),
        "bottleneck": json.dumps({"kind": options.bottleneck, "tokens": options.bottleneck_tokens}),
        "notice": f"{model.notice}\nPost-trained for robot control (SPARK).",
        "spark": json.dumps({**asdict(options), "weights_sha256": model.weights_sha256}),
        "training": json.dumps(dict(training)),
    }
    tensors = {name: value.detach().cpu().contiguous() for name, value in student.state_dict().items()}
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(_sorted_header(save(tensors, metadata=metadata)))
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise SparkError(f"cannot write {path}: {error.strerror}; make room or choose another out_dir") from error


def _sorted_header(file: bytes) -> bytes:
    """A safetensors file with its header in order.

    The library writes metadata as it comes out of a hash table, and equal encoders are to have equal hashes.
    """
    end = 8 + int.from_bytes(file[:8], "little")
    header = json.dumps(json.loads(file[8:end]), sort_keys=True).encode()
    header += b" " * (-len(header) % 8)  # the tensors begin at a multiple of eight
    return len(header).to_bytes(8, "little") + header + file[end:]


class SparkEncoder(Encoder):
    """A post-trained student: its bottleneck tokens, its patches, or both.

    Args:
        weights: The file ``encoder.safetensors``, or the folder of the training run that holds it.
        image_size: Side of the square input in pixels; that of the training by default.
        tokens: ``bottleneck`` (K tokens: the compact state), ``patch``, or ``bottleneck+patch`` (bottleneck first).
        weights_sha256: If given, the file must have this hash.

    Raises:
        SparkError: There is no such file, it is damaged or has another hash, or an option is unknown.
    """

    keep_float = ("vit.blocks.0.mlp",)  # see `frozen.FrozenFeatures`

    def __init__(
        self,
        weights: str,
        image_size: int | None = None,
        tokens: str = "bottleneck",
        weights_sha256: str | None = None,
    ) -> None:
        super().__init__()
        if tokens not in TOKENS:
            raise SparkError(f"encoder option tokens={tokens!r} is not known: use one of {', '.join(TOKENS)}")
        path = Path(weights).expanduser()
        path = path / FILE_NAME if path.is_dir() else path
        loaded, bottleneck = _read(path)
        if weights_sha256 is not None and weights_sha256 != loaded.sha256:
            raise SparkError(
                f"the encoder {path} has SHA-256 {loaded.sha256[:12]}…, expected {weights_sha256[:12]}…: "
                "give the file the policy was trained on"
            )
        size = image_size or loaded.config.image_size
        self.vit = build_vit(loaded, size)
        end = self.vit.num_prefix_tokens
        count = int(bottleneck["tokens"])
        self._bottleneck = slice(0, 1) if bottleneck["kind"] == "cls" else slice(end - count, end)
        self._tokens = tokens
        self.notice = loaded.notice
        self.image_size = size
        self.token_dim = self.vit.config.width
        self.grid = 0 if tokens == "bottleneck" else self.vit.config.grid
        self.num_tokens = self.grid**2 + (0 if tokens == "patch" else count)
        self.recipe: dict[str, Any] = {
            "name": "spark",
            "weights": str(weights),
            "weights_sha256": loaded.sha256,
            "image_size": size,
            "tokens": tokens,
        }
        self.requires_grad_(False)
        self.eval()

    def forward(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) float, ImageNet-normalised, to (B, K, D)."""
        x = self.vit.norm(self.vit(images)[len(self.vit.blocks)])
        bottleneck, patches = x[:, self._bottleneck], x[:, self.vit.num_prefix_tokens :]
        if self._tokens == "bottleneck":
            return bottleneck
        return patches if self._tokens == "patch" else torch.cat([bottleneck, patches], dim=1)


def _read(path: Path) -> tuple[Weights, dict[str, Any]]:
    if not path.is_file():
        raise SparkError(f"no encoder at {path}: give the out_dir of a finished `spark-ros train encoder`")
    try:
        with safe_open(str(path), framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name).float() for name in file.keys()}
        if metadata.get("format") != FORMAT:
            raise SparkError(
                f"{path} is not an encoder of `spark-ros train encoder` (format {metadata.get('format')!r}, expected "
                f"{FORMAT!r}): for the weights of another model use the encoder `frozen`"
            )
        config, bottleneck = ViTConfig(**json.loads(metadata["config"])), json.loads(metadata["bottleneck"])
        weights = Weights(tensors, config, file_sha256(path), metadata["notice"])
        build_vit(weights, config.image_size)
    except (SafetensorError, OSError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise SparkError(f"encoder {path} is damaged ({' '.join(str(error).split())[:150]}): train it again") from error
    return weights, bottleneck
