"""What the perception node adds to its session, where camera images of 640x480 come to it through ROS.

A camera node publishes a frame and waits for the features: one at a time, so that no frame waits for another. The node
runs beside the camera in one process, as `composed` runs it, and in a process of its own. Between two frames the
session alone encodes the same image, already cut and scaled: what is more than that is the node's.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from pathlib import Path
from typing import Any

import numpy as np
import rclpy
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image

from benchmarks.common import percentiles
from spark_ros import topics
from spark_ros.bringup.domain import claim_domain
from spark_ros.bringup.environment import child_environment
from spark_ros.bringup.process import NodeProcess
from spark_ros.bundle.load import Bundle
from spark_ros.contracts import Frame, SparkError
from spark_ros.nodes import qos
from spark_ros.nodes.handover import HANDOVER, Inlet, Outlet
from spark_ros.nodes.memory import keep_memory_of_images
from spark_ros.nodes.messages import header, image_from_frame
from spark_ros.nodes.perception import PerceptionNode
from spark_ros.nodes.stamps import stamp_ns
from spark_ros.runtime.session import SessionOptions, open_session

WIDTH, HEIGHT = 640, 480
PATIENCE_S = 20.0
RATES_HZ = (15.0, 30.0)


class Camera(Node):
    """Publishes frames of all cameras and hears of their features."""

    def __init__(self, cameras: tuple[str, ...], context: rclpy.Context) -> None:
        super().__init__("camera", context=context)
        self._arrived = threading.Condition()
        self.seen: dict[tuple[str, int], float] = {}
        """When the features of a camera's frame came, by its stamp; seconds of the monotonic clock."""
        noise = np.random.default_rng(0)
        pictures = {name: noise.integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8) for name in cameras}
        self._pictures = {name: image_from_frame(Frame(name, picture, 0)) for name, picture in pictures.items()}
        to = {name: self.create_publisher(Image, topics.camera_image(name), qos.STREAM) for name in cameras}
        self._to = {name: Outlet(publisher) for name, publisher in to.items()}
        self._from = [
            Inlet(self, Image, topics.camera_features(name), self._hearer(name), qos.STREAM, at_once=True)
            for name in cameras
        ]

    def close(self) -> None:
        """Hears of nothing more."""
        for inlet in self._from:
            inlet.close()

    def frame(self, camera: str) -> Image:
        """What `show` publishes; made and stamped before the clock runs, since that is a camera driver's work."""
        frame = copy(self._pictures[camera])
        frame.header = header(time.time_ns(), frame.header.frame_id)
        return frame

    def show(self, camera: str, frame: Image) -> int:
        """Publishes a frame; its stamp."""
        self._to[camera].publish(frame)
        return stamp_ns(frame.header.stamp)

    def wait_for_node(self, camera: str) -> None:
        """Until somebody takes this camera's frames and answers them."""
        image, features = topics.camera_image(camera), topics.camera_features(camera)
        deadline = time.monotonic() + PATIENCE_S
        while not (self.count_subscribers(image) and self.count_publishers(features)):
            if time.monotonic() > deadline:
                raise SparkError(
                    f"nobody took the frames of camera {camera} within {PATIENCE_S:.0f} s: is ROS installed?"
                )
            time.sleep(0.05)

    def wait(self, camera: str, stamp: int, seconds: float) -> float | None:
        """When the features of a frame came; None where they did not in this time."""
        with self._arrived:
            self._arrived.wait_for(lambda: (camera, stamp) in self.seen, seconds)
            return self.seen.get((camera, stamp))

    def _hearer(self, camera: str) -> Callable[[Image], None]:
        def hear(message: Image) -> None:
            now = time.perf_counter()
            with self._arrived:
                self.seen[camera, stamp_ns(message.header.stamp)] = now
                self._arrived.notify_all()

        return hear


def measure_perception(bundle: Bundle, logs: Path, frames: int, seconds: float) -> dict[str, Any]:
    """Both forms, one after the other: times of the node and of its session, and how many frames it keeps up with.

    Args:
        bundle: Whose encoder and cameras.
        logs: A folder for the nodes' outputs.
        frames: To time, in each form.
        seconds: That each rate is held.
    """
    found: dict[str, Any] = {}
    for form, start in (("composed", _in_this_process), ("processes", _in_its_own)):
        with _camera(bundle) as (camera, environment), start(bundle, camera, environment, logs):
            found[form] = {**_time_frames(bundle, camera, frames), "kept_up": _keep_up(bundle, camera, seconds)}
    return found


def measure_transport(bundle: Bundle, logs: Path, frames: int) -> dict[str, Any]:
    """What ROS alone takes to bring such a frame to another process and features back, beside the session."""
    with _camera(bundle) as (camera, environment):
        name = next(iter(bundle.manifest.cameras))
        tokens, channels = bundle.golden().tokens[name].shape[1:]
        words = [name, str(tokens), str(channels)]
        with _process("relay", "benchmarks.speed.relay", words, environment, logs):
            camera.wait_for_node(name)
            found = _time_frames(bundle, camera, frames)
    return {
        "ms": found["node_ms"],
        "session_ms": found["session_ms"],
        "of_session": round(1.0 + found["overhead"], 4),
        "lost": found["lost"],
    }


