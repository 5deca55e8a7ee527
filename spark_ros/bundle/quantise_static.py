"""int8 with activation scales fixed beforehand, from real images: for runtimes that fuse them into their kernels.

`quantise` lets ONNX Runtime scale activations as they come, which is exact about each image and what bundles hold.
OpenVINO and TensorRT want the scales in the graph (QDQ), TensorRT centred on zero: it knows no zero points. In OpenVINO
one costs a pass of its own over every product: a ViT-S at 112 px on two threads took 6.1 ms with zero points where
they fit best and takes 5.2 without; the actions' error grew from 0.011 to 0.016 standard deviations. 0.1 is permitted.
`python -m benchmarks.latency` measures speed and error of what is offered.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from pathlib import Path

import onnx

from spark_ros.bundle.quantise import nodes_of_modules
from spark_ros.contracts import ImageArray


def quantise_static(source: Path, target: Path, keep_float: Sequence[str], images: ImageArray) -> None:
    """Write the QDQ variant of a float32 encoder graph.

    Args:
        source: The float32 graph, its nodes named by module as `graphs` does.
        target: Where to write.
        keep_float: Names of modules whose matrices stay float32.
        images: (N, S, S, 3) uint8, what the cameras show at work; every activation's range is taken from them.
    """
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Images(CalibrationDataReader):
        def __init__(self) -> None:
            self._rest = iter(images)

        def get_next(self) -> dict | None:
            image = next(self._rest, None)
            return None if image is None else {"images": image[None]}

    model = onnx.load(str(source))
    weights = {entry.name for entry in model.graph.initializer}
    # Products of two activations, as in attention, stay in float: 8 bits do not resolve the range of a softmax.
    products = [node.name for node in model.graph.node if node.op_type == "MatMul" and node.input[1] not in weights]
    logging.disable(logging.WARNING)  # as for `quantise`
    try:
        quantize_static(
            str(source),
            str(target),
            Images(),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["MatMul"],
            per_channel=True,
            reduce_range=True,
            activation_type=QuantType.QInt8,
            weight_type=QuantType.QInt8,
            nodes_to_exclude=[*nodes_of_modules(model, keep_float), *products],
            extra_options={
                "OpTypesToExcludeOutputQuantization": ["MatMul"],  # only what goes into a matrix
                "ActivationSymmetric": True,
            },
        )
    finally:
        logging.disable(logging.NOTSET)
