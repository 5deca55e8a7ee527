import numpy as np
import pytest
import yaml
from bundle_for_tests import CAMERAS, CHANNELS, HORIZON, SIZE, TOKENS, seal, write_bundle, write_encoder, write_policy

from spark_ros.bundle.load import load_bundle
from spark_ros.contracts import ActionKind, Frame, JointState, SparkError, StateFeatures
from spark_ros.runtime.encoder_runtime import EncoderRuntime
from spark_ros.runtime.policy_runtime import PolicyRuntime


@pytest.fixture
def bundle(pristine_bundle):
    return load_bundle(pristine_bundle)


@pytest.fixture
def joints(bundle):
    names = (*bundle.robot.joint_names, *bundle.robot.gripper.joint_names)
    return JointState(names, np.concatenate([bundle.robot.home, [0.03, 0.03]]), np.zeros(len(names)), 90)


@pytest.fixture
def features():
    rng = np.random.default_rng(1)
    return {
        camera: StateFeatures(camera, rng.random((TOKENS, CHANNELS), np.float32), 100 + 10 * i)
        for i, camera in enumerate(CAMERAS)
    }


def reseal(folder):
    seal(folder, yaml.safe_load((folder / "bundle.yaml").read_text()))


def test_features_carry_the_frames_camera_and_stamp(bundle):
    image = np.random.default_rng(0).integers(0, 256, (48, 64, 3), np.uint8)
    encoder = EncoderRuntime(bundle)
    features = encoder.encode(Frame("wrist", image, 123))
    assert (features.camera, features.stamp_ns) == ("wrist", 123)
    expected = bundle.preprocess("wrist")(image).reshape(TOKENS, CHANNELS) / np.float32(255)
    np.testing.assert_allclose(features.tokens, expected, rtol=1e-6)


def test_frame_of_a_foreign_camera_is_refused(bundle):
    with pytest.raises(SparkError, match="ceiling"):
        EncoderRuntime(bundle).encode(Frame("ceiling", np.zeros((8, 8, 3), np.uint8), 0))


@pytest.mark.parametrize("image", [np.zeros((8, 8), np.uint8), np.zeros((8, 8, 3), np.float32)])
def test_frame_that_is_no_rgb_image_is_refused(bundle, image):
    with pytest.raises(SparkError, match="expected uint8"):
        EncoderRuntime(bundle).encode(Frame("front", image, 0))


@pytest.mark.parametrize("kind", list(ActionKind))
def test_chunk_starts_at_the_measured_state_and_bears_the_oldest_stamp(tmp_path, features, joints, kind):
    bundle = load_bundle(write_bundle(tmp_path / "bundle", kind))
    chunk = PolicyRuntime(bundle).act(features, joints)
    assert chunk.kind is kind and chunk.stamp_ns == 100 and chunk.dt_s == 0.1
    width = 6 if kind.is_relative and not kind.is_joint else 7
    assert chunk.values.shape == (HORIZON, width) and chunk.gripper_width.shape == (HORIZON,)
    assert chunk.joint_names == (bundle.robot.joint_names if kind.is_joint else ())
    assert chunk.values.dtype == np.float64 and np.isfinite(chunk.values).all()


def test_joints_are_taken_by_name_not_by_position(bundle, features, joints):
    policy = PolicyRuntime(bundle)
    order = np.random.default_rng(3).permutation(len(joints.names))
    shuffled = JointState(tuple(joints.names[i] for i in order), joints.position[order], joints.velocity[order], 90)
    np.testing.assert_array_equal(policy.act(features, joints).values, policy.act(features, shuffled).values)


def with_nan(features):
    tokens = features["front"].tokens.copy()
    tokens[0, 0] = np.nan
    return features | {"front": StateFeatures("front", tokens, 0)}


@pytest.mark.parametrize(
    ("spoil", "says"),
    [
        (lambda f: {"front": f["front"]}, "expected front, wrist"),
        (lambda f: {}, "none"),
        (lambda f: f | {"ceiling": StateFeatures("ceiling", f["front"].tokens, 0)}, "ceiling"),
        (lambda f: f | {"front": StateFeatures("front", f["front"].tokens[:2], 0)}, "same bundle"),
        (lambda f: f | {"front": StateFeatures("front", f["front"].tokens.astype(np.float64), 0)}, "float32"),
        (with_nan, "not finite"),
    ],
)
def test_unusable_features_give_no_chunk(bundle, features, joints, spoil, says):
    with pytest.raises(SparkError, match=says):
        PolicyRuntime(bundle).act(spoil(features), joints)


