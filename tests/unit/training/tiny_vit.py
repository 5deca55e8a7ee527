"""A vision transformer small enough to train in a test, as the Hugging Face checkpoint that `hf:` sources read."""

from __future__ import annotations

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

WIDTH, HEADS, DEPTH, GRID = 32, 2, 2, 2


def write_tiny_vit(folder: Path) -> Path:
    """Two blocks of 32 channels for images of 28 px; the folder is to be named after ``hf:``."""
    shapes = {
        "embeddings.cls_token": (1, 1, WIDTH),
        "embeddings.position_embeddings": (1, 1 + GRID**2, WIDTH),
        "embeddings.patch_embeddings.projection.weight": (WIDTH, 3, 14, 14),
        "embeddings.patch_embeddings.projection.bias": (WIDTH,),
        "layernorm.weight": (WIDTH,),
        "layernorm.bias": (WIDTH,),
    }
    square, row, mlp = (WIDTH, WIDTH), (WIDTH,), (4 * WIDTH, WIDTH)
    parts = {"mlp.fc1.weight": mlp, "mlp.fc1.bias": mlp[:1], "mlp.fc2.weight": mlp[::-1], "mlp.fc2.bias": row}
    parts |= {f"{norm}.{what}": row for norm in ("norm1", "norm2") for what in ("weight", "bias")}
    parts |= {"layer_scale1.lambda1": row, "layer_scale2.lambda1": row}
    for name in ("attention.query", "attention.key", "attention.value", "output.dense"):
        parts |= {f"attention.{name}.weight": square, f"attention.{name}.bias": row}
    for number in range(DEPTH):
        shapes |= {f"encoder.layer.{number}.{name}": shape for name, shape in parts.items()}
    generator = torch.Generator().manual_seed(1)
    values = {name: 0.2 * torch.randn(shape, generator=generator) for name, shape in shapes.items()}
    folder.mkdir(parents=True, exist_ok=True)
    save_file(values, folder / "model.safetensors")
    (folder / "config.json").write_text(json.dumps({"num_attention_heads": HEADS}))
    return folder
