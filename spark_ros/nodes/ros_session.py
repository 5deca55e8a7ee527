"""The session in the ROS graph, for `console.session`: listens to what the nodes say, and calls their services.

Whoever shows a session must not slow it down: nothing is received from a camera that nobody watches, and the rates of
the other streams are taken from the recorder, which counts them anyway.
"""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from functools import partial
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import SetParameters, SetParametersAtomically
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from rclpy.parameter import Parameter
from rclpy.signals import SignalHandlerOptions
from rclpy.subscription import Subscription
from sensor_msgs.msg import Image
from std_msgs.msg import String
from std_srvs.srv import Trigger

from spark_ros import topics
from spark_ros.console.session import (
    Answer,
    Command,
    GatewayView,
    Level,
    NodeHealth,
    Outcome,
    RecorderView,
    Snapshot,
)
from spark_ros.contracts import SparkError
from spark_ros.control.modes import Mode
from spark_ros.data.recorder_status import RecorderStatus
from spark_ros.nodes import diagnostics
from spark_ros.nodes.calls import acquaint, call
from spark_ros.nodes.qos import LATCHED, NEWEST_FRAME
from spark_ros.nodes.spinning import Spinning
from spark_ros.nodes.timers import every

SILENT_S = 3.5  # nodes speak once a second; three reports missed in a row are no accident
FORGET_S = 60.0  # a node that has been silent for so long was ended on purpose
LOOK_S = 0.2  # how soon a camera is listened to once somebody watches
CAMERAS_S = 2.0  # how often new cameras are looked for
ANSWER_S = 15.0  # closing an episode writes its tail
# Stopping twice does no harm, waiting does. Where nobody confirms by then, the hardware's button has to do it.
STOP_S, STOP_REPEAT_S, APPEAR_S = 2.0, 0.5, 0.5
_SET_RECORDER = "/recorder/set_parameters"
_LEVELS = {0: Level.OK, 1: Level.WARN, 2: Level.ERROR}


