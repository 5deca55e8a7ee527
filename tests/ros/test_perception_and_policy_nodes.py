"""Perception and policy as processes: the same numbers as offline, and no action on foreign features."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from bundle_for_tests import seal, write_bundle, write_encoder
from graph_for_tests import GraphUnderTest, until
from sensor_msgs.msg import Image, JointState
from std_msgs.msg import Float32, String
from synthetic_episode import Script
from trajectory_msgs.msg import MultiDOFJointTrajectory

from spark_ros import topics
from spark_ros.bundle.drift_fit import fit_drift, store_drift
from spark_ros.bundle.load import load_bundle
from spark_ros.contracts import ActionChunk, ActionKind, Frame
from spark_ros.data.align import align_stamps
from spark_ros.data.cdr_messages import IMAGE, JOINT_STATE, decode_frame, decode_joints
from spark_ros.nodes.messages import features_from_image, image_from_frame, message_from_joints
from spark_ros.nodes.motion_messages import chunk_from_ee_message, chunk_from_joint_message
from spark_ros.nodes.qos import LATCHED
from spark_ros.nodes.relative_messages import as_changes, as_sent, chunk_channel
from spark_ros.robots.spec import load_robot
from spark_ros.runtime.encoder_runtime import EncoderRuntime
from spark_ros.runtime.policy_runtime import PolicyRuntime
from spark_ros.runtime.trace import Stamps

pytestmark = pytest.mark.ros

SPEC = load_robot("fr3")
CAMERAS = ("front", "wrist")


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "models" / "tiny")


class Recording:
    """A recorded episode, sent into the graph at its own pace with its own stamps, and what is made of it offline."""

    def __init__(self, bundle: Path) -> None:
        self.frames: dict[str, list[Frame]] = {camera: [] for camera in CAMERAS}
        self.joints = []
        for _, topic, (kind, cdr) in Script(SPEC, duration=2.0).messages():
            if kind == IMAGE:
                camera = next(name for name in CAMERAS if topic == topics.camera_image(name))
                self.frames[camera].append(decode_frame(cdr, camera))
            elif kind == JOINT_STATE and topic == topics.JOINT_STATES:
                self.joints.append(decode_joints(cdr))
        self._bundle = load_bundle(bundle)

    def send(self, graph: GraphUnderTest) -> None:
        images = {camera: graph.advertise(Image, topics.camera_image(camera)) for camera in CAMERAS}
        states = graph.advertise(JointState, topics.JOINT_STATES)
        events: list[tuple[int, object, object]] = [(s.stamp_ns, states, message_from_joints(s)) for s in self.joints]
        for camera, frames in self.frames.items():
            events += [(frame.stamp_ns, images[camera], image_from_frame(frame)) for frame in frames]
        events.sort(key=lambda event: event[0])
        begin, first = time.monotonic(), events[0][0]
        for stamp, publisher, message in events:
            time.sleep(max(0.0, begin + (stamp - first) * 1e-9 - time.monotonic()))
            publisher.publish(message)

    def chunks(self) -> Iterator[ActionChunk]:
        """The offline path: the aligner and the runtimes, without ROS."""
        encoder, policy = EncoderRuntime(self._bundle), PolicyRuntime(self._bundle)
        stamps = {camera: np.array([f.stamp_ns for f in frames]) for camera, frames in self.frames.items()}
        names = (*SPEC.joint_names, *SPEC.gripper.joint_names)
        for observation in align_stamps(stamps, self.joints, names):
            seen = {camera: self.frames[camera][i] for camera, i in observation.items.items()}
            yield policy.act({camera: encoder.encode(frame) for camera, frame in seen.items()}, observation.joints)


@pytest.mark.parametrize("kind", list(ActionKind))
def test_a_recorded_episode_gives_the_same_chunks_live_as_offline(
    graph: GraphUnderTest, tmp_path: Path, kind: ActionKind
) -> None:
    bundle = write_bundle(tmp_path / "models" / "tiny", kind)
    recording = Recording(bundle)
    for name in ("perception", "policy"):
        graph.start(name, bundle=str(bundle))
        graph.activate(name)
    received = graph.listen(*chunk_channel(kind))
    stages = graph.listen(String, topics.STAGES)
    assert until(lambda: graph.client.count_subscribers(topics.camera_features("front")) > 0)
    recording.send(graph)
    time.sleep(0.5)
    read = chunk_from_joint_message if kind.is_joint else chunk_from_ee_message
    # Changes and rates travel as changes, and are compared as such.
    live = {chunk.stamp_ns: as_received(chunk, kind) for chunk in (read(message, SPEC) for message in received)}
    offline = {chunk.stamp_ns: as_received(as_sent(chunk), kind) for chunk in recording.chunks()}
    assert set(live) <= set(offline)
    of_chunks = [stamps for stamps in map(Stamps.from_json, (s.data for s in stages)) if "policy" in stamps.reached_ns]
    assert {stamps.capture_ns for stamps in of_chunks} == set(live)
    assert len(live) >= len(offline) - 5, f"{len(live)} of {len(offline)} chunks arrived\n{graph.logs()}"
    for stamp, chunk in live.items():
        np.testing.assert_allclose(chunk.values, offline[stamp].values, atol=1e-9)
        np.testing.assert_allclose(chunk.gripper_width, offline[stamp].gripper_width, atol=1e-9)
        assert (chunk.kind, chunk.dt_s) == (offline[stamp].kind, offline[stamp].dt_s)


def as_received(chunk: ActionChunk, kind: ActionKind) -> ActionChunk:
    """As the gateway reads a policy's chunk of this kind."""
    return as_changes(chunk) if kind.is_relative else chunk


