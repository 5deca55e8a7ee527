"""int8 with activation scales fixed beforehand, from real images: for runtimes that fuse them into their kernels.

`quantise` lets ONNX Runtime scale activations as they come, which is exact about each image and what bundles hold.
OpenVINO and TensorRT want the scales in the graph (QDQ), TensorRT centred on zero: it knows no zero points.

A ViT-S at 112 px on two threads of OpenVINO, the rest in bfloat16, and the mean error of a policy's actions in their
standard deviations, of which an export permits 0.1:

    zero points where they fit best                                6.1 ms   0.011
    none, since one costs a pass over every product                5.2      0.016
    ... GELU by a polynomial, attention without a scale, and
        what blocks add to in bfloat16, see `openvino_session`     4.3
    ... quantised before values are reordered, and the first
        block's MLP in 8 bits as well                              4.1      0.018
    ... factors of layer norms in the matrices after them          4.0      0.019

ONNX Runtime finds less of it to fuse than of the graph before and is slower with it than with `quantise`'s.
`python -m benchmarks.latency` measures speed and error of what is offered.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import onnx

from spark_ros.bundle.gelu import with_polynomial_gelu
from spark_ros.contracts import ImageArray


def quantise_static(source: Path, target: Path, keep_float: Sequence[str], images: ImageArray) -> None:
    """Write the QDQ variant of a float32 encoder graph.

    Args:
        source: The float32 graph, its nodes named by module as `graphs` does.
        target: Where to write.
        keep_float: Not needed: matrices that lose too much with activations scaled as they come do not with these.
        images: (N, S, S, 3) uint8, what the cameras show at work; every activation's range is taken from them.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self._rest = iter(images)

        def get_next(self) -> dict | None:
            image = next(self._rest, None)
            return None if image is None else {"images": image[None]}

    model = with_polynomial_gelu(onnx.load(str(source)))
    weights = {entry.name for entry in model.graph.initializer}
    # Products of two activations, as in attention, stay in float: 8 bits do not resolve the range of a softmax.
    products = [node.name for node in model.graph.node if node.op_type == "MatMul" and node.input[1] not in weights]
    logging.disable(logging.WARNING)  # as for `quantise`
    try:
        quantize_static(
            model,
            str(target),
            Images(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=products,
            extra_options={
                "OpTypesToExcludeOutputQuantization": ["MatMul"],  # only what goes into a matrix
                "ActivationSymmetric": True,
            },
        )
    finally:
        logging.disable(logging.NOTSET)
    onnx.save(_quantised_early(onnx.load(str(target))), str(target))


def _quantised_early(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same graph with values quantised before they are reordered: a quarter of the bytes, and within attention."""
    from onnxscript.rewriter import pattern, rewrite

    def reshaped(op: Any, x: Any, shape: Any, scale: Any, zero: Any) -> Any:
        return op.QuantizeLinear(op.Reshape(x, shape), scale, zero)

    def reshape_quantised(op: Any, x: Any, shape: Any, scale: Any, zero: Any) -> Any:
        return op.Reshape(op.QuantizeLinear(x, scale, zero), shape)

    def transposed(op: Any, x: Any, scale: Any, zero: Any) -> Any:
        return op.QuantizeLinear(op.Transpose(x, _outputs=["turned"]), scale, zero)

    def transpose_quantised(op: Any, x: Any, scale: Any, zero: Any, turned: Any) -> Any:
        return op.Transpose(op.QuantizeLinear(x, scale, zero), perm=turned.producer().attributes["perm"].value)

    rules = [
        pattern.RewriteRule(reshaped, reshape_quantised),
        pattern.RewriteRule(transposed, transpose_quantised),
    ]
    return rewrite(model, pattern_rewrite_rules=rules)
