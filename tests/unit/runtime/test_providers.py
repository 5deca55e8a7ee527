"""Providers beside ONNX Runtime's processor: the same numbers, or one sentence; an engine fits or is not found."""

import os
import sys
import threading

import numpy as np
import onnxruntime
import pytest

from spark_ros.bundle.load import load_bundle
from spark_ros.contracts import SparkError
from spark_ros.runtime import engine_cache
from spark_ros.runtime.cores import on_cores, pin_thread
from spark_ros.runtime.encoder_runtime import EncoderRuntime
from spark_ros.runtime.policy_runtime import PolicyRuntime
from spark_ros.runtime.session import SessionOptions, open_session


@pytest.mark.parametrize("half", [False, True])
def test_openvino_proves_itself_on_a_bundle_as_onnxruntime_does(pristine_bundle, half):
    pytest.importorskip("openvino")
    bundle = load_bundle(pristine_bundle)
    options = SessionOptions(provider="openvino", half=half)
    EncoderRuntime(bundle, options)
    PolicyRuntime(bundle, SessionOptions(provider="openvino"))
    session = open_session(bundle.encoder_file, options)
    images = bundle.golden().images["front"]
    first = session.run(["tokens"], {"images": images[:1]})[0]
    kept = first.copy()
    session.run(["tokens"], {"images": images[1:]})
    np.testing.assert_array_equal(first, kept, "the next run must not write into what was given out")


def test_openvino_that_is_missing_says_what_to_install(pristine_bundle, monkeypatch):
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(SparkError, match=r"spark_ros\[openvino\]"):
        open_session(pristine_bundle / "encoder.onnx", SessionOptions(provider="openvino"))


def test_openvino_refuses_what_is_no_graph_in_one_sentence(tmp_path):
    pytest.importorskip("openvino")
    (tmp_path / "encoder.onnx").write_bytes(b"nonsense")
    with pytest.raises(SparkError, match="cannot be run by openvino") as caught:
        open_session(tmp_path / "encoder.onnx", SessionOptions(provider="openvino"))
    assert "\n" not in str(caught.value)


def test_half_is_refused_where_it_would_be_ignored(pristine_bundle):
    with pytest.raises(SparkError, match="half was asked for"):
        open_session(pristine_bundle / "encoder.onnx", SessionOptions(half=True))


def test_threads_stay_on_the_cores_they_were_given(pristine_bundle):
    before = os.sched_getaffinity(0)
    core = max(before)
    with on_cores([core]):
        assert os.sched_getaffinity(0) == {core}
        inherited = []
        thread = threading.Thread(target=lambda: inherited.append(os.sched_getaffinity(0)))
        thread.start()
        thread.join()
        assert inherited == [{core}]
    assert os.sched_getaffinity(0) == before
    open_session(pristine_bundle / "encoder.onnx", SessionOptions(cores=(core,)))
    assert os.sched_getaffinity(0) == before
    pin_thread([])
    assert os.sched_getaffinity(0) == before
    with pytest.raises(SparkError, match="processor core 4095"):
        open_session(pristine_bundle / "encoder.onnx", SessionOptions(cores=(4095,)))


def test_an_engine_belongs_to_graph_version_gpu_precision_and_shapes():
    known = ("a" * 64, "tensorrt 10.1", "NVIDIA L4; 550", "graph", "batch 1")
    key = engine_cache.engine_key(*known)
    assert key == engine_cache.engine_key(*known)
    others = {engine_cache.engine_key(*(*known[:i], "other", *known[i + 1 :])) for i in range(len(known))}
    assert len(others | {key}) == len(known) + 1
    assert engine_cache.engine_key("ab", "c", *known[2:]) != engine_cache.engine_key("a", "bc", *known[2:])


def test_the_engines_folder_changes_with_the_graph_and_only_its_owner_enters(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setattr(engine_cache, "tensorrt_version", lambda: "tensorrt 10.1")
    monkeypatch.setattr(engine_cache, "gpu", lambda: "NVIDIA L4; 550")
    folders = []
    for content in (b"one", b"other"):
        (tmp_path / "encoder.onnx").write_bytes(content)
        folders.append(engine_cache.engine_folder(tmp_path / "encoder.onnx"))
    assert folders[0] != folders[1] and all(folder.is_dir() for folder in folders)
    assert folders[0].stat().st_mode & 0o077 == 0


def test_a_gpu_is_known_by_its_model_and_driver(tmp_path):
    with pytest.raises(SparkError, match="no NVIDIA GPU is here"):
        engine_cache.gpu(tmp_path)
    for slot, model in (("0000:01:00.0", "NVIDIA L4"), ("0000:02:00.0", "NVIDIA H100")):
        folder = tmp_path / "gpus" / slot
        folder.mkdir(parents=True)
        (folder / "information").write_text(f"Model: \t\t {model}\nIRQ:   \t\t 7\n")
    (tmp_path / "version").write_text("NVRM version: NVIDIA UNIX x86_64  550.54\nGCC version: 12\n")
    assert engine_cache.gpu(tmp_path) == "NVIDIA L4, NVIDIA H100; NVRM version: NVIDIA UNIX x86_64  550.54"


@pytest.mark.skipif("TensorrtExecutionProvider" in onnxruntime.get_available_providers(), reason="has TensorRT")
def test_tensorrt_that_is_missing_is_refused(pristine_bundle):
    with pytest.raises(SparkError, match="TensorrtExecutionProvider was asked for"):
        open_session(pristine_bundle / "encoder.onnx", SessionOptions(provider="tensorrt"))
    with pytest.raises(SparkError, match="no package of that name is installed"):
        engine_cache.tensorrt_version()


@pytest.mark.gpu
@pytest.mark.skipif("TensorrtExecutionProvider" not in onnxruntime.get_available_providers(), reason="no TensorRT")
def test_tensorrt_proves_itself_and_finds_its_engine_again(pristine_bundle, tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    bundle = load_bundle(pristine_bundle)
    for _ in range(2):
        EncoderRuntime(bundle, SessionOptions(provider="tensorrt"))
        engines = {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.engine")}
    assert engines
    EncoderRuntime(bundle, SessionOptions(provider="tensorrt"))
    assert {path: path.stat().st_mtime_ns for path in tmp_path.rglob("*.engine")} == engines


@pytest.mark.gpu
@pytest.mark.skipif("CUDAExecutionProvider" not in onnxruntime.get_available_providers(), reason="no CUDA")
def test_cuda_proves_itself(pristine_bundle):
    EncoderRuntime(load_bundle(pristine_bundle), SessionOptions(provider="cuda"))
