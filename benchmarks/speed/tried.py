"""What might have made the encoder faster, each beside what is done instead; medians of one run in turns."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
from onnx import TensorProto, helper, numpy_helper

from benchmarks.common import percentiles
from benchmarks.speed.forms import in_turns
from spark_ros.bundle.graphs import export_encoder
from spark_ros.data.preprocess import ImagePreprocess
from spark_ros.encoders.base import Encoder
from spark_ros.runtime.session import SessionOptions, open_session

WIDTH, HEIGHT = 640, 480


def measure_tried(encoder: Encoder, folder: Path, rounds: int, threads: int) -> dict[str, float]:
    """Milliseconds by what was done; `folder` holds the encoder's ``fp32.onnx`` and ``int8.onnx``."""
    size = encoder.image_size
    export_encoder(encoder, folder / "opset23.onnx", opset=23)
    scale = open_session(_scaling_graph(folder / "scale.onnx", size), SessionOptions(threads))
    plain = SessionOptions(threads)
    full, fused = (open_session(folder / name, plain) for name in ("fp32.onnx", "opset23.onnx"))
    int8 = open_session(folder / "int8.onnx", plain)
    spinning = open_session(folder / "int8.onnx", SessionOptions(threads, spinning=True))
    pinned = open_session(folder / "int8.onnx", SessionOptions(threads, cores=tuple(range(threads))))
    bound = int8.io_binding()  # type: ignore[attr-defined]
    image = np.random.default_rng(0).integers(0, 256, (1, size, size, 3), np.uint8)
    picture = np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
    buffer = onnxruntime.OrtValue.ortvalue_from_numpy(image)
    bound.bind_ortvalue_input("images", buffer)
    bound.bind_output("tokens", "cpu")
    prepare = ImagePreprocess(size)
    two = np.concatenate([image, image])

    def run(session: Any, images: np.ndarray) -> Any:
        return session.run(["tokens"], {"images": images})

    works = {
        "opset 20": lambda _: run(full, image),
        "opset 23, one Attention node": lambda _: run(fused, image),
        "int8": lambda _: run(int8, image),
        "int8, IO binding and reused buffers": lambda _: int8.run_with_iobinding(bound),  # type: ignore[attr-defined]
        "int8, threads that wait busily": lambda _: run(spinning, image),
        "int8, threads pinned to cores": lambda _: run(pinned, image),
        "int8, two cameras in two calls": lambda _: (run(int8, image), run(int8, image)),
        "int8, two cameras in one call": lambda _: run(int8, two),
        "cutting and scaling 640x480 by OpenCV": lambda _: prepare(picture),
        "cutting and scaling 640x480 in the graph": lambda _: scale.run(["square"], {"picture": picture}),
    }
    times = in_turns(list(works.values()), rounds, 1)
    return {name: percentiles(taken)["p50"] for name, taken in zip(works, times, strict=True)}


def _scaling_graph(file: Path, size: int) -> Path:
    """``picture`` uint8 (H, W, 3) to ``square`` uint8 (S, S, 3): the centre, averaged as for `ImagePreprocess`."""
    left = (WIDTH - HEIGHT) // 2
    constants = {
        "begin": np.array([left]),
        "end": np.array([left + HEIGHT]),
        "axis": np.array([1]),
        "first": np.array([0]),
        "sizes": np.array([1, 3, size, size]),
    }
    nodes = [
        helper.make_node("Slice", ["picture", "begin", "end", "axis"], ["cut"]),
        helper.make_node("Cast", ["cut"], ["float"], to=TensorProto.FLOAT),
        helper.make_node("Transpose", ["float"], ["planes"], perm=[2, 0, 1]),
        helper.make_node("Unsqueeze", ["planes", "first"], ["one"]),
        helper.make_node("Resize", ["one", "", "", "sizes"], ["small"], mode="linear", antialias=1),
        helper.make_node("Squeeze", ["small", "first"], ["only"]),
        helper.make_node("Transpose", ["only"], ["back"], perm=[1, 2, 0]),
        helper.make_node("Cast", ["back"], ["square"], to=TensorProto.UINT8),
    ]
    graph = helper.make_graph(
        nodes,
        "scale",
        [helper.make_tensor_value_info("picture", TensorProto.UINT8, [HEIGHT, WIDTH, 3])],
        [helper.make_tensor_value_info("square", TensorProto.UINT8, [size, size, 3])],
        [numpy_helper.from_array(value.astype(np.int64), name) for name, value in constants.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10), str(file))
    return file