def test_unusable_joints_give_no_chunk(bundle, features, joints):
    policy = PolicyRuntime(bundle)
    with pytest.raises(SparkError, match="fr3_finger_joint2"):
        policy.act(features, joints.select(joints.names[:-1]))
    position = joints.position.copy()
    position[3] = np.nan
    with pytest.raises(SparkError, match="not finite"):
        policy.act(features, JointState(joints.names, position, joints.velocity, 0))


def test_policy_that_overflows_gives_no_chunk(bundle, features, joints):
    huge = {c: StateFeatures(c, np.full((TOKENS, CHANNELS), 3e38, np.float32), 0) for c in CAMERAS}
    with pytest.raises(SparkError, match="far from anything"):
        PolicyRuntime(bundle).act(huge, joints)


def test_encoder_that_does_not_reproduce_its_recorded_tokens_does_not_start(bundle_folder):
    golden = dict(np.load(bundle_folder / "golden.npz"))
    golden["tokens/wrist"] = np.flip(golden["tokens/wrist"], axis=-1)
    np.savez(bundle_folder / "golden.npz", **golden)
    reseal(bundle_folder)
    with pytest.raises(SparkError, match="does not reproduce its recorded tokens for camera wrist"):
        EncoderRuntime(load_bundle(bundle_folder))


def test_encoder_that_moves_the_actions_does_not_start_however_alike_its_tokens_are(bundle_folder):
    values = yaml.safe_load((bundle_folder / "bundle.yaml").read_text())
    values["golden"]["min_token_cosine"] = 0.5
    write_encoder(bundle_folder / "encoder.onnx", scale=1.5 / 255)  # tokens of the same direction
    seal(bundle_folder, values)
    with pytest.raises(SparkError, match=r"the actions are not those recorded .* (m|rad) off on average"):
        EncoderRuntime(load_bundle(bundle_folder))


def test_policy_that_does_not_reproduce_its_recorded_actions_does_not_start(bundle_folder):
    write_policy(bundle_folder / "policy.onnx", 17, 7, scale=0.011)
    reseal(bundle_folder)
    with pytest.raises(SparkError, match="does not reproduce its recorded actions"):
        PolicyRuntime(load_bundle(bundle_folder))


@pytest.mark.parametrize("array", ["proprioception", "chunk_values", "chunk_width"])
def test_policy_does_not_start_where_the_robot_is_described_differently(bundle_folder, array):
    golden = dict(np.load(bundle_folder / "golden.npz"))
    golden[array] = golden[array] + 0.001
    np.savez(bundle_folder / "golden.npz", **golden)
    reseal(bundle_folder)
    with pytest.raises(SparkError, match="comes out differently here"):
        PolicyRuntime(load_bundle(bundle_folder))


def test_self_test_never_unpickles(bundle_folder):
    golden = dict(np.load(bundle_folder / "golden.npz"))
    golden["actions"] = np.array([object()], dtype=object)
    np.savez(bundle_folder / "golden.npz", **golden)
    reseal(bundle_folder)
    with pytest.raises(SparkError, match="holds a pickle"):
        PolicyRuntime(load_bundle(bundle_folder))


def test_layout_this_code_does_not_compute_is_refused(bundle_folder):
    values = yaml.safe_load((bundle_folder / "bundle.yaml").read_text())
    for key in ("proprioception", "proprioception_units"):
        values[key] = values[key][::-1]
    seal(bundle_folder, values)
    with pytest.raises(SparkError, match="this spark_ros computes"):
        PolicyRuntime(load_bundle(bundle_folder))


def test_encoder_output_that_is_not_finite_is_refused(bundle_folder):
    write_encoder(bundle_folder / "encoder.onnx", scale=float("inf"))
    reseal(bundle_folder)
    with pytest.raises(SparkError, match="does not reproduce"):
        EncoderRuntime(load_bundle(bundle_folder))


def test_images_of_any_size_are_brought_to_the_encoders(bundle):
    encoder = EncoderRuntime(bundle)
    for shape in ((SIZE, SIZE, 3), (30, 50, 3), (480, 640, 3)):
        assert encoder.encode(Frame("front", np.zeros(shape, np.uint8), 0)).tokens.shape == (TOKENS, CHANNELS)
