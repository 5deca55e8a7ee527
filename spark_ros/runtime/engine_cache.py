"""Where the engines that TensorRT builds are kept: in a folder of their own for everything they depend on.

An engine is only good for the graph, the TensorRT and the GPU it was built for, and neither ONNX Runtime nor TensorRT
notices another graph of the same shapes. So the folder's name is a hash of all of that; an engine that does not fit is
never found. Engines are never shipped: they run code, and only on the machine that built them.
"""

from __future__ import annotations

import hashlib
import json
import os
from importlib import metadata
from pathlib import Path

from spark_ros.contracts import SparkError
from spark_ros.data.file_hash import file_sha256

GPU_FACTS = Path("/proc/driver/nvidia")  # the kernel driver's own words; needs no library


def engine_folder(file: Path, precision: str = "graph", shapes: str = "batch 1") -> Path:
    """The folder for engines of an ONNX file on this machine, made if need be.

    Args:
        file: The ONNX file.
        precision: What it is computed in.
        shapes: Sizes of the inputs that the engine is made for.

    Raises:
        SparkError: There is no NVIDIA GPU or no TensorRT here, or the folder cannot be made.
    """
    key = engine_key(file_sha256(file), tensorrt_version(), gpu(), precision, shapes)
    folder = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spark_ros" / "engines" / key
    try:
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)  # whoever writes here decides what code runs
    except OSError as error:
        raise SparkError(f"cannot make {folder} ({error.strerror}): set XDG_CACHE_HOME to a folder of yours") from error
    return folder


def engine_key(graph_sha256: str, tensorrt: str, device: str, precision: str, shapes: str) -> str:
    """A name for everything that an engine depends on."""
    return hashlib.sha256(json.dumps([graph_sha256, tensorrt, device, precision, shapes]).encode()).hexdigest()[:32]


def tensorrt_version() -> str:
    """Every TensorRT and ONNX Runtime package with its version; either may bring the library that builds.

    Raises:
        SparkError: There is no TensorRT.
    """
    found = {
        dist.name.lower(): dist.version
        for dist in metadata.distributions()
        if dist.name and dist.name.lower().startswith(("tensorrt", "onnxruntime"))
    }
    if not any(name.startswith("tensorrt") for name in found):
        raise SparkError(
            "provider tensorrt needs NVIDIA's TensorRT, and no package of that name is installed: pip install "
            "tensorrt for your CUDA, or use provider cuda"
        )
    return ", ".join(f"{name} {version}" for name, version in sorted(found.items()))


def gpu(facts: Path = GPU_FACTS) -> str:
    """Model of every GPU, and version of the driver.

    Raises:
        SparkError: There is none, or its driver is not loaded.
    """
    files = sorted(facts.glob("gpus/*/information"))
    models = [
        line.partition(":")[2].strip()
        for file in files
        for line in file.read_text(encoding="utf-8").splitlines()
        if line.startswith("Model:")
    ]
    if not models:
        raise SparkError("no NVIDIA GPU is here, or its driver is not loaded: use provider cpu or openvino")
    driver = (facts / "version").read_text(encoding="utf-8").splitlines()[0]
    return f"{', '.join(models)}; {driver}"
