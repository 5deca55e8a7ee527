"""int8 with activations scaled as they come: what bundles hold unless another precision is asked for.

The matrices are stored as 8-bit integers with one scale per output channel, activations quantised on the fly.
Tried on *dinov2-s-derived*, block 9, 112 px, 64 rendered frames of an FR3 at a table; cosine of tokens to float32,
mean / 1% quantile / worst (`benchmarks/encoder_speed.py` measures what we use):

    one scale per matrix                         .9968 / .993 / .986
    one scale per output channel                 .9990 / .997 / .984
    ... first block's MLP in float               .9993 / .998 / .997
    ... and 7-bit weights (what we use)          .9988 / .997 / .995
    unsigned weights: as signed, but a third as fast on processors with VNNI or AMX

The patch embedding has a few channels far larger than the rest, and a single activation scale of the first MLP must
span them. 7-bit weights, because processors without VNNI add products in 16 bits, where 8-bit weights overflow without
a word: a bundle must give the same actions on the robot's processor as on the one it was exported on.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import onnx

from spark_ros.contracts import ImageArray


def quantise_dynamic(source: Path, target: Path, keep_float: Sequence[str], images: ImageArray | None = None) -> None:
    """Write the int8 variant of a float32 graph.

    Args:
        source: The float32 graph, its nodes named by module as `graphs` does.
        target: Where to write.
        keep_float: Names of modules whose matrices stay float32.
        images: Not needed: activations are scaled as they come.
    """
    from onnxruntime.quantization import QuantType, quantize_dynamic

    excluded = nodes_of_modules(onnx.load(str(source)), keep_float)
    logging.disable(logging.WARNING)  # it advises a pre-processing step that changes nothing for exported graphs
    try:
        quantize_dynamic(
            str(source),
            str(target),
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=excluded,
        )
    finally:
        logging.disable(logging.NOTSET)


def nodes_of_modules(model: onnx.ModelProto, modules: Sequence[str]) -> list[str]:
    """Names of the nodes that came from these modules."""
    return [node.name for node in model.graph.node if any(f".{module}." in f".{node.name}." for module in modules)]
