"""OpenVINO's own runtime: on processors from Intel and AMD faster than ONNX Runtime where the graph is in float32.

The package `openvino` and not the execution provider in `onnxruntime-openvino`, which is another build of ONNX Runtime
and cannot stand beside the one that is there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import SparkError


class OpenVinoSession:
    """A compiled graph with one request whose buffers are reused.

    Its first axis is fixed at one: images are encoded one by one as they come, and a fixed shape is planned ahead.

    Raises:
        SparkError: OpenVINO is not installed, or the file is not a graph that it can run.
    """

    def __init__(self, file: Path, threads: int = 1, half: bool = False) -> None:
        """Compiles.

        Args:
            file: The ONNX file.
            threads: Processor threads.
            half: Compute in bfloat16 or float16 where the processor has them.
        """
        try:
            import openvino
        except ImportError as error:
            raise SparkError(
                f"provider openvino needs the package openvino, which cannot be imported ({error}): pip install "
                "'spark_ros[openvino]', or use provider cpu"
            ) from error
        settings: dict[str, Any] = {
            "PERFORMANCE_HINT": "LATENCY",
            "NUM_STREAMS": 1,
            "INFERENCE_NUM_THREADS": threads,
            "ENABLE_CPU_PINNING": False,  # which cores is said by the options, see `cores`
        }
        core = openvino.Core()
        try:
            if not half:
                # By itself it would compute in bfloat16 on processors that have it.
                settings["INFERENCE_PRECISION_HINT"] = openvino.Type.f32
            model = core.read_model(file)
            if half:
                _end_in_products(model)
            model.reshape({port: _one_at_a_time(port.get_partial_shape()) for port in model.inputs})
            self._request = core.compile_model(model, "CPU", settings).create_infer_request()
        except RuntimeError as error:  # whatever is wrong with a file
            reason = " ".join(str(error).split())[:200]
            raise SparkError(f"{file} cannot be run by openvino {openvino.__version__} ({reason})") from error

    def run(self, output_names: Sequence[str], input_feed: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[np.float32]]:
        """As `Session.run`, with one on the first axis of every input."""
        self._request.infer(dict(input_feed), share_inputs=True)
        # Copied: the request writes its next outputs into the same memory.
        return [np.array(self._request.get_tensor(name).data) for name in output_names]


def _one_at_a_time(shape: Any) -> list[int]:
    return [dimension.get_length() if dimension.is_static else 1 for dimension in shape]


def _end_in_products(model: Any) -> None:
    """Multiply every output with the identity.

    OpenVINO computes in float32 whatever leads from the last product of matrices to an output. In a vision transformer
    that is the whole stream which its blocks add to, and each block converts it to and fro.
    """
    from openvino import opset13

    for result in model.get_results():
        output = result.input_value(0)
        names, width = output.get_names(), output.get_partial_shape()[-1].get_length()
        product = opset13.matmul(output, opset13.constant(np.eye(width, dtype=np.float32)), False, False)
        output.get_tensor().set_names(set())
        product.output(0).get_tensor().set_names(names)
        result.input(0).replace_source_output(product.output(0))
