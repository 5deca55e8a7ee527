"""What our lifecycle nodes share: transitions that answer with a sentence, complaints, diagnostics, one way to stop.

A node overrides the hooks `setup`, `start`, `halt`, `teardown` and `health`. A hook refuses by raising `SparkError`:
the transition then returns FAILURE, the sentence is logged and stands in /diagnostics, where the lifecycle manager
finds it. A message handler refuses a message in the same way; its sentence is logged at most once a second.
"""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from time import monotonic
from typing import Any

from rclpy.action import ActionClient
from rclpy.impl.implementation_singleton import rclpy_implementation
from rclpy.lifecycle import LifecycleNode, LifecycleState, TransitionCallbackReturn
from rclpy.publisher import Publisher
from rclpy.qos import QoSProfile

from spark_ros.contracts import SparkError
from spark_ros.nodes.diagnostics import Diagnostics, Health, Level
from spark_ros.nodes.handover import Inlet, Outlet
from spark_ros.nodes.own_thread import AwaitedStreams
from spark_ros.nodes.parameters import Defaults, Parameters
from spark_ros.nodes.timers import every

RCLError = rclpy_implementation.RCLError
COMPLAINT_PERIOD_S = 1.0
COMPLAINT_SHOWN_S = 3.0  # in /diagnostics, which are read at 1 Hz


