"""Cameras that send CompressedImage, as image_transport does: recorded as they come, understood by perception."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pytest
from bundle_for_tests import write_bundle
from cell_for_tests import CAMERAS, Robot, start_recorder
from graph_for_tests import GraphUnderTest, until
from sensor_msgs.msg import CompressedImage, Image

from spark_ros import topics
from spark_ros.bundle.load import load_bundle
from spark_ros.contracts import Frame
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.nodes.messages import features_from_image, header
from spark_ros.runtime.encoder_runtime import EncoderRuntime

pytestmark = pytest.mark.ros


def packed(frame: Frame, suffix: str) -> CompressedImage:
    """As compressed_image_transport sends an rgb8 image."""
    _, data = cv2.imencode(f".{suffix}", cv2.cvtColor(frame.image, cv2.COLOR_RGB2BGR))
    return CompressedImage(
        header=header(frame.stamp_ns, f"{frame.camera}_optical_frame"),
        format=f"rgb8; {suffix} compressed bgr8",
        data=data.tobytes(),
    )


class PackingRobot(Robot):
    """Its front camera sends JPEG, the one at the wrist PNG."""

    def __init__(self, graph: GraphUnderTest) -> None:
        self._packed = {
            camera: graph.client.create_publisher(CompressedImage, topics.camera_image(camera, compressed=True), 10)
            for camera in CAMERAS
        }
        self._pixels = np.random.default_rng(0)
        self.files: dict[str, dict[int, bytes]] = {camera: {} for camera in CAMERAS}
        self.seen: dict[int, np.ndarray] = {}
        super().__init__(graph)

    def _see(self) -> None:
        stamp = self._clock.now().nanoseconds
        self.sent.append(stamp)
        for camera, suffix in (("front", "jpeg"), ("wrist", "png")):
            image = self._pixels.integers(0, 256, (24, 32, 3), np.uint8)
            message = packed(Frame(camera, image, stamp), suffix)
            self.files[camera][stamp] = bytes(message.data)
            if suffix == "png":
                self.seen[stamp] = image
            self._packed[camera].publish(message)


def test_packed_images_are_recorded_as_they_came(graph: GraphUnderTest, tmp_path: Path) -> None:
    start_recorder(graph, tmp_path / "demos", compressed=True, images="png")  # which is for raw images
    robot = PackingRobot(graph)
    graph.activate("recorder")
    assert until(lambda: graph.trigger(topics.RECORDER_START).success), graph.logs()
    begun = len(robot.sent)
    assert until(lambda: len(robot.sent) >= begun + 15)
    answer = graph.trigger(topics.RECORDER_KEEP)
    assert answer.success, answer.message
    folder = DemoFolder(tmp_path / "demos")
    (entry,) = folder.episodes()
    episode = folder.read(entry)
    for camera in CAMERAS:
        frames = episode.cameras[camera]
        stamps = frames.stamps_ns.tolist()
        assert set(robot.sent[begun + 1 : begun + 13]) <= set(stamps)
        assert [frames.packed(index) for index in range(len(frames))] == [robot.files[camera][t] for t in stamps]
    wrist = episode.cameras["wrist"]
    assert all(np.array_equal(frame.image, robot.seen[frame.stamp_ns]) for frame in wrist)


def test_perception_sees_a_png_as_the_image_it_is_and_refuses_what_is_none(
    graph: GraphUnderTest, tmp_path: Path
) -> None:
    bundle = write_bundle(tmp_path / "models" / "tiny")
    received = graph.listen(Image, topics.camera_features("front"))
    graph.start("perception", bundle=str(bundle), compressed=True)
    graph.activate("perception")
    frame = Frame("front", np.random.default_rng(0).integers(0, 256, (24, 32, 3), np.uint8), 1_234_567_890_123)
    publisher = graph.advertise(CompressedImage, topics.camera_image("front", compressed=True))
    message = packed(frame, "png")
    publisher.publish(message)
    assert until(lambda: received), graph.logs()
    features = features_from_image(received[0], "front")
    assert features.stamp_ns == frame.stamp_ns
    np.testing.assert_array_equal(features.tokens, EncoderRuntime(load_bundle(bundle)).encode(frame).tokens)
    message.data = bytes(message.data)[:20]
    publisher.publish(message)
    graph.complaint("perception", "an image of camera front .'rgb8; png compressed bgr8'. cannot be decoded")
