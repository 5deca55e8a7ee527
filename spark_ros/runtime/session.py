"""ONNX Runtime sessions that run where and how they were asked to, or not at all."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spark_ros.contracts import SparkError

if TYPE_CHECKING:
    import onnxruntime

PROVIDERS = {
    "cpu": "CPUExecutionProvider",
    "cuda": "CUDAExecutionProvider",
    "tensorrt": "TensorrtExecutionProvider",
}


@dataclass(frozen=True)
class SessionOptions:
    """How a graph is run.

    Attributes:
        threads: Threads of one session. A second one takes a fifth off an int8 ViT-S and costs a core that
            the rest of the robot's software needs, so one is the default.
        provider: A key of `PROVIDERS`.
        spinning: Whether idle threads wait busily. With two threads at 10 Hz it triples the processor time for
            half a millisecond of latency.
    """

    threads: int = 1
    provider: str = "cpu"
    spinning: bool = False


def open_session(file: Path, options: SessionOptions) -> onnxruntime.InferenceSession:
    """A session for an ONNX file.

    Raises:
        SparkError: ONNX Runtime is not installed, the provider is unknown or did not start, or the file is not a graph
            this ONNX Runtime can run.
    """
    try:
        import onnxruntime
    except ImportError as error:
        raise SparkError(
            f"inference needs onnxruntime, which cannot be imported ({error}): pip install onnxruntime, "
            "or onnxruntime-gpu on a machine with an NVIDIA GPU, never both"
        ) from error
    if options.provider not in PROVIDERS or options.threads < 1:
        raise SparkError(
            f"inference with provider {options.provider!r} and {options.threads} threads is not possible: "
            f"use one of {', '.join(PROVIDERS)} and at least one thread"
        )
    wanted = PROVIDERS[options.provider]
    available = onnxruntime.get_available_providers()
    if wanted not in available:
        raise SparkError(
            f"{wanted} was asked for, but this onnxruntime offers {', '.join(available)}: "
            "install the build for your device (never two builds at once), or use provider cpu"
        )
    settings = onnxruntime.SessionOptions()
    settings.intra_op_num_threads = options.threads
    settings.inter_op_num_threads = 1
    settings.add_session_config_entry("session.intra_op.allow_spinning", "1" if options.spinning else "0")
    settings.log_severity_level = 3  # errors: what matters here is checked below and said in one sentence
    try:
        session = onnxruntime.InferenceSession(str(file), settings, providers=[wanted])
    except Exception as error:  # onnxruntime's own exceptions share no base class
        reason = " ".join(str(error).split())[:200]
        raise SparkError(f"{file} cannot be run by onnxruntime {onnxruntime.__version__} ({reason})") from error
    # A build for a GPU starts without one and silently computes on the processor instead.
    if session.get_providers()[0] != wanted:
        raise SparkError(
            f"{wanted} was asked for, but onnxruntime fell back to {session.get_providers()[0]}: "
            "check the device and its driver, or use provider cpu"
        )
    return session