@contextmanager
def _camera(bundle: Bundle) -> Iterator[tuple[Camera, Mapping[str, str]]]:
    """On a domain of its own."""
    keep_memory_of_images()  # as every node does
    claim = claim_domain("auto")
    environment = child_environment({}, domain_id=claim.domain_id, local_only=True)
    os.environ.update({k: v for k, v in environment.items() if k.startswith(("FAST", "ROS_", "AMENT"))})
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=claim.domain_id)
    camera = Camera(tuple(bundle.manifest.cameras), context)
    try:
        with _spinning(camera, context):
            yield camera, environment
    finally:
        camera.destroy_node()
        context.try_shutdown()
        claim.release()


def _time_frames(bundle: Bundle, camera: Camera, frames: int) -> dict[str, Any]:
    """Milliseconds, one frame at a time, in turns with the session alone."""
    session = open_session(bundle.encoder_file, SessionOptions())
    name = next(iter(bundle.manifest.cameras))
    picture = bundle.preprocess(name)(np.random.default_rng(0).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8))[None]
    node_ms, session_ms = [], []
    for number in range(frames + 5):  # the first ones find cold caches
        begin = time.perf_counter()
        session.run(["tokens"], {"images": picture})
        end = time.perf_counter()
        frame = camera.frame(name)
        shown = time.perf_counter()
        stamp = camera.show(name, frame)
        answered = camera.wait(name, stamp, PATIENCE_S if number == 0 else 1.0)
        if number >= 5 and answered is not None:
            session_ms.append(1e3 * (end - begin))
            node_ms.append(1e3 * (answered - shown))
    if not node_ms:
        raise SparkError("no frame was answered: look at perception with `spark-ros up sim:=true`")
    overhead = np.median(node_ms) / np.median(session_ms) - 1.0
    return {
        "node_ms": percentiles(node_ms, 2),
        "session_ms": percentiles(session_ms, 2),
        "overhead": round(float(overhead), 4),
        "frames": frames,
        "lost": frames - len(node_ms),
    }


def _keep_up(bundle: Bundle, camera: Camera, seconds: float) -> dict[str, float]:
    """By rate in Hz: observations per second of which the features of all cameras came."""
    rates: dict[str, float] = {}
    for rate in RATES_HZ:
        begin, count, stamps = time.perf_counter(), int(rate * seconds), []
        for number in range(count):
            time.sleep(max(0.0, begin + number / rate - time.perf_counter()))
            stamps.append({name: camera.show(name, camera.frame(name)) for name in bundle.manifest.cameras})
        time.sleep(0.5)
        whole = sum(all((name, stamp) in camera.seen for name, stamp in shown.items()) for shown in stamps)
        rates[f"{rate:g}"] = round(whole / count * rate, 2)
    return rates


@contextmanager
def _in_this_process(bundle: Bundle, camera: Camera, environment: Mapping[str, str], logs: Path) -> Iterator[None]:
    # The node makes itself in ROS's default context.
    words = ["--ros-args", "-p", f"perception:bundle:={bundle.folder}"]
    rclpy.init(args=words, domain_id=int(environment["ROS_DOMAIN_ID"]))
    HANDOVER.is_open = True
    node = PerceptionNode()
    try:
        with _spinning(node, rclpy.get_default_context()):
            _activate(camera)
            yield
            node.close()
    finally:
        HANDOVER.is_open = False
        node.destroy_node()
        rclpy.try_shutdown()


@contextmanager
def _in_its_own(bundle: Bundle, camera: Camera, environment: Mapping[str, str], logs: Path) -> Iterator[None]:
    words = ["--ros-args", "-p", f"perception:bundle:={bundle.folder}"]
    with _process("perception", "spark_ros.nodes.perception", words, environment, logs):
        _activate(camera)
        yield


@contextmanager
def _process(
    name: str, module: str, words: Sequence[str], environment: Mapping[str, str], logs: Path
) -> Iterator[None]:
    reading, writing = os.pipe()
    process = NodeProcess(name, module, words, environment, logs / f"{name}.log", reading, lambda *_: None)
    try:
        yield
    finally:
        os.close(writing)  # the node follows its other end, see `bringup.child`
        process.wait(PATIENCE_S)
        os.close(reading)


@contextmanager
def _spinning(node: Node, context: rclpy.Context) -> Iterator[None]:
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, daemon=True)
    thread.start()
    try:
        yield
    finally:
        executor.shutdown()
        thread.join(PATIENCE_S)


def _activate(camera: Camera) -> None:
    client = camera.create_client(ChangeState, "/perception/change_state")
    if not client.wait_for_service(PATIENCE_S):
        raise SparkError("perception did not start: look with `spark-ros up sim:=true`")
    for transition in (Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE):
        future = client.call_async(ChangeState.Request(transition=Transition(id=transition)))
        deadline = time.monotonic() + PATIENCE_S
        while not future.done() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not (future.done() and future.result().success):
            raise SparkError("perception refuses to start: look with `spark-ros up sim:=true`")
