"""What the gateway listens to beside commands: the arm's own controller, and what the policy sees.

Message types of the vendors are taken where they are installed and never required.
"""

from __future__ import annotations

import importlib
import json
import zlib
from collections.abc import Callable, Mapping
from typing import Any

from sensor_msgs.msg import Image
from std_msgs.msg import Bool, Float32, Float64, String

from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.control.gateway import Gateway
from spark_ros.control.modes import Mode
from spark_ros.nodes.feature_contract import FeatureContract
from spark_ros.nodes.lifecycle import ManagedNode
from spark_ros.nodes.qos import LATCHED, NEWEST, SENSOR, STREAM
from spark_ros.robots.vendor import STATUS

NONE = "none"
_STATUS_OF = {
    "ur_robot_mode_topic": "robot_mode",
    "ur_safety_mode_topic": "safety_mode",
    "ur_program_running_topic": "program_running",
    "speed_scaling_topic": "speed_scaling",
    "franka_state_topic": "franka_state",
}

DEFAULTS = {
    "image_topics": ([""], "sensor_msgs/Image to watch for frozen cameras, beside perception's features"),
    **{
        parameter: ("", f"{STATUS[kind]}; empty: as the robot's description says, none: not at all")
        for parameter, kind in _STATUS_OF.items()
    },
    "arm_status_topic": (topics.ARM_STATUS, "std_msgs/String, JSON: ready, reason; none: not at all"),
}


class GatewayWatches:
    """Subscribes for a gateway node; what arrives goes to the core as it is then."""

    def __init__(self, node: ManagedNode, core: Callable[[], Gateway], status: Mapping[str, str]) -> None:
        """Call within the node's `setup`.

        Args:
            node: Whose parameters may name other topics than the robot's description.
            core: The gateway's core, which may be replaced.
            status: Topics of the robot's description, see `robots.vendor.VendorTopics`.
        """
        self._node, self._core, self._status = node, core, status
        self._watched: set[str] = set()
        self._vendor("ur_robot_mode_topic", "ur_dashboard_msgs.msg", "RobotMode", self._on_ur_robot_mode)
        self._vendor("ur_safety_mode_topic", "ur_dashboard_msgs.msg", "SafetyMode", self._on_ur_safety_mode)
        self._vendor("franka_state_topic", "franka_msgs.msg", "FrankaRobotState", self._on_franka_state, SENSOR)
        self._listen("ur_program_running_topic", Bool, lambda m: core().vendor.on_ur_program_running(m.data))
        self._listen("speed_scaling_topic", Float64, self._on_speed_scaling, SENSOR)
        self._listen("arm_status_topic", String, self._on_arm_status)
        node.subscribe(Float32, topics.DRIFT, self._on_drift, STREAM)
        node.subscribe(String, topics.FEATURE_CONTRACT, self._on_contract, LATCHED)
        for topic in filter(None, node.params["image_topics"]):  # ROS has no empty list of texts: [""] says none
            self._watch(topic)

    def _vendor(
        self, parameter: str, module: str, name: str, handler: Callable[[Any], None], qos: Any = LATCHED
    ) -> None:
        """Subscribes to a vendor's message where its package is there."""
        try:
            kind = getattr(importlib.import_module(module), name)
        except ImportError:
            topic = self._topic(parameter)
            if topic and self._node.count_publishers(topic):
                package = module.split(".", maxsplit=1)[0]
                self._node.get_logger().warning(
                    f"somebody publishes {topic}, but {package} is not installed: the gateway "
                    "will not notice what the arm's controller says there"
                )
            return
        self._listen(parameter, kind, handler, qos)

    def _listen(self, parameter: str, kind: Any, handler: Callable[[Any], None], qos: Any = LATCHED) -> None:
        topic = self._topic(parameter)
        if topic:
            self._node.subscribe(kind, topic, handler, qos)
        if topic and qos is LATCHED:
            # A publisher that does not keep its last word never meets a subscriber that asks for it.
            self._node.subscribe(kind, topic, handler, NEWEST)

    def _topic(self, parameter: str) -> str:
        """Where to listen; empty for nowhere."""
        given: str = self._node.params[parameter]
        if given == NONE:
            return ""
        return given or self._status.get(_STATUS_OF.get(parameter, ""), "")

    def _on_ur_robot_mode(self, message: Any) -> None:
        self._core().vendor.on_ur_robot_mode(message.mode)

    def _on_ur_safety_mode(self, message: Any) -> None:
        self._core().vendor.on_ur_safety_mode(message.mode)

    def _on_speed_scaling(self, message: Float64) -> None:
        self._core().vendor.on_speed_scaling(message.data / 100.0)

    def _on_franka_state(self, message: Any) -> None:
        errors = message.current_errors
        names = [name.lstrip("_") for name in errors.__slots__ if getattr(errors, name, False) is True]
        self._core().vendor.on_franka_state(message.robot_mode, names)

    def _on_drift(self, message: Float32) -> None:
        self._core().on_drift(message.data)

    def _on_arm_status(self, message: String) -> None:
        try:
            status = json.loads(message.data)
            self._core().vendor.on_report(status["ready"] is True, str(status.get("reason", "")))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SparkError(
                f"the arm's status is {message.data[:60]!r}: expected JSON with 'ready' and 'reason'"
            ) from error

    def _on_contract(self, message: String) -> None:
        for camera in FeatureContract.from_json(message.data).cameras:
            self._watch(topics.camera_features(camera))

    def _watch(self, topic: str) -> None:
        """Notices where the images of this topic stand still."""
        if topic not in self._watched:
            self._watched.add(topic)
            self._node.take_stream(Image, topic, lambda message: self._on_image(topic, message), SENSOR)

    def _on_image(self, topic: str, message: Image) -> None:
        core = self._core()
        if core.mode is Mode.POLICY:  # the only one who acts on it
            core.on_image(topic, zlib.crc32(memoryview(message.data)))
