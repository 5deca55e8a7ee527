"""Lifecycle manager: brings the named nodes up in order, or says which one refuses and why, and takes them down again.

All are configured before the first is activated, so nothing moves while a later node could still refuse its bundle.
"""

from __future__ import annotations

import threading
import time
from contextlib import suppress
from typing import Any

from diagnostic_msgs.msg import DiagnosticArray
from lifecycle_msgs.msg import State, Transition
from lifecycle_msgs.srv import ChangeState, GetState
from rclpy.executors import Executor
from rclpy.node import Node
from std_srvs.srv import Trigger

from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.nodes import diagnostics
from spark_ros.nodes.calls import call
from spark_ros.nodes.diagnostics import Diagnostics, Health, Level
from spark_ros.nodes.parameters import Parameters
from spark_ros.nodes.run import run
from spark_ros.nodes.timers import every

READY = "all nodes are active"
REASON_S = 1.0  # a refusing node publishes its reason before it answers; this is for the way here
ANSWER_S = 3.0  # longer than a bundle usually takes to load
# On Ctrl-C the nodes have got the signal too and are ending by themselves.
GOODBYE_S, APPEAR_S = 2.0, 0.2

_UNCONFIGURED, _INACTIVE = State.PRIMARY_STATE_UNCONFIGURED, State.PRIMARY_STATE_INACTIVE
_ACTIVE = State.PRIMARY_STATE_ACTIVE
_WAY_DOWN = ((Transition.TRANSITION_DEACTIVATE, _ACTIVE), (Transition.TRANSITION_CLEANUP, _INACTIVE))
_VERBS = {Transition.TRANSITION_CONFIGURE: "configure", Transition.TRANSITION_ACTIVATE: "activate"}

DEFAULTS = {
    "nodes": (["perception", "policy", "gateway"], "lifecycle nodes, in order"),
    "timeout_s": (30.0, "longest time for a node to appear, and for each of its transitions"),
    "auto_engage": (False, "let the policy move the arm as soon as all nodes are active"),
}


class LifecycleManagerNode(Node):
    """The node; it lives as long as the graph it brought up."""

    def __init__(self) -> None:
        super().__init__("lifecycle_manager")
        self.params = Parameters(self, DEFAULTS)
        self._names: list[str] = self.params["nodes"]
        self._timeout_s: float = self.params["timeout_s"]
        self._auto_engage: bool = self.params["auto_engage"]
        self._reasons: dict[str, tuple[str, float]] = {}
        self._progress = "starting"
        self._error: SparkError | None = None
        self._stop = threading.Event()
        self.create_subscription(DiagnosticArray, diagnostics.TOPIC, self._on_diagnostics, 50)
        Diagnostics(self, lambda: Health(Level.OK, self._progress))
        every(self, 0.1, self._raise_error)
        self._thread = threading.Thread(target=self._bring_up, name="bring up", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Take the nodes down in reverse order; those that are gone already are fine."""
        self._stop.set()
        self._thread.join()
        self._take_down(self.executor)

    def _bring_up(self) -> None:
        try:
            for name in self._names:
                self._change(name, Transition.TRANSITION_CONFIGURE, _UNCONFIGURED, _INACTIVE)
            for name in self._names:
                self._change(name, Transition.TRANSITION_ACTIVATE, _INACTIVE, _ACTIVE)
            self._say(READY)
            if self._auto_engage:
                self._engage()
        except SparkError as error:
            self._error = None if self._stop.is_set() else error

    def _change(self, name: str, transition: int, wanted_from: int, wanted_to: int) -> None:
        """One transition of one node; a node that is past it already is left as it is."""
        if self._state(name) != wanted_from:
            return
        verb = _VERBS[transition]
        self._say(f"{name}: {verb}", announce=False)
        asked_at = time.monotonic()
        request = ChangeState.Request(transition=Transition(id=transition))
        # Not the answer but the state decides: an answer can get lost (see `calls`), the state stays.
        with suppress(SparkError):
            call(self, ChangeState, f"/{name}/change_state", request, ANSWER_S, abandon=self._stop)
        if self._state(name) != wanted_to:
            raise SparkError(self._reason(name, asked_at) or f"{name} refuses to {verb}: its own log says why")

    def _state(self, name: str) -> int:
        """Answered only after a transition under way has ended."""
        return self._ask(GetState, f"/{name}/get_state", GetState.Request()).current_state.id

    def _reason(self, name: str, since: float) -> str:
        deadline = time.monotonic() + REASON_S
        while time.monotonic() < deadline:
            sentence, when = self._reasons.get(name, ("", 0.0))
            if when >= since:
                return sentence
            time.sleep(0.02)
        return ""

    def _engage(self) -> None:
        """The first joint states and features may still be on their way: ask until it is granted."""
        deadline = time.monotonic() + self._timeout_s
        while not self._stop.is_set():
            answer = self._ask(Trigger, topics.GATEWAY_ENGAGE_POLICY, Trigger.Request())
            if answer.success:
                return self._say("the policy moves the arm")
            if time.monotonic() > deadline:
                raise SparkError(f"the gateway does not let the policy move the arm: {answer.message}")
            self._stop.wait(0.5)

    def _ask(self, service_type: type, name: str, request: Any) -> Any:
        """For requests that do no harm when they are carried out twice."""
        return call(self, service_type, name, request, self._timeout_s, repeat_s=ANSWER_S, abandon=self._stop)

    def _take_down(self, executor: Executor | None) -> None:
        def ask(service_type: type, service: str, request: Any) -> Any:
            return call(self, service_type, service, request, GOODBYE_S, appear_s=APPEAR_S, executor=executor)

        for transition, wanted_from in _WAY_DOWN:
            for name in reversed(self._names):
                with suppress(SparkError):
                    # Asked of a node that is not there, it would be an error in its log that buries the real one.
                    if ask(GetState, f"/{name}/get_state", GetState.Request()).current_state.id == wanted_from:
                        change = ChangeState.Request(transition=Transition(id=transition))
                        ask(ChangeState, f"/{name}/change_state", change)

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        for status in message.status:
            if status.level == bytes([Level.ERROR]):
                self._reasons[status.name] = (status.message, time.monotonic())

    def _say(self, progress: str, *, announce: bool = True) -> None:
        self._progress = progress
        if announce:
            self.get_logger().info(progress)

    def _raise_error(self) -> None:
        if self._error is not None:
            raise self._error


def main() -> int:
    """Entry point of the executable `lifecycle_manager`."""
    return run(LifecycleManagerNode)


if __name__ == "__main__":
    raise SystemExit(main())
