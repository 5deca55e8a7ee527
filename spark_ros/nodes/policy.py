"""Policy node: state features and joint states in, action chunks out.

It thinks all the time that it is active; whether the arm follows is the gateway's affair.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from sensor_msgs.msg import Image, JointState
from std_msgs.msg import String

from spark_ros import topics
from spark_ros.bundle.load import Bundle, load_bundle
from spark_ros.contracts import SparkError, StateFeatures
from spark_ros.data.align import DEFAULT_TOLERANCE_S, AlignedSet, ObservationAligner
from spark_ros.nodes.diagnostics import Health, Level, Rate, in_ms
from spark_ros.nodes.feature_contract import FeatureContract
from spark_ros.nodes.lifecycle import ManagedNode
from spark_ros.nodes.messages import features_from_image, joints_from_message
from spark_ros.nodes.motion_messages import message_from_chunk
from spark_ros.nodes.qos import JOINT_STREAM, LATCHED, NEWEST, SENSOR, STREAM
from spark_ros.nodes.relative_messages import as_sent, chunk_channel
from spark_ros.nodes.run import run
from spark_ros.runtime.latency import LatencyTrace
from spark_ros.runtime.policy_runtime import PolicyRuntime
from spark_ros.runtime.session import SessionOptions
from spark_ros.runtime.trace import Stamps
from spark_ros.shares import bundle_directory

DEFAULTS = {
    "bundle": ("", "trained bundle: the name of a folder in models/, or a path; the same as perception's"),
    "threads": (1, "processor threads of the policy"),
    "provider": ("cpu", "where the policy runs: cpu, openvino, cuda or tensorrt"),
    "allow_fallback": (False, "run on the processor, with a warning, where the provider does not start"),
    "rate_hz": (0.0, "most chunks per second; 0 for the rate the bundle was trained at"),
    "alignment_tolerance_s": (DEFAULT_TOLERANCE_S, "longest time between the frames of one observation"),
}

# Camera periods jitter; an observation that is this part of a period early still counts as the next one.
_EARLY = 0.25


class PolicyNode(ManagedNode):
    """The node."""

    def __init__(self) -> None:
        super().__init__("policy", DEFAULTS)
        self._runtime: PolicyRuntime | None = None
        self._refused: SparkError | None = None
        self._chunks = Rate()
        self._wait, self._age = LatencyTrace(), LatencyTrace()
        self._last_stamp = 0

    def setup(self) -> None:
        """Load the bundle, listen to features and joints."""
        if not self.params["bundle"]:
            raise SparkError("the parameter bundle is empty: give the name of a folder in models/, or a path")
        self._bundle: Bundle = load_bundle(bundle_directory(self.params["bundle"]))
        manifest, robot = self._bundle.manifest, self._bundle.robot
        options = SessionOptions(
            threads=self.params["threads"],
            provider=self.params["provider"],
            allow_fallback=self.params["allow_fallback"],
        )
        self._runtime = PolicyRuntime(self._bundle, options)
        self._period_ns = round(1e9 / (self.params["rate_hz"] or manifest.rate_hz))
        self._aligner: ObservationAligner[StateFeatures] = ObservationAligner(
            tuple(manifest.cameras),
            (*robot.joint_names, *robot.gripper.joint_names),
            self.params["alignment_tolerance_s"],
        )
        self._refused = SparkError("perception has not announced its features yet: start it with the same bundle")
        self._output = self.advertise(*chunk_channel(manifest.action.kind), NEWEST)
        self._stages = self.advertise(String, topics.STAGES, STREAM)
        self.subscribe(String, topics.FEATURE_CONTRACT, self._on_contract, LATCHED)
        self.subscribe(JointState, topics.JOINT_STATES, self._on_joints, JOINT_STREAM)
        for camera in manifest.cameras:
            self.take_stream(Image, topics.camera_features(camera), self._receiver(camera), SENSOR)
        self.get_logger().info(f"bundle {manifest.id}: {manifest.task}")

    def start(self) -> None:
        """Act on what is seen from now on."""
        self._aligner.reset()
        self._last_stamp = 0

    def teardown(self) -> None:
        """Release the policy."""
        self._runtime = None

    def health(self) -> Health:
        """Rate, latencies, and why it does not act."""
        values: dict[str, object] = {"chunks Hz": self._chunks.hz()}
        if self._runtime is not None:
            values |= in_ms("capture to observed", self._wait)
            values |= in_ms("act", self._runtime.latency)
        values |= in_ms("capture to chunk", self._age)
        if not self.active:
            return Health(Level.OK, "inactive", values)
        if self._refused is not None:
            return Health(Level.ERROR, str(self._refused), values)
        if self._chunks.silent_s() > 1.0:
            return Health(Level.WARN, self._aligner.problem() or "no observation", values)
        return Health(Level.OK, "acting", values)

    def _on_contract(self, message: String) -> None:
        try:
            contract = FeatureContract.from_json(message.data)
            contract.check(self._bundle.manifest)
            self._refused = None
        except SparkError as error:
            self._refused = error
            self.get_logger().error(f"the policy refuses to act: {error}")

    def _receiver(self, camera: str) -> Callable[[Image], None]:
        def receive(message: Image) -> None:
            if not self.active:
                return
            if self._refused is not None:
                raise self._refused
            features = features_from_image(message, camera)
            self._act(self._aligner.add_frame_or_features(camera, features, features.stamp_ns))

        return receive

    def _on_joints(self, message: JointState) -> None:
        if self.active:
            self._act(self._aligner.add_joints(joints_from_message(message)))

    def _act(self, observations: Sequence[AlignedSet[StateFeatures]]) -> None:
        """Act on the newest observation, no more often than the rate allows."""
        if not observations or self._runtime is None:
            return
        newest = observations[-1]
        since = newest.stamp_ns - self._last_stamp
        if 0 <= since < (1.0 - _EARLY) * self._period_ns:
            return
        self._last_stamp = newest.stamp_ns
        observed = self.get_clock().now().nanoseconds
        chunk = self._runtime.act(newest.items, newest.joints)
        acted = self.get_clock().now().nanoseconds
        self._output.publish(message_from_chunk(as_sent(chunk), self._bundle.robot))
        self._chunks.tick()
        self._wait.add((observed - chunk.stamp_ns) * 1e-9)
        self._age.add((acted - chunk.stamp_ns) * 1e-9)
        self._stages.publish(String(data=Stamps(chunk.stamp_ns, {"observed": observed, "policy": acted}).to_json()))


def main() -> int:
    """Entry point of the executable `policy`."""
    return run(PolicyNode)


if __name__ == "__main__":
    raise SystemExit(main())
