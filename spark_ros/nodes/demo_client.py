"""The recording session's hands: everything it asks of the recorder, the gateway and the simulator, as plain calls."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from rcl_interfaces.srv import GetParameters, SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter, parameter_value_to_python
from rclpy.signals import SignalHandlerOptions
from std_msgs.msg import String
from std_srvs.srv import Trigger

from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.control.modes import Mode
from spark_ros.nodes import diagnostics, qos
from spark_ros.nodes.calls import call
from spark_ros.nodes.spinning import Spinning

ANSWER_S = 10.0  # closing an episode writes its tail and hashes its file
APPEAR_S = 10.0  # discovery takes 0.1 s, sometimes an announcement period of 3 s or two
SETTLE_S = 5.0  # a braking arm comes to rest in under 1 s; streams of a graph just started flow after 2 s
RETRY_S = 0.1


class DemoClient:
    """A node of its own and the thread that spins it; a context manager.

    Attributes:
        mode: The gateway's, as last announced.
        sim_state: The simulator's last report; empty before the first one, or without a simulator.
        rates: Messages per second of each recorded stream, by topic.
    """

    def __init__(self, domain_id: int | None = None, name: str = "record_demos") -> None:
        """Join the graph.

        Args:
            domain_id: ROS domain; None for `ROS_DOMAIN_ID`.
            name: Of its node.
        """
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id, signal_handler_options=SignalHandlerOptions.NO)
        self.domain_id = self._context.get_domain_id()
        self._node = rclpy.create_node(name, context=self._context)
        self.mode = ""
        self.sim_state: dict[str, Any] = {}
        self.rates: dict[str, float] = {}
        node = self._node
        node.create_subscription(String, topics.GATEWAY_MODE, self._on_mode, qos.LATCHED)
        node.create_subscription(String, topics.SIM_STATE, self._on_sim_state, qos.SENSOR)
        node.create_subscription(DiagnosticArray, diagnostics.TOPIC, self._on_diagnostics, 20)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(node)
        self._spinning = Spinning(self._executor, name)

    def __enter__(self) -> DemoClient:
        return self

    def __exit__(self, *_: object) -> None:
        self._spinning.end()
        self._node.destroy_node()
        rclpy.try_shutdown(context=self._context)

    def require(self, *, simulator: bool) -> None:
        """The nodes a session needs are there.

        Args:
            simulator: Whether the simulated arm is one of them.

        Raises:
            SparkError: One is missing or there twice.
        """
        needed = {"gateway": topics.GATEWAY_HOLD, "recorder": topics.RECORDER_START}
        if simulator:
            needed["simulated arm"] = topics.SIM_RESET
        deadline = time.monotonic() + APPEAR_S
        for name, service in needed.items():
            while service not in dict(self._node.get_service_names_and_types()):
                if time.monotonic() > deadline:
                    raise SparkError(
                        f"no {name} in ROS domain {self.domain_id} (service {service}): start a graph in another "
                        "terminal (ros2 launch spark_ros teleop.launch.py), or add --bringup"
                    )
                time.sleep(RETRY_S)
        count = Counter(self._node.get_node_names())
        twice = [name for name in ("gateway", "recorder", "sim_arm") if count[name] > 1]
        if twice:
            raise SparkError(
                f"{count[twice[0]]} nodes named {twice[0]} run in ROS domain {self.domain_id}: stop the one left over "
                "from an earlier start, else episodes mix two arms"
            )

    def require_operator(self) -> None:
        """Somebody sends teleoperation.

        Raises:
            SparkError: Nobody does.
        """
        deadline = time.monotonic() + APPEAR_S
        while self._node.count_publishers(topics.TELEOP_TWIST) == 0:
            if time.monotonic() > deadline:
                raise SparkError(
                    f"nobody publishes {topics.TELEOP_TWIST}: start the operator's device (ros2 run spark_ros "
                    "teleop_keyboard), or the graph with operator:=expert"
                )
            time.sleep(RETRY_S)

    def trigger(self, service: str) -> str:
        """Call a `std_srvs/Trigger` service; what it answers.

        Raises:
            SparkError: It refuses, or there is no answer.
        """
        answer = call(self._node, Trigger, service, Trigger.Request(), ANSWER_S, appear_s=APPEAR_S)
        if not answer.success:
            raise SparkError(answer.message)
        return answer.message

    def insist(self, service: str) -> str:
        """As `trigger`, but asks again for a while: an arm is still coming to rest, a stream is just starting.

        Raises:
            SparkError: It still refuses.
        """
        deadline = time.monotonic() + SETTLE_S
        while True:
            try:
                return self.trigger(service)
            except SparkError:
                if time.monotonic() > deadline:
                    raise
            time.sleep(RETRY_S)

    def set_parameters(self, node: str, values: Mapping[str, object]) -> None:
        """Set parameters of another node.

        Raises:
            SparkError: It refuses one, or there is no answer.
        """
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        request = SetParameters.Request(parameters=parameters)
        answer = call(self._node, SetParameters, f"/{node}/set_parameters", request, ANSWER_S, appear_s=APPEAR_S)
        for parameter, result in zip(parameters, answer.results, strict=True):
            if not result.successful:
                raise SparkError(f"{node} refuses parameter {parameter.name}: {result.reason or 'no reason given'}")

    def parameter(self, node: str, name: str) -> Any:
        """A parameter of another node.

        Raises:
            SparkError: There is no answer.
        """
        request = GetParameters.Request(names=[name])
        answer = call(self._node, GetParameters, f"/{node}/get_parameters", request, ANSWER_S, appear_s=APPEAR_S)
        return parameter_value_to_python(answer.values[0])

    def disengage(self) -> None:
        """Bring the arm to rest and the gateway to idle.

        Raises:
            SparkError: The gateway does not answer, or the arm does not come to rest.
        """
        if self.mode != Mode.IDLE.value:
            with suppress(SparkError):  # it may be idle and its announcement still on the way; the reset tells
                self.trigger(topics.GATEWAY_HOLD)
        self.insist(topics.GATEWAY_RESET)

    def reset_world(self, seed: int) -> None:
        """Begin a new simulated episode and wait until it is the one reported.

        Raises:
            SparkError: The simulator refuses or goes silent.
        """
        before = self.sim_state.get("episode")
        self.set_parameters("sim_arm", {"seed": seed})
        self.trigger(topics.SIM_RESET)
        deadline = time.monotonic() + SETTLE_S
        while self.sim_state.get("seed") != seed or self.sim_state.get("episode") == before:
            if time.monotonic() > deadline:
                raise SparkError(f"the simulator was reset but does not report seed {seed} on {topics.SIM_STATE}")
            time.sleep(0.01)

    def _on_mode(self, message: String) -> None:
        self.mode = message.data

    def _on_sim_state(self, message: String) -> None:
        self.sim_state = json.loads(message.data)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.name == "recorder":
                self.rates = {
                    entry.key.removesuffix(" Hz"): float(entry.value)
                    for entry in status.values
                    if entry.key.endswith(" Hz")
                }
