"""How much arithmetic post-training takes, counted from the shapes, and how much of it a processor could do.

Matrix products alone are counted, a multiplication and an addition each, as is usual for the utilisation of a model
(Chowdhery et al., arXiv:2204.02311, appendix B). Going back through a product costs as much as the product itself for
the gradient of its input and again for that of its weights; what is frozen needs the first alone, and what lies below
everything that learns needs neither.
"""

from __future__ import annotations

import time

import torch

from spark_ros.encoders.spark import SparkModel
from spark_ros.encoders.vit import ViTConfig
from spark_ros.training.distributed import synchronise

_FORWARD, _FROZEN, _TRAINED = 1, 2, 3  # passes: forward; and back for the inputs; and back for the weights
_SIDE = {"cpu": 2048, "cuda": 8192}  # of the matrices whose product calibrates: large enough to keep all units busy
_REPEATS = 5


def flops_per_pair(model: SparkModel) -> float:
    """Of one pair of frames through forward and backward."""
    options, config = model.options, model.student.config
    tokens, patches = model.student.num_prefix_tokens + config.grid**2, config.grid**2
    kept = max(1, round(patches * (1.0 - options.mask_ratio)))
    hints = model.student.num_prefix_tokens + kept
    # A frame of the teacher has its own tokens alone: a learned bottleneck is the student's.
    teacher_tokens = model.teacher.num_prefix_tokens + patches
    total = 2.0 * (_embedding(config) + config.depth * _block(config, teacher_tokens))
    # Then student and teacher see the same pictures, and their first blocks are the same.
    shared = options.adaptation == "last" and options.bottleneck == "cls" and not options.clean_targets
    total += _student(model, tokens, shared)
    if options.action_head:
        total += _student(model, tokens, shared=False)
    if options.dynamics_weight:
        total += _student(model, hints, shared=False) + _TRAINED * _decoder(model, kept)
    if options.preserve_weight:
        layers = {"identity": 0, "linear": 1, "mlp": 2}[options.projection]
        total += _TRAINED * layers * 2.0 * patches * config.width**2
        if options.preserve == "gram":
            total += (_TRAINED + _FORWARD) * 2.0 * patches**2 * config.width
    return total


def measure_peak(device: str, dtype: torch.dtype) -> float:
    """Floating-point operations per second of the product of two large matrices: the best of a few.

    It is what this machine does at this moment, not a figure from a data sheet.
    """
    kind = torch.device(device).type
    side = _SIDE[kind]
    left, right = (torch.randn(side, side, device=device).to(dtype) for _ in range(2))
    best = float("inf")
    for _ in range(_REPEATS):
        synchronise(device)
        start = time.perf_counter()
        left @ right
        synchronise(device)
        best = min(best, time.perf_counter() - start)
    return 2.0 * side**3 / best


def _student(model: SparkModel, tokens: int, shared: bool) -> float:
    """Forward and backward; with `shared` the pass below the trained blocks is the teacher's and counted there."""
    options, config = model.options, model.student.config
    block, embedding = _block(config, tokens), _embedding(config)
    if options.adaptation == "full":
        return 2.0 * embedding + _TRAINED * config.depth * block
    if options.adaptation == "lora":
        inputs_and_outputs = (4 + 2 + 2 * (1 + config.mlp_ratio)) * config.width  # qkv, proj, fc1, fc2
        update = 2.0 * tokens * options.lora_rank * inputs_and_outputs
        return embedding + config.depth * (_FROZEN * block + _TRAINED * update)
    below = config.depth - options.last_blocks
    if shared:
        return _TRAINED * options.last_blocks * block
    passes = _FROZEN if options.bottleneck == "learned" else _FORWARD
    return embedding + passes * below * block + _TRAINED * options.last_blocks * block


def _decoder(model: SparkModel, kept: int) -> float:
    """Forward."""
    options, config = model.options, model.student.config
    width, patches, bottleneck = options.decoder_width, config.grid**2, options.bottleneck_tokens
    outputs = (config.width if options.target != "pixels" else 0) + (
        3 * config.patch_size**2 if options.target != "teacher" else 0
    )
    products = 2.0 * width * (config.width * (bottleneck + kept) + outputs * patches)
    tokens = bottleneck + patches
    blocks = options.decoder_depth * _products(width, config.mlp_ratio, tokens)
    return products + blocks


def _block(config: ViTConfig, tokens: int) -> float:
    return _products(config.width, config.mlp_ratio, tokens)


def _products(width: int, mlp_ratio: int, tokens: int) -> float:
    """Of a block: query, key, value and output, the MLP; attention's scores and sums."""
    return 2.0 * tokens * width**2 * (4 + 2 * mlp_ratio) + 4.0 * tokens**2 * width


def _embedding(config: ViTConfig) -> float:
    return 2.0 * config.grid**2 * 3 * config.patch_size**2 * config.width