class RosSession:
    """A session seen through a node that somebody else spins; see `console.session.Session`.

    Args:
        node: Whose subscriptions and clients these are.
    """

    def __init__(self, node: Node) -> None:
        self._node = node
        self._domain = node.context.get_domain_id()
        self._mode = ""
        self._heard: dict[str, tuple[NodeHealth, float]] = {}
        self._status: tuple[RecorderStatus, float] | None = None
        self._status_error = ""
        self._known_cameras: tuple[str, ...] = ()
        self._sought = float("-inf")
        self._wanted: set[str] = set()
        self._watched: dict[str, Subscription] = {}
        self._pictures: dict[str, tuple[int, bytes]] = {}
        self._lock = threading.Lock()
        node.create_subscription(String, topics.GATEWAY_MODE, self._on_mode, LATCHED)
        node.create_subscription(String, topics.RECORDER_STATUS, self._on_status, LATCHED)
        node.create_subscription(DiagnosticArray, diagnostics.TOPIC, self._on_diagnostics, 50)
        acquaint(node, Trigger, *(command.service for command in Command))
        acquaint(node, SetParametersAtomically, topics.RECORDER_MARK)
        acquaint(node, SetParameters, _SET_RECORDER)
        every(node, LOOK_S, self._look)

    def snapshot(self) -> Snapshot:
        """Everything now."""
        now = time.monotonic()
        with self._lock:
            heard, status = dict(self._heard), self._status
        nodes = tuple(_aged(health, now - when) for _, (health, when) in sorted(heard.items()) if now - when < FORGET_S)
        about = {health.name: health for health in nodes if health.level is not Level.STALE}
        fresh = status is not None and now - status[1] < SILENT_S and "recorder" in about
        recorder = RecorderView("recorder" in about, status[0] if status is not None and fresh else None)
        recorded = recorder.status.streams if recorder.status is not None else ()
        cameras = [name for stream in recorded if (name := topics.camera_of(stream.topic)) and _is_name(name)]
        return Snapshot(
            gateway=self._gateway(about.get("gateway")),
            recorder=recorder,
            cameras=tuple(dict.fromkeys([*cameras, *self._known_cameras])),
            nodes=nodes,
            domain=self._domain,
            simulated=True if "sim_arm" in about else None,
        )

    def command(self, command: Command) -> Answer:
        """Call the command's service."""
        stop = command is Command.STOP
        try:
            answer = call(
                self._node,
                Trigger,
                command.service,
                Trigger.Request(),
                STOP_S if stop else ANSWER_S,
                appear_s=APPEAR_S,
                repeat_s=STOP_REPEAT_S if stop else None,
            )
        except SparkError as error:
            return Answer(Outcome.UNANSWERED, str(error))
        return Answer(Outcome.DONE if answer.success else Outcome.REFUSED, answer.message)

    def describe(self, task: str) -> Answer:
        """Set the recorder's parameter."""
        return self._set_recorder({"task": task}, f"the next episodes show: {task}")

    def mark(self, file: str, success: bool | None = None, note: str | None = None) -> Answer:
        """Call the recorder's service."""
        values = {"file": file, "success": success, "note": note}
        request = SetParametersAtomically.Request(parameters=_parameters(values))
        try:
            answer = call(
                self._node, SetParametersAtomically, topics.RECORDER_MARK, request, ANSWER_S, appear_s=APPEAR_S
            )
        except SparkError as error:
            return Answer(Outcome.UNANSWERED, str(error))
        return Answer(Outcome.DONE if answer.result.successful else Outcome.REFUSED, answer.result.reason)

    def watch(self, cameras: set[str]) -> None:
        """Remember which; the node's own thread subscribes."""
        self._wanted = set(cameras)

    def picture(self, camera: str) -> tuple[int, bytes] | None:
        """The newest picture."""
        return self._pictures.get(camera)

    def _gateway(self, health: NodeHealth | None) -> GatewayView:
        if health is None:
            return GatewayView(False, self._mode)
        values, mode = health.values, self._mode
        latency = {name: _number(values, f"capture to command {name} ms") for name in ("p50", "p95", "p99", "worst")}
        reason = values.get("reason", "") if values.get("mode") == mode else ""
        driven = mode == Mode.POLICY.value and latency["worst"] > 0.0
        return GatewayView(True, mode, reason, latency if driven else {}, _number(values, "tick Hz"))

    def _set_recorder(self, values: Mapping[str, Any], done: str) -> Answer:
        request = SetParameters.Request(parameters=_parameters(values))
        try:
            answer = call(self._node, SetParameters, _SET_RECORDER, request, ANSWER_S, appear_s=APPEAR_S)
        except SparkError as error:
            return Answer(Outcome.UNANSWERED, str(error))
        refused = [result.reason or "no reason given" for result in answer.results if not result.successful]
        return Answer(Outcome.REFUSED, "; ".join(refused)) if refused else Answer(Outcome.DONE, done)

    def _on_mode(self, message: String) -> None:
        self._mode = message.data

    def _on_status(self, message: String) -> None:
        try:
            status = RecorderStatus.from_json(message.data)
        except SparkError as error:
            if str(error) != self._status_error:
                self._status_error = str(error)
                self._node.get_logger().error(str(error))
            return
        with self._lock:
            self._status = status, time.monotonic()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        now = time.monotonic()
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            level = _LEVELS.get(status.level[0], Level.STALE)
            with self._lock:
                self._heard[status.name] = NodeHealth(status.name, level, status.message, 0.0, values), now

    def _look(self) -> None:
        """Listen to the cameras that are watched, and to no other; look for new ones."""
        wanted = set(self._wanted)
        for camera in self._watched.keys() - wanted:
            self._node.destroy_subscription(self._watched.pop(camera))
            self._pictures.pop(camera, None)
        for camera in wanted - self._watched.keys():
            self._watched[camera] = self._node.create_subscription(
                Image, topics.camera_image(camera), partial(self._take, camera), NEWEST_FRAME, raw=True
            )
        now = time.monotonic()
        if now - self._sought > CAMERAS_S:
            self._sought = now
            with self._lock:
                self._heard = {name: said for name, said in self._heard.items() if now - said[1] < FORGET_S}
            found = {
                name
                for topic, kinds in self._node.get_topic_names_and_types()
                if "sensor_msgs/msg/Image" in kinds and (name := topics.camera_of(topic))
            }
            self._known_cameras = tuple(sorted(self._published(found)))

    def _published(self, cameras: set[str]) -> set[str]:
        """Those with a publisher: our own subscription alone makes a topic that is no camera."""
        return {camera for camera in cameras if self._node.count_publishers(topics.camera_image(camera))}

    def _take(self, camera: str, cdr: bytes) -> None:
        number, _ = self._pictures.get(camera, (0, b""))
        self._pictures[camera] = number + 1, cdr


@contextmanager
def joined_session(name: str, domain_id: int | None = None) -> Iterator[RosSession]:
    """A session through a node and a thread of its own, for a program that is no node.

    Args:
        name: Of its node.
        domain_id: ROS domain; None for `ROS_DOMAIN_ID`.
    """
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=domain_id, signal_handler_options=SignalHandlerOptions.NO)
    node = rclpy.create_node(name, context=context)
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    session = RosSession(node)
    spinning = Spinning(executor, name)
    try:
        yield session
    finally:
        spinning.end()
        node.destroy_node()
        rclpy.try_shutdown(context=context)


def _aged(health: NodeHealth, age_s: float) -> NodeHealth:
    level = health.level if age_s < SILENT_S else Level.STALE
    return NodeHealth(health.name, level, health.message, round(age_s, 1), health.values)


def _is_name(text: str) -> bool:
    """Whether a topic may be called so: subscribing to another one raises."""
    return text.isascii() and text.isidentifier()


def _number(values: Mapping[str, str], name: str) -> float:
    try:
        number = float(values.get(name, "0"))
    except ValueError:
        return 0.0
    return number if math.isfinite(number) else 0.0


def _parameters(values: Mapping[str, Any]) -> list[Any]:
    return [Parameter(name, value=value).to_parameter_msg() for name, value in values.items() if value is not None]
