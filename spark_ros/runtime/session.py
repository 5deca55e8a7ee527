"""Sessions that run a graph where and how they were asked to, or not at all.

A provider is one entry in `PROVIDERS`. Those of ONNX Runtime stand here; others come from their own packages, since two
builds of ONNX Runtime in one environment overwrite each other.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import SparkError
from spark_ros.runtime.cores import on_cores
from spark_ros.runtime.engine_cache import engine_folder
from spark_ros.runtime.openvino_session import OpenVinoSession

_LOG = logging.getLogger(__name__)


class Session(Protocol):
    """What `onnxruntime.InferenceSession` and its like have in common."""

    def run(self, output_names: Sequence[str], input_feed: Mapping[str, NDArray[Any]]) -> Sequence[NDArray[np.float32]]:
        """The outputs of these names; inputs are not copied on a processor, outputs are the caller's."""


@dataclass(frozen=True)
class SessionOptions:
    """How a graph is run.

    Attributes:
        threads: Threads of one session. A second one takes a fifth off an int8 ViT-S and costs a core that
            the rest of the robot's software needs, so one is the default.
        provider: A key of `PROVIDERS`.
        spinning: Whether idle threads wait busily. With two threads at 10 Hz it triples the processor time for
            half a millisecond of latency.
        cores: Processor cores that its threads may run on, by number; empty for any.
        half: Whether a graph's floats may be computed in the device's 16 bits, where the provider can. The
            bundle's self-test decides whether the outcome is still good enough.
        allow_fallback: Whether the processor may do the work where the provider does not start; it is said loudly.
    """

    threads: int = 1
    provider: str = "cpu"
    spinning: bool = False
    cores: tuple[int, ...] = ()
    half: bool = False
    allow_fallback: bool = False


def open_session(file: Path, options: SessionOptions) -> Session:
    """A session for an ONNX file.

    Raises:
        SparkError: The provider is unknown; it is not installed, did not start or cannot do what is asked for, and
            nobody allowed the processor in its place; or the file is not a graph that can be run.
    """
    if options.provider not in PROVIDERS or options.threads < 1:
        raise SparkError(
            f"inference with provider {options.provider!r} and {options.threads} threads is not possible: "
            f"use one of {', '.join(PROVIDERS)} and at least one thread"
        )
    with on_cores(options.cores):  # a pool's threads inherit the cores of the thread that makes it
        try:
            return PROVIDERS[options.provider](file, options)
        except SparkError as error:
            if not options.allow_fallback or options.provider == "cpu":
                raise
            session = PROVIDERS["cpu"](file, replace(options, provider="cpu", half=False))
            _LOG.warning(
                "RUNNING ON THE PROCESSOR instead of %s, as allow_fallback permits: expect it to be slower (%s)",
                options.provider,
                error,
            )
            return session


def _onnxruntime(provider: str, settings: Callable[[Path], Mapping[str, str]] = lambda file: {}) -> _Opener:
    """Opens sessions of one of ONNX Runtime's execution providers, with settings of its own for a file."""

    def open_with(file: Path, options: SessionOptions) -> Session:
        try:
            import onnxruntime
        except ImportError as error:
            raise SparkError(
                f"inference needs onnxruntime, which cannot be imported ({error}): pip install onnxruntime, "
                "or onnxruntime-gpu on a machine with an NVIDIA GPU, never both"
            ) from error
        if options.half:
            raise SparkError(
                f"{provider} computes in the precision of the graph, but half was asked for: use provider openvino, or "
                "leave it out"
            )
        available = onnxruntime.get_available_providers()
        if provider not in available:
            raise SparkError(
                f"{provider} was asked for, but this onnxruntime offers {', '.join(available)}: "
                "install the build for your device (never two builds at once), or use provider cpu"
            )
        asked = onnxruntime.SessionOptions()
        asked.intra_op_num_threads = options.threads
        asked.inter_op_num_threads = 1
        asked.add_session_config_entry("session.intra_op.allow_spinning", "1" if options.spinning else "0")
        asked.log_severity_level = 3  # errors: what matters here is checked below and said in one sentence
        try:
            session = onnxruntime.InferenceSession(str(file), asked, providers=[(provider, dict(settings(file)))])
        except SparkError:
            raise
        except Exception as error:  # onnxruntime's own exceptions share no base class
            reason = " ".join(str(error).split())[:200]
            raise SparkError(f"{file} cannot be run by onnxruntime {onnxruntime.__version__} ({reason})") from error
        # A build for a GPU starts without one and silently computes on the processor instead.
        if session.get_providers()[0] != provider:
            raise SparkError(
                f"{provider} was asked for, but onnxruntime fell back to {session.get_providers()[0]}: "
                "check the device and its driver, or use provider cpu"
            )
        return session

    return open_with


def _openvino(file: Path, options: SessionOptions) -> Session:
    return OpenVinoSession(file, options.threads, options.half)


def _cached_engines(file: Path) -> Mapping[str, str]:
    """TensorRT takes minutes to build an engine, and ONNX Runtime would load an old one for a new graph or GPU."""
    folder = str(engine_folder(file))
    return {
        "trt_engine_cache_enable": "True",
        "trt_engine_cache_path": folder,
        "trt_timing_cache_enable": "True",
        "trt_timing_cache_path": folder,
    }


_Opener = Callable[[Path, SessionOptions], Session]

PROVIDERS: dict[str, _Opener] = {
    "cpu": _onnxruntime("CPUExecutionProvider"),
    "openvino": _openvino,
    "cuda": _onnxruntime("CUDAExecutionProvider"),
    "tensorrt": _onnxruntime("TensorrtExecutionProvider", _cached_engines),
}
