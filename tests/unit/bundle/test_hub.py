"""Push and pull with the real client of huggingface_hub, against a hub on this machine."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from hub_for_tests import running_hub

from spark_ros.bundle.hub import pull, push
from spark_ros.bundle.load import load_bundle
from spark_ros.contracts import SparkError

pytest.importorskip("huggingface_hub")


@pytest.fixture(autouse=True)
def own_home(tmp_path, monkeypatch):
    for name in ("HF_HOME", "HF_HUB_CACHE", "HF_XET_CACHE"):
        monkeypatch.setenv(name, str(tmp_path / "hf"))


@pytest.fixture
def hub():
    with running_hub() as hub:
        yield hub


@pytest.fixture
def pushed(hub, pristine_bundle):
    return push(pristine_bundle, "lab/tiny", endpoint=hub.endpoint).reference


def refusal(hub, reference: str, folder: Path) -> str:
    with pytest.raises(SparkError) as caught:
        pull(reference, folder, endpoint=hub.endpoint)
    assert "\n" not in str(caught.value) and not folder.exists()
    return str(caught.value)


def test_what_was_pushed_is_pulled_by_its_commit(hub, pushed, pristine_bundle, tmp_path):
    repo, _, commit = pushed.partition("@")
    assert repo == "lab/tiny" and set(hub.repos[repo][commit]) == {f.name for f in pristine_bundle.iterdir()}
    manifest = pull(pushed, tmp_path / "pulled", endpoint=hub.endpoint)
    assert manifest == load_bundle(pristine_bundle).manifest == load_bundle(tmp_path / "pulled").manifest


@pytest.mark.parametrize(
    "reference", ["lab/tiny", "lab/tiny@main", "lab/tiny@abc", "tiny@" + "0" * 40, "../x@" + "0" * 40]
)
def test_reference_without_a_commit_is_refused_without_asking_anybody(hub, reference, tmp_path):
    assert "names no commit" in refusal(hub, reference, tmp_path / "pulled") or ".." in reference
    assert hub.downloads == []


def test_byte_that_changed_on_the_hub_is_refused(hub, pushed, tmp_path):
    repo, _, commit = pushed.partition("@")
    content = hub.repos[repo][commit]["policy.onnx"]
    hub.repos[repo][commit]["policy.onnx"] = content[:-1] + bytes([content[-1] ^ 1])
    assert "policy.onnx is not the file that was exported" in refusal(hub, pushed, tmp_path / "pulled")


def test_missing_file_is_refused(hub, pushed, tmp_path):
    repo, _, commit = pushed.partition("@")
    del hub.repos[repo][commit]["policy.onnx"]
    assert "holds no policy.onnx" in refusal(hub, pushed, tmp_path / "pulled")


@pytest.mark.parametrize(("name", "size"), [("bundle.yaml", 10**6), ("encoder.onnx", 10 * 10**9)])
def test_file_of_gigabytes_is_refused_before_it_is_downloaded(hub, pushed, tmp_path, name, size):
    hub.claims[name] = size
    assert f"{name} of lab/tiny" in refusal(hub, pushed, tmp_path / "pulled")
    assert name not in hub.downloads


def test_unknown_commit_is_one_sentence(hub, pushed, tmp_path):
    assert "could not pull" in refusal(hub, "lab/tiny@" + "0" * 40, tmp_path / "pulled")


def test_missing_client_says_what_to_install(monkeypatch, pristine_bundle):
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(SparkError, match=r"pip install 'spark_ros\[hub\]'"):
        push(pristine_bundle, "lab/tiny")
