import sys

import numpy as np
import onnxruntime
import pytest

from spark_ros.contracts import SparkError
from spark_ros.runtime.latency import LatencyTrace
from spark_ros.runtime.session import SessionOptions, open_session


@pytest.fixture
def graph(pristine_bundle):
    return pristine_bundle / "encoder.onnx"


def test_session_has_the_threads_it_was_given_and_does_not_spin(graph):
    settings = open_session(graph, SessionOptions(threads=2)).get_session_options()
    assert (settings.intra_op_num_threads, settings.inter_op_num_threads) == (2, 1)
    assert settings.get_session_config_entry("session.intra_op.allow_spinning") == "0"


@pytest.mark.parametrize("options", [SessionOptions(provider="abacus"), SessionOptions(threads=0)])
def test_impossible_options_are_refused(graph, options):
    with pytest.raises(SparkError, match="use one of cpu, openvino, cuda, tensorrt"):
        open_session(graph, options)


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="has CUDA")
def test_provider_this_build_lacks_is_refused(graph):
    with pytest.raises(SparkError, match="CUDAExecutionProvider was asked for"):
        open_session(graph, SessionOptions(provider="cuda"))


def test_silent_fallback_to_the_processor_is_refused(graph, monkeypatch):
    class FallenBack:
        def __init__(self, *_, **__):
            pass

        def get_providers(self):
            return ["CPUExecutionProvider"]

    available = ["CUDAExecutionProvider", "CPUExecutionProvider"]
    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: available)
    monkeypatch.setattr(onnxruntime, "InferenceSession", FallenBack)
    with pytest.raises(SparkError, match="fell back to CPUExecutionProvider"):
        open_session(graph, SessionOptions(provider="cuda"))


@pytest.mark.skipif("CUDAExecutionProvider" in onnxruntime.get_available_providers(), reason="has CUDA")
def test_fallback_that_was_allowed_is_said_loudly(graph, caplog):
    session = open_session(graph, SessionOptions(provider="cuda", allow_fallback=True))
    assert session.run(["tokens"], {"images": np.zeros((1, 8, 8, 3), np.uint8)})[0].shape == (1, 4, 48)
    assert "RUNNING ON THE PROCESSOR instead of cuda" in caplog.text and caplog.records[0].levelname == "WARNING"


def test_fallback_excuses_neither_a_damaged_graph_nor_an_unknown_provider(tmp_path, graph):
    (tmp_path / "encoder.onnx").write_bytes(b"nonsense")
    with pytest.raises(SparkError, match="cannot be run"):
        open_session(tmp_path / "encoder.onnx", SessionOptions(provider="cuda", allow_fallback=True))
    with pytest.raises(SparkError, match="use one of"):
        open_session(graph, SessionOptions(provider="abacus", allow_fallback=True))


def test_missing_onnxruntime_says_what_to_install(graph, monkeypatch):
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    with pytest.raises(SparkError, match="pip install onnxruntime"):
        open_session(graph, SessionOptions())


def test_file_that_is_no_graph_is_refused_in_one_sentence(tmp_path):
    (tmp_path / "encoder.onnx").write_bytes(b"nonsense")
    with pytest.raises(SparkError, match="cannot be run") as caught:
        open_session(tmp_path / "encoder.onnx", SessionOptions())
    assert "\n" not in str(caught.value)


def test_percentiles_are_of_the_last_window_and_the_count_of_all():
    trace = LatencyTrace(window=100)
    for value in [9.0] * 50 + [i / 100 for i in range(1, 101)]:
        trace.add(value)
    summary = trace.summary()
    assert summary.count == 150
    assert (summary.p50, summary.worst) == (pytest.approx(0.505), 1.0)
    assert summary.p50 < summary.p95 < summary.p99 < summary.worst


def test_empty_trace_has_a_summary_and_a_block_that_raises_is_not_counted():
    trace = LatencyTrace()
    assert trace.summary().count == 0
    with pytest.raises(ValueError), trace.measure():
        raise ValueError
    assert trace.summary().count == 0
    with trace.measure():
        pass
    assert trace.summary().count == 1
