"""Real nodes as real processes on a ROS domain of their own, and a client in the test's process to talk to them."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import rclpy
from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import Transition
from lifecycle_msgs.srv import ChangeState
from rcl_interfaces.srv import SetParameters
from rclpy.executors import SingleThreadedExecutor
from rclpy.parameter import Parameter
from rclpy.qos import QoSProfile
from std_srvs.srv import Trigger

from spark_ros.bringup.environment import child_environment
from spark_ros.nodes.calls import call
from spark_ros.nodes.spinning import Spinning

PATIENCE_S = 20.0  # discovery usually takes 0.1 s, sometimes 3 s; a loaded machine imports slowly


class NodeUnderTest:
    """One process."""

    def __init__(self, name: str, words: list[str], environment: Mapping[str, str], log: Path) -> None:
        self.name = name
        self.log = log
        command = [sys.executable, "-X", "faulthandler", "-m", f"spark_ros.nodes.{name}", *words]
        with log.open("w") as file:
            self.process = subprocess.Popen(command, env=dict(environment), stdout=file, stderr=subprocess.STDOUT)

    @property
    def output(self) -> str:
        return self.log.read_text()

    def wait_for(self, pattern: str, seconds: float = PATIENCE_S) -> str:
        """Until its output matches; the match."""
        until(lambda: re.search(pattern, self.output) or self.process.poll() is not None, seconds)
        match = re.search(pattern, self.output)
        assert match, f"{self.name} never printed {pattern!r}:\n{self.output}"
        return match[0]

    def end(self, number: signal.Signals = signal.SIGINT, seconds: float = PATIENCE_S) -> int:
        """Its exit code after the signal."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            self.process.send_signal(signal.SIGABRT)  # faulthandler prints where every thread is
            self.process.wait()
            raise AssertionError(f"{self.name} did not end on {number.name}:\n{self.output}") from None


class GraphUnderTest:
    """Nodes on one domain, and a client node whose callbacks run in a thread of their own."""

    def __init__(self, domain_id: int, folder: Path) -> None:
        self.folder = folder
        self.nodes: list[NodeUnderTest] = []
        self.health: dict[str, tuple[int, str, dict[str, str]]] = {}
        self._environment = child_environment({}, domain_id=domain_id, local_only=True)
        os.environ.update({k: v for k, v in self._environment.items() if k.startswith(("FAST", "ROS_AUTO"))})
        self._context = rclpy.Context()
        rclpy.init(context=self._context, domain_id=domain_id)
        self.client = rclpy.create_node("client", context=self._context)
        self._executor = SingleThreadedExecutor(context=self._context)
        self._executor.add_node(self.client)
        self._spinning = Spinning(self._executor, "client")
        self.client.create_subscription(DiagnosticArray, "/diagnostics", self._on_diagnostics, 50)

    def start(self, name: str, *words: str, **parameters: Any) -> NodeUnderTest:
        """Start a node with these parameters; a gateway is more patient than a real one, as the machine may be slow."""
        if name == "gateway":
            parameters = {"joint_timeout_s": 0.6, **parameters}
        words = (*words, "--ros-args", *(w for k, v in parameters.items() for w in ("-p", f"{k}:={json.dumps(v)}")))
        log = self.folder / f"{len(self.nodes)}_{name}.log"
        self.nodes.append(NodeUnderTest(name, list(words), self._environment, log))
        return self.nodes[-1]

    def change(self, name: str, *transitions: int) -> bool:
        """Take a lifecycle node through transitions; whether all succeeded."""
        for number in transitions:
            request = ChangeState.Request(transition=Transition(id=number))
            # The answer to a first call may be lost while discovery is under way; nothing takes half as long otherwise.
            repeat_s = PATIENCE_S / 2
            service = f"/{name}/change_state"
            if not call(self.client, ChangeState, service, request, PATIENCE_S, repeat_s=repeat_s).success:
                return False
        return True

    def activate(self, name: str) -> None:
        assert self.change(name, Transition.TRANSITION_CONFIGURE, Transition.TRANSITION_ACTIVATE), self.logs()

    def trigger(self, service: str) -> Trigger.Response:
        return call(self.client, Trigger, service, Trigger.Request(), PATIENCE_S)

    def set(self, name: str, **parameters: Any) -> None:
        values = [Parameter(key, value=value).to_parameter_msg() for key, value in parameters.items()]
        answer = call(
            self.client, SetParameters, f"/{name}/set_parameters", SetParameters.Request(parameters=values), PATIENCE_S
        )
        assert all(result.successful for result in answer.results), answer

    def listen(self, message_type: type, topic: str, qos: QoSProfile | int = 100) -> list[Any]:
        """A list that grows by every message."""
        received: list[Any] = []
        self.client.create_subscription(message_type, topic, received.append, qos)
        return received

    def advertise(self, message_type: type, topic: str, qos: QoSProfile | int = 10) -> Any:
        """A publisher that already has a listener."""
        publisher = self.client.create_publisher(message_type, topic, qos)
        assert until(lambda: publisher.get_subscription_count() > 0), f"nobody listens to {topic}: {self.logs()}"
        return publisher

    def complaint(self, name: str, pattern: str) -> str:
        """The sentence in the node's diagnostics, once it matches."""
        assert until(lambda: re.search(pattern, self.health.get(name, (0, "", {}))[1])), (
            f"{name} never reported {pattern!r}; it says {self.health.get(name)}\n{self.logs()}"
        )
        return self.health[name][1]

    def logs(self) -> str:
        return "\n".join(f"--- {node.name}\n{node.output}" for node in self.nodes)

    def close(self) -> None:
        self._spinning.end()
        self.client.destroy_node()
        self._context.try_shutdown()
        self.close_nodes()

    def close_nodes(self) -> None:
        """End every process that still runs."""
        for node in self.nodes:
            if node.process.poll() is None:
                node.process.send_signal(signal.SIGINT)
        for node in self.nodes:
            node.end()

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            values = {pair.key: pair.value for pair in status.values}
            self.health[status.name] = (status.level[0], status.message, values)


def until(condition: Callable[[], Any], seconds: float = PATIENCE_S) -> bool:
    """Whether the condition came true in time."""
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        if condition():
            return True
        time.sleep(0.01)
    return bool(condition())
