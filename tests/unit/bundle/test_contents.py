"""What a sealed bundle may not hold, however right its hashes are: each refused with one sentence."""

from __future__ import annotations

import io
import json
import pickle
import zipfile
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import pytest
import yaml
from bundle_for_tests import CHANNELS, TOKENS, seal, write_encoder, write_policy
from onnx import TensorProto, helper, numpy_helper

from spark_ros.bundle.load import load_bundle
from spark_ros.bundle.scan_onnx import FLOAT, UINT8, TensorType, scan_onnx
from spark_ros.contracts import SparkError
from spark_ros.shares import share_directory


def manifest_of(folder: Path) -> dict:
    return yaml.safe_load((folder / "bundle.yaml").read_text())


def refusal(folder: Path, change: Callable[[dict], None] = lambda values: None) -> str:
    """Seals what lies there now, and loads it."""
    values = manifest_of(folder)
    change(values)
    seal(folder, values)
    with pytest.raises(SparkError) as caught:
        load_bundle(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def spoil_weights(path: Path, tensor: onnx.TensorProto | None = None, **store: object) -> None:
    model = onnx.load(str(path))
    weight = next(t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT)
    if tensor is not None:
        weight.CopyFrom(tensor)
    onnx.save(model, str(path), **store)


def nan_tensor(kind: int, raw: bool) -> onnx.TensorProto:
    if raw:
        content = np.array([1.0, np.nan], "<f4").tobytes() if kind == FLOAT else np.array([1, 0x7FC1], "<u2").tobytes()
        return helper.make_tensor("weight", kind, [2], content, raw=True)
    return helper.make_tensor("weight", kind, [2], [1.0, float("nan")])


@pytest.mark.parametrize("kind", [FLOAT, TensorProto.FLOAT16, TensorProto.BFLOAT16, TensorProto.DOUBLE])
@pytest.mark.parametrize("raw", [False, True])
def test_nan_weights_are_refused_in_every_float_type(bundle_folder, kind, raw):
    if raw and kind in (TensorProto.FLOAT16, TensorProto.DOUBLE):
        dtype = np.float16 if kind == TensorProto.FLOAT16 else np.float64
        tensor = numpy_helper.from_array(np.array([1, np.nan], dtype), "weight")
    else:
        tensor = nan_tensor(kind, raw)
    spoil_weights(bundle_folder / "policy.onnx", tensor)
    assert "has NaN among the weights 'weight'" in refusal(bundle_folder)


def test_infinite_constants_are_no_damage(bundle_folder):
    """Attention masks are made of them; what they do to the tokens is the self-test's business."""
    write_encoder(bundle_folder / "encoder.onnx", scale=float("-inf"))
    seal(bundle_folder, manifest_of(bundle_folder))
    assert load_bundle(bundle_folder)


@pytest.mark.parametrize("where", ["../weights.bin", "/etc/passwd", "sub/weights.bin", "..", ""])
def test_weights_outside_the_folder_are_refused(bundle_folder, where):
    model = onnx.load(str(bundle_folder / "policy.onnx"))
    weight = next(t for t in model.graph.initializer if t.data_type == TensorProto.FLOAT)
    weight.ClearField("raw_data")
    weight.data_location = TensorProto.EXTERNAL
    weight.external_data.add(key="location", value=where)
    (bundle_folder / "policy.onnx").write_bytes(model.SerializeToString())
    assert "outside the bundle's folder" in refusal(bundle_folder)


def test_weights_in_a_file_that_nobody_hashed_are_refused(bundle_folder):
    store = {"save_as_external_data": True, "location": "weights.data", "size_threshold": 0}
    spoil_weights(bundle_folder / "policy.onnx", **store)
    seal(bundle_folder, manifest_of(bundle_folder))
    values = manifest_of(bundle_folder)
    del values["files"]["weights.data"]
    (bundle_folder / "weights.data").unlink()
    assert "weights.data, which the manifest does not list" in refusal(bundle_folder)


@pytest.mark.parametrize("content", [b"", b"\x00", b"nonsense", b"\xff" * 64, b"\x3a\xff\xff\xff\xff\x7f"])
def test_file_that_is_no_graph_is_refused(bundle_folder, content):
    (bundle_folder / "encoder.onnx").write_bytes(content)
    assert "encoder.onnx" in refusal(bundle_folder)


def test_truncated_graph_is_refused(bundle_folder):
    file = bundle_folder / "policy.onnx"
    file.write_bytes(file.read_bytes()[:-100])
    assert "is no readable ONNX graph" in refusal(bundle_folder)


@pytest.mark.parametrize("name", ["encoder.pt", "policy.pkl", "weights.bin", "plan.engine"])
def test_files_of_a_kind_that_can_run_code_are_refused(bundle_folder, name):
    (bundle_folder / name).write_bytes(pickle.dumps({"weights": 1}))
    assert f"{name} is of a kind that bundles do not hold" in refusal(bundle_folder)


def write_npz(path: Path, member: str, content: bytes) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(member, content)


def npy(array: np.ndarray, **options: bool) -> bytes:
    with io.BytesIO() as stream:
        np.save(stream, array, **options)
        return stream.getvalue()


def claim(shape: tuple[int, ...]) -> bytes:
    header = repr({"descr": "<f4", "fortran_order": False, "shape": shape}).encode().ljust(118) + b"\n"
    return b"\x93NUMPY\x01\x00" + len(header).to_bytes(2, "little") + header


@pytest.mark.parametrize(
    ("member", "content", "says"),
    [
        ("extra.npy", npy(np.array([{}], dtype=object), allow_pickle=True), "holds a pickle"),
        ("extra.pkl", pickle.dumps({}), "expected nothing but arrays"),
        ("extra.npy", claim((50_000, 50_000)), "does not have the bytes that it claims"),
        ("extra.npy", claim((-1,)), "does not have the bytes that it claims"),
        ("extra.npy", b"nonsense", "is no readable npz file"),
        ("actions.npy", npy(np.zeros(1)), "holds an array twice"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_arrays_that_are_no_plain_numbers_are_refused(bundle_folder, member, content, says):
    write_npz(bundle_folder / "golden.npz", member, content)
    assert says in refusal(bundle_folder)


def test_self_test_that_would_unpack_to_gigabytes_is_refused_before_it_is_unpacked(bundle_folder):
    with zipfile.ZipFile(bundle_folder / "golden.npz", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
        with archive.open("actions.npy", "w", force_zip64=True) as stream:
            for _ in range(600):
                stream.write(bytes(2**20))
    assert (bundle_folder / "golden.npz").stat().st_size < 5e6
    assert "claims 0.6 GB of arrays" in refusal(bundle_folder)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda g: g.pop("images/wrist"), "images/wrist"),
        (lambda g: g.update(actions=g["actions"][:0]), "records nothing"),
        (lambda g: g.update(actions=g["actions"][..., :3]), "actions is float32 (2, 5, 3)"),
        (lambda g: g.update(proprioception=np.full_like(g["proprioception"], np.nan)), "not finite"),
        (lambda g: g.update({"images/front": g["images/front"].astype(np.float32)}), "expected uint8"),
        (lambda g: g.update(joint_names=g["joint_names"][:-1]), "joint_position is"),
    ],
)
def test_self_test_that_is_not_this_bundles_is_refused(bundle_folder, change, says):
    golden = dict(np.load(bundle_folder / "golden.npz"))
    change(golden)
    np.savez(bundle_folder / "golden.npz", **golden)
    seal(bundle_folder, manifest_of(bundle_folder))
    with pytest.raises(SparkError) as caught:
        load_bundle(bundle_folder).golden()
    assert "not a readable self-test" in str(caught.value) and says in str(caught.value)


def write_safetensors(path: Path, values: np.ndarray, **described: object) -> None:
    entry = {"dtype": "F32", "shape": list(values.shape), "data_offsets": [0, values.nbytes], **described}
    header = json.dumps({"mean": entry}).encode()
    path.write_bytes(len(header).to_bytes(8, "little") + header + values.tobytes())


@pytest.mark.parametrize(
    ("value", "described", "says"),
    [
        (np.nan, {}, "has NaN in 'mean'"),
        (1.0, {"shape": [10**10]}, "does not have the bytes that it claims"),
        (1.0, {"data_offsets": [0, 10**10], "shape": [25 * 10**8]}, "does not have the bytes that it claims"),
        (1.0, {"dtype": "pickle"}, "described wrongly"),
    ],
)
def test_damaged_safetensors_are_refused(bundle_folder, value, described, says):
    write_safetensors(bundle_folder / "drift.safetensors", np.array([1.0, value], np.float32), **described)
    assert says in refusal(bundle_folder)


def test_healthy_safetensors_may_lie_in_a_bundle(bundle_folder):
    write_safetensors(bundle_folder / "drift.safetensors", np.ones(3, np.float32))
    seal(bundle_folder, manifest_of(bundle_folder))
    assert "drift.safetensors" in load_bundle(bundle_folder).manifest.files


def test_camera_that_the_manifest_forgot_is_refused(bundle_folder):
    message = refusal(bundle_folder, lambda values: values["cameras"].pop("wrist"))
    assert "takes proprioception, tokens_front, tokens_wrist" in message


def test_encoder_and_policy_that_changed_places_are_refused(bundle_folder):
    def swap(values):
        values["encoder"]["file"], values["policy"]["file"] = values["policy"]["file"], values["encoder"]["file"]

    assert "put together wrongly" in refusal(bundle_folder, swap)


def test_policy_of_other_actions_is_refused(bundle_folder):
    write_policy(bundle_folder / "policy.onnx", 17, 8)
    assert "gives actions as float32 (1, 5, 8), the manifest says float32 (1, 5, 7)" in refusal(bundle_folder)


def test_graph_facts_are_read_without_the_onnx_package(bundle_folder):
    facts = scan_onnx(bundle_folder / "encoder.onnx")
    assert facts.inputs == {"images": TensorType(UINT8, (None, 8, 8, 3))}
    assert facts.outputs == {"tokens": TensorType(FLOAT, (None, TOKENS, CHANNELS))}
    assert facts.external == set()


def test_bundle_of_version_1_still_loads(bundle_folder):
    values = manifest_of(bundle_folder)
    values["version"] = 1
    del values["proprioception_units"], values["action"]["units"], values["golden"]["max_mean_action_error"]
    for camera in values["cameras"].values():
        del camera["colour"], camera["mean"], camera["std"]
    seal(bundle_folder, values)
    assert load_bundle(bundle_folder).manifest.version == 1


def test_shipped_bundle_loads():
    assert load_bundle(share_directory() / "models" / "fr3_lift").golden().actions.shape[1:] == (10, 7)