def test_features_carry_the_frames_stamp_and_bgr_is_understood(graph: GraphUnderTest, bundle: Path) -> None:
    contracts = graph.listen(String, topics.FEATURE_CONTRACT, LATCHED)
    received = graph.listen(Image, topics.camera_features("front"))
    graph.start("perception", bundle=str(bundle))
    graph.activate("perception")
    assert until(lambda: contracts and load_bundle(bundle).manifest.encoder_sha256 in contracts[0].data)
    frame = Frame("front", np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8), 1_234_567_890_123)
    rgb, bgr = image_from_frame(frame), image_from_frame(frame)
    bgr.encoding, bgr.data = "bgr8", frame.image[:, :, ::-1].tobytes()
    publisher = graph.advertise(Image, topics.camera_image("front"))
    expected = EncoderRuntime(load_bundle(bundle)).encode(frame)
    for message in (rgb, bgr):
        received.clear()
        publisher.publish(message)
        assert until(lambda: received), graph.logs()
        features = features_from_image(received[0], "front")
        assert features.stamp_ns == frame.stamp_ns
        np.testing.assert_array_equal(features.tokens, expected.tokens)


def test_perception_refuses_an_encoding_it_cannot_read(graph: GraphUnderTest, bundle: Path) -> None:
    node = graph.start("perception", bundle=str(bundle))
    graph.activate("perception")
    message = image_from_frame(Frame("wrist", np.zeros((24, 32, 3), np.uint8), 1))
    message.encoding = "mono16"
    publisher = graph.advertise(Image, topics.camera_image("wrist"))
    begin = time.monotonic()
    while time.monotonic() < begin + 2.5:
        publisher.publish(message)
        time.sleep(0.02)
    graph.complaint("perception", "camera wrist sends encoding 'mono16', expected rgb8 or bgr8")
    assert 2 <= node.output.count("mono16") <= 4, "once a second, not once a frame"


def test_a_policy_refuses_the_features_of_another_encoder(graph: GraphUnderTest, bundle: Path) -> None:
    other = shutil.copytree(bundle, bundle.parent / "other")
    manifest = load_bundle(bundle).manifest.model_dump(mode="json")
    write_encoder(other / "encoder.onnx", scale=1 / 254.9)  # same shapes, other meaning
    manifest["golden"]["min_token_cosine"] = 0.99
    seal(other, manifest)
    graph.start("perception", bundle=str(other))
    policy = graph.start("policy", bundle=str(bundle))
    received = graph.listen(MultiDOFJointTrajectory, topics.EE_CHUNK)
    graph.activate("policy")
    graph.complaint("policy", "perception has not announced its features yet")
    graph.activate("perception")
    policy.wait_for("the policy refuses to act: perception runs the encoder .* was trained on features of encoder")
    Recording(bundle).send(graph)
    assert received == []
    graph.complaint("policy", "start both nodes with the same bundle")


def test_a_covered_camera_raises_the_drift_score_and_diagnostics_name_it(graph: GraphUnderTest, bundle: Path) -> None:
    rng = np.random.default_rng(0)
    known = load_bundle(bundle)
    encoder = EncoderRuntime(known)

    def usual(camera: str) -> Frame:
        return Frame(camera, rng.integers(100, 156, (24, 32, 3), np.uint8), time.time_ns())

    def episode() -> dict[str, np.ndarray]:
        return {c: np.stack([encoder.encode(usual(c)).tokens for _ in range(8)]) for c in CAMERAS}

    store_drift(known, fit_drift([episode() for _ in range(10)], [episode() for _ in range(10)], 0.1))
    scores = graph.listen(Float32, topics.DRIFT)
    graph.start("perception", bundle=str(bundle))
    graph.activate("perception")
    images = {camera: graph.advertise(Image, topics.camera_image(camera)) for camera in CAMERAS}
    for black, is_foreign in ((False, False), (True, True)):
        scores.clear()
        begin = time.monotonic()
        while len(scores) < 5 and time.monotonic() < begin + 20:
            for camera in CAMERAS:
                frame = usual(camera)
                covered = black and camera == "wrist"
                frame = Frame(camera, np.zeros_like(frame.image), frame.stamp_ns) if covered else frame
                images[camera].publish(image_from_frame(frame))
            time.sleep(0.05)
        last = [message.data for message in scores[-3:]]
        assert len(last) == 3 and all((score > 1.5) is is_foreign for score in last), f"{last}\n{graph.logs()}"
    graph.complaint("perception", "what camera wrist shows is foreign to the policy")
    assert {"wrist drift", "front drift", "preprocess p95 ms"} <= set(graph.health["perception"][2])


@pytest.mark.parametrize("name", ["perception", "policy"])
def test_a_tampered_bundle_is_refused_with_a_sentence(graph: GraphUnderTest, bundle: Path, name: str) -> None:
    with (bundle / "policy.onnx").open("ab") as file:
        file.write(b"x")
    graph.start(name, bundle=str(bundle))
    assert not graph.change(name, 1)
    graph.complaint(name, f"{name} refuses to configure: .*policy.onnx is not the file that was exported")
    shutil.copy(write_bundle(bundle.parent / "whole") / "policy.onnx", bundle / "policy.onnx")
    assert graph.change(name, 1), "once the bundle is whole again the same process can use it"