class ManagedNode(LifecycleNode):
    """A lifecycle node.

    Args:
        name: Its name in the graph unless remapped.
        defaults: Its parameters.

    Attributes:
        params: Values of the parameters.
        active: Whether it is to do its work.
    """

    def __init__(self, name: str, defaults: Defaults) -> None:
        super().__init__(name)
        self.params = Parameters(self, defaults)
        self.active = False
        self._undo: list[Callable[[], object]] = []
        self._refusal = ""
        self._complaint = ("", float("-inf"))
        self._complained: dict[str, float] = {}
        self._diagnostics = Diagnostics(self, self._report)
        self._survive_impossible_transitions()

    # --- hooks ---------------------------------------------------------------------------------------------------

    def setup(self) -> None:
        """Load what is needed; `advertise`, `subscribe`, `every` and `serve`. Refuses with `SparkError`."""

    def start(self) -> None:
        """Begin to work. Refuses with `SparkError`."""

    def halt(self) -> None:
        """Cease to work; called on every way out of the active state, while publishing still works."""

    def teardown(self) -> None:
        """Release what `setup` loaded; also called after a `setup` that failed half-way."""

    def health(self) -> Health:
        """The report while configured."""
        return Health(Level.OK, "active" if self.active else "inactive")

    # --- for the hooks: everything made with these exists from `setup` to `teardown` -------------------------------

    def advertise(self, message_type: type, topic: str, qos: QoSProfile) -> Publisher:
        """A publisher."""
        publisher = self.create_publisher(message_type, topic, qos)
        self._undo.append(lambda: self.destroy_publisher(publisher))
        return publisher

    def subscribe(
        self,
        message_type: type,
        topic: str,
        handler: Callable[..., None],
        qos: QoSProfile,
        numbered: bool = False,
        **options: Any,
    ) -> None:
        """A subscription; `handler` may refuse a message by raising `SparkError`; options as for rclpy.

        With `numbered` the handler is also given the publisher's number of the message, None where the middleware
        does not number them.
        """
        receive = self._complaining(handler)

        def receive_numbered(message: Any, info: Any) -> None:
            receive(message, info["publication_sequence_number"])

        callback: Callable[..., None] = receive_numbered if numbered else receive
        subscription = self.create_subscription(message_type, topic, callback, qos, **options)
        self._undo.append(lambda: self.destroy_subscription(subscription))

    def stream(self, message_type: type, topic: str, qos: QoSProfile) -> Outlet:
        """A publisher whose messages nodes of the same process get as they are, see `handover`."""
        return Outlet(self.advertise(message_type, topic, qos))

    def take_stream(
        self, kind: type, topic: str, handler: Callable[[Any], None], qos: QoSProfile, at_once: bool = False
    ) -> None:
        """As `subscribe`, for stamped messages that nodes of the same process hand over, see `handover.Inlet`."""
        self._undo.append(Inlet(self, kind, topic, self._complaining(handler), qos, at_once).close)

    def await_streams(
        self, kind: type, topics: Mapping[str, str], qos: QoSProfile, read: Callable[[bytes], Any] | None = None
    ) -> AwaitedStreams:
        """As `take_stream`, for a thread of the node that waits for these messages by itself, see `own_thread`."""
        streams = AwaitedStreams(self, kind, topics, qos, read)
        self._undo.append(streams.close)
        return streams

    def acting(self, action_type: type, name: str) -> ActionClient:
        """A client of an action."""
        client = ActionClient(self, action_type, name)
        self._undo.append(client.destroy)
        return client

    def every(self, period_s: float, action: Callable[[], None]) -> None:
        """A timer on the monotonic clock."""
        timer = every(self, period_s, action)
        self._undo.append(lambda: self.destroy_timer(timer))

    def serve(self, service_type: type, name: str, answer: Callable[..., Any]) -> None:
        """A service."""
        service = self.create_service(service_type, name, answer)
        self._undo.append(lambda: self.destroy_service(service))

    def complain(self, sentence: str) -> None:
        """Log an error, the same one at most once a second, and show it in /diagnostics."""
        now = monotonic()
        self._complaint = (sentence, now)
        if now - self._complained.get(sentence, float("-inf")) >= COMPLAINT_PERIOD_S:
            self._complained = {text: when for text, when in self._complained.items() if now - when < 60.0}
            self._complained[sentence] = now
            self.get_logger().error(sentence)

    def _complaining(self, handler: Callable[..., None]) -> Callable[..., None]:
        """The handler, whose refusals become complaints."""

        def handle(*message: Any) -> None:
            try:
                handler(*message)
            except SparkError as error:
                self.complain(str(error))

        return handle

    # --- transitions -----------------------------------------------------------------------------------------------

    def on_configure(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `setup`."""
        result = self._attempt(self.setup, "configure")
        if result is not TransitionCallbackReturn.SUCCESS:
            self._teardown()
        return result

    def on_activate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `start`."""
        result = self._attempt(self.start, "activate")
        self.active = result is TransitionCallbackReturn.SUCCESS
        return result

    def on_deactivate(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `halt`."""
        return self._attempt(self._halt, "deactivate")

    def on_cleanup(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `teardown`."""
        return self._attempt(self._teardown, "clean up")

    def on_shutdown(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Run `halt` and `teardown`, from whatever state."""
        self._attempt(self._halt, "stop")
        return self._attempt(self._teardown, "clean up")

    def on_error(self, state: LifecycleState) -> TransitionCallbackReturn:
        """Return to unconfigured, everything released, so that the node can be configured again."""
        self._halt()
        self._teardown()
        return TransitionCallbackReturn.SUCCESS

    def close(self) -> None:
        """End of the process: shut down from whatever state, see `run`."""
        if self._state_machine.current_state[1] in ("unconfigured", "inactive", "active"):
            self.trigger_shutdown()

    def _survive_impossible_transitions(self) -> None:
        """In rclpy a request that does not fit the state (deactivate an inactive node) raises and ends the process."""
        change_state = self._service_change_state.callback

        def answer(request: Any, response: Any) -> Any:
            try:
                return change_state(request, response)
            except RCLError:
                state = self._state_machine.current_state[1]
                wanted = request.transition.label or request.transition.id
                self.get_logger().error(f"{self.get_name()} is {state}: transition {wanted} is not possible from there")
                response.success = False
                return response

        self._service_change_state.callback = answer

    def _halt(self) -> None:
        if self.active:
            self.active = False
            self.halt()

    def _teardown(self) -> None:
        while self._undo:
            self._undo.pop()()
        self.teardown()

    def _attempt(self, hook: Callable[[], None], verb: str) -> TransitionCallbackReturn:
        try:
            hook()
        except SparkError as error:
            self._refuse(f"{self.get_name()} refuses to {verb}: {error}")
            return TransitionCallbackReturn.FAILURE
        except Exception as error:
            self._refuse(f"{self.get_name()} failed to {verb}: {type(error).__name__}: {error}")
            self.get_logger().error(traceback.format_exc())
            return TransitionCallbackReturn.ERROR
        self._refusal = ""
        return TransitionCallbackReturn.SUCCESS

    def _refuse(self, sentence: str) -> None:
        self._refusal = sentence
        self.get_logger().error(sentence)
        self._diagnostics.publish()

    def _report(self) -> Health:
        if self._refusal:
            return Health(Level.ERROR, self._refusal)
        state = self._state_machine.current_state[1]
        if state not in ("inactive", "active"):
            return Health(Level.OK, state)
        health, (sentence, when) = self.health(), self._complaint
        if monotonic() - when < COMPLAINT_SHOWN_S:
            return Health(Level.ERROR, sentence, health.values)
        return health
