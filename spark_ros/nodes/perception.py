"""Perception node: camera frames in, state features out, each with its frame's stamp.

A thread of its own waits for frames and encodes them, so the node answers while the encoder is busy; a frame that
arrives meanwhile replaces the one that waits, because an old frame makes the arm act on the past.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence
from dataclasses import replace

from sensor_msgs.msg import CompressedImage, Image
from std_msgs.msg import Float32, String

from spark_ros import topics
from spark_ros.bundle.load import load_bundle
from spark_ros.contracts import SparkError, StateFeatures
from spark_ros.nodes.diagnostics import Health, Level, Rate, in_ms
from spark_ros.nodes.feature_contract import FeatureContract
from spark_ros.nodes.handover import Outlet
from spark_ros.nodes.lifecycle import ManagedNode
from spark_ros.nodes.memory import give_back_freed_memory
from spark_ros.nodes.messages import frame_from_compressed, frame_from_image, image_from_features
from spark_ros.nodes.own_thread import AwaitedStreams
from spark_ros.nodes.qos import LATCHED, NEWEST_FRAME, STREAM
from spark_ros.nodes.run import run
from spark_ros.nodes.wire_image import WireImage, read_image
from spark_ros.runtime.cores import pin_thread
from spark_ros.runtime.drift import DriftMonitor
from spark_ros.runtime.encoder_runtime import EncoderRuntime
from spark_ros.runtime.latency import LatencyTrace
from spark_ros.runtime.session import SessionOptions
from spark_ros.runtime.trace import Stamps
from spark_ros.shares import bundle_directory

DEFAULTS = {
    "bundle": ("", "trained bundle: the name of a folder in models/, or a path"),
    "compressed": (False, "whether images are taken from .../compressed, as PNG or JPEG"),
    "threads": (1, "processor threads of the encoder"),
    "provider": ("cpu", "where the encoder runs: cpu, openvino, cuda or tensorrt"),
    "allow_fallback": (False, "run on the processor, with a warning, where the provider does not start"),
    "cores": ([""], "processor cores that the encoder may run on, as text; none for any"),
    "half": (False, "compute floats in the processor's 16 bits; provider openvino"),
    "camera_delay_s": (0.0, "how much later than the training's cameras these deliver and stamp their frames"),
    "frame_timeout_s": (1.0, "a camera silent for longer is reported"),
}

_AFTER_A_FAULT_S = 0.1  # one that stays must not take a whole core


class PerceptionNode(ManagedNode):
    """The node."""

    def __init__(self) -> None:
        super().__init__("perception", DEFAULTS)
        self._encoder: EncoderRuntime | None = None
        self._drift: DriftMonitor | None = None
        self._publishers_by_camera: dict[str, Outlet] = {}
        self._frames: AwaitedStreams | None = None
        self._rates: dict[str, Rate] = {}
        self._transport, self._age = LatencyTrace(), LatencyTrace()
        self._preprocessing, self._encoding = LatencyTrace(), LatencyTrace()
        self._worker: threading.Thread | None = None

    def setup(self) -> None:
        """Load the bundle, say what its features are, listen to its cameras."""
        if not self.params["bundle"]:
            raise SparkError("the parameter bundle is empty: give the name of a folder in models/, or a path")
        bundle = load_bundle(bundle_directory(self.params["bundle"]))
        self._camera_delay_ns = round(1e9 * self.params["camera_delay_s"])
        self._cores = _numbers(self.params["cores"])
        options = SessionOptions(
            threads=self.params["threads"],
            provider=self.params["provider"],
            allow_fallback=self.params["allow_fallback"],
            cores=self._cores,
            half=self.params["half"],
        )
        self._encoder = EncoderRuntime(bundle, options)
        self._rates = {camera: Rate() for camera in bundle.manifest.cameras}
        compressed = self.params["compressed"]
        kind = CompressedImage if compressed else Image
        self._frame_of = frame_from_compressed if compressed else frame_from_image
        if compressed:
            import spark_ros.data.image_storage  # noqa: F401  # now, and not with the first image
        for camera in bundle.manifest.cameras:
            topic = topics.camera_features(camera)
            self._publishers_by_camera[camera] = self.stream(Image, topic, STREAM)
        images = {camera: topics.camera_image(camera, compressed) for camera in bundle.manifest.cameras}
        self._frames = self.await_streams(kind, images, NEWEST_FRAME, read=None if compressed else read_image)
        contract = FeatureContract.of(bundle.manifest)
        statistics = bundle.drift()
        self._drift = None if statistics is None else DriftMonitor(statistics)
        give_back_freed_memory()
        self._drift_topic = self.advertise(Float32, topics.DRIFT, STREAM)
        self._stages = self.advertise(String, topics.STAGES, STREAM)
        self.advertise(String, topics.FEATURE_CONTRACT, LATCHED).publish(String(data=contract.to_json()))
        self.get_logger().info(f"bundle {bundle.manifest.id}, cameras {', '.join(bundle.manifest.cameras)}")

    def start(self) -> None:
        """Encode what arrives from now on."""
        assert self._frames is not None
        self._frames.resume()
        self._worker = threading.Thread(target=self._encode_all, args=(self._frames,), name="encoder", daemon=True)
        self._worker.start()

    def halt(self) -> None:
        """Finish the frame in hand."""
        if self._frames is not None and self._worker is not None:
            self._frames.interrupt()
            self._worker.join()

    def teardown(self) -> None:
        """Release the encoder."""
        self._encoder = None
        self._drift = None
        self._publishers_by_camera.clear()

    def health(self) -> Health:
        """Rates, drops, latencies."""
        values: dict[str, object] = {f"{camera} Hz": rate.hz() for camera, rate in self._rates.items()}
        if self._frames is not None:
            values["frames dropped"] = self._frames.lost
        values |= in_ms("capture to received", self._transport)
        values |= in_ms("preprocess", self._preprocessing)
        values |= in_ms("encode", self._encoding)
        values |= in_ms("capture to features", self._age)
        drift = self._drift
        if drift is not None:
            values |= {f"{camera} drift": score for camera, score in drift.scores.items()}
        limit = self.params["frame_timeout_s"]
        silent = [camera for camera, rate in self._rates.items() if rate.silent_s() > limit]
        if silent:
            return Health(Level.WARN, f"no frames from camera {', '.join(silent)}", values)
        if drift is not None and (foreign := [camera for camera, score in drift.scores.items() if not score <= 1.0]):
            sentence = (
                f"what camera {', '.join(foreign)} shows is foreign to the policy: check lens, name, light and scene"
            )
            return Health(Level.WARN, sentence, values)
        return Health(Level.OK, "encoding" if self.active else "inactive", values)

    def _encode_all(self, frames: AwaitedStreams) -> None:
        pin_thread(self._cores)  # that they are there was checked when the session was opened
        while True:
            try:
                if (item := frames.take()) is None:
                    return
                self._encode(*item)
            except SparkError as error:
                self.complain(str(error))
            except Exception as error:  # the thread must live on; without features the arm holds
                self.complain(f"a frame was not encoded ({type(error).__name__}: {error})")
                time.sleep(_AFTER_A_FAULT_S)

    def _encode(self, camera: str, message: Image | WireImage | CompressedImage) -> None:
        received = time.perf_counter_ns()
        self._rates[camera].tick()
        assert self._encoder is not None
        frame = self._frame_of(message, camera)
        if self._camera_delay_ns:
            frame = replace(frame, stamp_ns=frame.stamp_ns - self._camera_delay_ns)
        frame = self._encoder.preprocess(frame)
        preprocessed = time.perf_counter_ns()
        features = self._encoder.encode_preprocessed(frame)
        encoded = time.perf_counter_ns()
        self._publishers_by_camera[camera].publish(image_from_features(features))
        # The policy waits for none of what follows.
        self._tell_stages(features.stamp_ns, received, preprocessed, encoded)
        self._watch_drift(features)

    def _tell_stages(self, capture_ns: int, received: int, preprocessed: int, encoded: int) -> None:
        """Takes times of `perf_counter_ns`: asking ROS's clock is slow where an encoder has filled the caches."""
        to_stamps = self.get_clock().now().nanoseconds - time.perf_counter_ns()
        reached = {"received": received, "preprocessed": preprocessed, "encoded": encoded}
        stamps = Stamps(capture_ns, {stage: at + to_stamps for stage, at in reached.items()})
        self._stages.publish(String(data=stamps.to_json()))
        self._transport.add((received + to_stamps - capture_ns) * 1e-9)
        self._preprocessing.add((preprocessed - received) * 1e-9)
        self._encoding.add((encoded - preprocessed) * 1e-9)
        self._age.add((encoded + to_stamps - capture_ns) * 1e-9)

    def _watch_drift(self, features: StateFeatures) -> None:
        score = None if self._drift is None else self._drift.add(features)
        if score is not None:
            self._drift_topic.publish(Float32(data=score))


def _numbers(texts: Sequence[str]) -> tuple[int, ...]:
    if not all(text.isdecimal() for text in texts):
        raise SparkError(f"the parameter cores is {list(texts)}: give numbers of processor cores, as ['2', '3']")
    return tuple(int(text) for text in texts)


def main() -> int:
    """Entry point of the executable `perception`."""
    return run(PerceptionNode)


if __name__ == "__main__":
    raise SystemExit(main())
