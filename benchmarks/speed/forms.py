"""Every way in which an encoder runs here: torch, and each graph in each runtime that is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.encoder_speed import REFERENCE, Form, time_block, torch_forms
from spark_ros.bundle.graphs import export_encoder
from spark_ros.bundle.quantise import quantise_dynamic
from spark_ros.bundle.quantise_static import quantise_static
from spark_ros.contracts import ImageArray
from spark_ros.encoders.base import Encoder
from spark_ros.runtime.session import SessionOptions, open_session

GRAPHS = ("fp32", "int8", "int8-static")


def all_forms(encoder: Encoder, folder: Path, usual: ImageArray, threads: int) -> list[Form]:
    """Torch first, then the sessions; graphs are written into the folder, static int8 from `usual` (N, S, S, 3)."""
    folder.mkdir()
    files = {name: folder / f"{name}.onnx" for name in GRAPHS}
    export_encoder(encoder, files["fp32"])
    quantise_dynamic(files["fp32"], files["int8"], encoder.keep_float)
    quantise_static(files["fp32"], files["int8-static"], encoder.keep_float, usual)

    def form(name: str, graph: str, options: SessionOptions) -> Form:
        session = open_session(files[graph], options)
        return Form(name, threads, lambda image: np.asarray(session.run(["tokens"], {"images": image[None]})[0]))

    plain = SessionOptions(threads)
    forms = [*torch_forms(encoder, [threads]), *(form(f"onnxruntime {graph}", graph, plain) for graph in GRAPHS)]
    if importlib.util.find_spec("openvino") is not None:
        openvino = replace(plain, provider="openvino")
        half = replace(openvino, half=True)
        forms += [form(f"openvino {graph}", graph, openvino) for graph in ("fp32", "int8-static")]
        forms += [form("openvino bf16", "fp32", half), form("openvino int8-static bf16", "int8-static", half)]
    return forms


def reference(forms: Sequence[Form]) -> Form:
    """Torch eager in float32."""
    return next(form for form in forms if form.name == REFERENCE)


def in_turns(works: Sequence[Callable[[int], Any]], rounds: int, scenes: int) -> list[list[float]]:
    """Milliseconds of each work, called with the number of a scene; they take turns."""
    times: list[list[float]] = [[] for _ in works]
    for number in range(rounds):
        for work, taken in zip(works, times, strict=True):
            taken += time_block(lambda w=work, scene=number % scenes: w(scene))
    return times
