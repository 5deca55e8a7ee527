import os
import shutil

import pytest
import yaml
from bundle_for_tests import seal

from spark_ros.bundle.load import load_bundle
from spark_ros.contracts import ActionKind, SparkError


def edit(folder, change):
    """Change the manifest and give it the id that goes with the change."""
    file = folder / "bundle.yaml"
    values = yaml.safe_load(file.read_text())
    change(values)
    file.write_text(yaml.safe_dump(values))


def refusal(folder):
    with pytest.raises(SparkError) as caught:
        load_bundle(folder)
    assert "\n" not in str(caught.value)
    return str(caught.value)


def test_valid_bundle_says_what_it_needs_and_gives(bundle_folder):
    bundle = load_bundle(bundle_folder)
    assert bundle.observation_space.cameras == ("front", "wrist")
    assert bundle.observation_space.joint_names == bundle.robot.joint_names
    assert (bundle.action_space.kind, bundle.action_space.horizon) == (ActionKind.EE_POSE, 5)
    assert bundle.preprocess("front").size == 8
    assert bundle.manifest.id.startswith("tiny-")


def test_moving_a_bundle_does_not_change_it(bundle_folder, tmp_path):
    before = load_bundle(bundle_folder).manifest
    assert load_bundle(shutil.move(bundle_folder, tmp_path / "elsewhere")).manifest == before


def test_unknown_bundle_names_those_beside_it(bundle_folder):
    assert "holds tiny" in refusal(bundle_folder.parent / "tinny")
    assert "holds tiny" in refusal(bundle_folder.parent)


def test_unknown_bundle_without_neighbours_says_what_to_give(tmp_path):
    assert "bundle.yaml" in refusal(tmp_path / "nothing")


@pytest.mark.parametrize("name", ["encoder.onnx", "policy.onnx", "golden.npz", "NOTICE.txt"])
def test_one_changed_byte_in_any_file_is_refused(bundle_folder, name):
    file = bundle_folder / name
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)
    message = refusal(bundle_folder)
    assert name in message and "SHA-256" in message


def test_missing_file_is_refused(bundle_folder):
    (bundle_folder / "policy.onnx").unlink()
    assert "policy.onnx is missing" in refusal(bundle_folder)


def test_edited_manifest_is_refused(bundle_folder):
    edit(bundle_folder, lambda values: values.update(rate_hz=100.0))
    assert "was edited" in refusal(bundle_folder)


def test_manifest_of_a_newer_version_is_refused(bundle_folder):
    edit(bundle_folder, lambda values: values.update(version=3, soft_robot=True))
    assert "version 3" in refusal(bundle_folder) and "update spark_ros" in refusal(bundle_folder)


@pytest.mark.parametrize("name", ["../encoder.onnx", "/etc/hostname", "sub/encoder.onnx", ".."])
def test_file_name_that_leaves_the_folder_is_refused(bundle_folder, name):
    def point_elsewhere(values):
        values["files"][name] = values["files"].pop("encoder.onnx")
        values["encoder"]["file"] = name

    edit(bundle_folder, point_elsewhere)
    assert "leaves the bundle's folder" in refusal(bundle_folder)


def test_link_out_of_the_folder_is_refused_even_to_the_same_bytes(bundle_folder, tmp_path):
    shutil.move(bundle_folder / "encoder.onnx", tmp_path / "encoder.onnx")
    os.symlink(tmp_path / "encoder.onnx", bundle_folder / "encoder.onnx")
    assert "outside the bundle" in refusal(bundle_folder)


def test_workspace_that_links_every_file_of_a_bundle_can_load_it(bundle_folder, tmp_path):
    install = tmp_path / "install"
    install.mkdir()
    for file in bundle_folder.iterdir():
        os.symlink(file, install / file.name)
    assert load_bundle(install).manifest == load_bundle(bundle_folder).manifest


@pytest.mark.parametrize(
    ("change", "says"),
    [
        (lambda v: v.pop("action"), "action"),
        (lambda v: v.update(colour="red"), "colour"),
        (lambda v: v["action"].update(kind="telekinesis"), "action.kind"),
        (lambda v: v["encoder"].update(num_tokens=0), "encoder.num_tokens"),
        (lambda v: v.update(cameras={}), "cameras"),
        (lambda v: v["files"].pop("policy.onnx"), "policy.onnx has no entry"),
        (lambda v: v["files"].update({"policy.onnx": "abc"}), "files.policy.onnx"),
        (lambda v: v["golden"].update(max_action_error=[0.1]), "max_action_error"),
        (lambda v: v.pop("version"), "no version"),
    ],
)
def test_manifest_of_another_shape_is_refused(bundle_folder, change, says):
    edit(bundle_folder, change)
    assert says in refusal(bundle_folder)


@pytest.mark.parametrize("text", ["", "[1, 2]", "version: [", "version: one"])
def test_file_that_is_no_manifest_is_refused(bundle_folder, text):
    (bundle_folder / "bundle.yaml").write_text(text)
    assert "bundle.yaml" in refusal(bundle_folder)


def test_bundle_for_other_joints_is_refused(bundle_folder):
    values = yaml.safe_load((bundle_folder / "bundle.yaml").read_text())
    values["joint_names"] = [f"ur5e_{i}" for i in range(6)]
    seal(bundle_folder, values)
    assert "ur5e_0" in refusal(bundle_folder) and "fr3_joint1" in refusal(bundle_folder)


def test_bundle_for_an_unknown_robot_is_refused(bundle_folder):
    values = yaml.safe_load((bundle_folder / "bundle.yaml").read_text())
    seal(bundle_folder, {**values, "robot": "marvin"})
    assert "marvin" in refusal(bundle_folder)


def test_camera_the_bundle_does_not_use_is_refused(bundle_folder):
    with pytest.raises(SparkError, match="front, wrist"):
        load_bundle(bundle_folder).preprocess("ceiling")
