"""Gateway node: the only publisher of the arm's commands. What it decides is decided by `control.gateway.Gateway`.

It runs on an executor of its own (see `run`), because a starved timer is a jerk of the arm.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import fields
from typing import Any

from sensor_msgs.msg import JointState, TimeReference
from std_msgs.msg import String
from std_srvs.srv import Trigger

from spark_ros import topics
from spark_ros.adapters.base import Outgoing
from spark_ros.adapters.gripper_opening import GripperOpening
from spark_ros.adapters.registry import make_arm_adapter, make_gripper_adapter
from spark_ros.compiled import compiled_modules
from spark_ros.contracts import SparkError
from spark_ros.control.gateway import Gateway, GatewayConfig
from spark_ros.control.modes import Mode, Outcome
from spark_ros.nodes import gateway_watches
from spark_ros.nodes.diagnostics import Health, Level, Rate, in_ms
from spark_ros.nodes.gateway_inputs import GatewayInputs
from spark_ros.nodes.gripper_actions import GripperActions
from spark_ros.nodes.lifecycle import ManagedNode
from spark_ros.nodes.motion_messages import setpoint_message, trace_message
from spark_ros.nodes.outgoing import message_from, message_type
from spark_ros.nodes.qos import LATCHED, NEWEST, STREAM
from spark_ros.nodes.rivals import Rivals
from spark_ros.nodes.run import run
from spark_ros.robots.spec import load_robot
from spark_ros.runtime.latency import LatencyTrace
from spark_ros.runtime.trace import Stamps

LIMITER = "control/limiter"
STOP_S = 2.0  # longest braking: 2.6 rad/s at a tenth of the FR3's acceleration
_OFF = -1.0  # what there is none of: a ROS parameter cannot be None

DEFAULTS = {
    "robot": ("fr3", "arm, by name or YAML path: limits, frames and the driver's topics"),
    "arm_interface": ("", "which of the driver's command interfaces to use, by kind; the robot's usual one if empty"),
    "gripper_interface": ("", "which of the gripper's, by kind; the usual one if empty"),
    "gripper_force": (40.0, "N, for a gripper that is told by actions"),
    "gripper_widths": (False, "send such a gripper to every width, instead of opening and closing it"),
    **{
        "control_rate_hz" if field.name == "rate_hz" else field.name: (
            _OFF if field.default is None else field.default,
            "see config/gateway.yaml",
        )
        for field in fields(GatewayConfig)
    },
    **gateway_watches.DEFAULTS,
}


class GatewayNode(ManagedNode):
    """The node; the services of `topics` engage, hold, stop and reset it."""

    def __init__(self) -> None:
        super().__init__("gateway", DEFAULTS)
        self._core: Gateway | None = None
        self._mode: Mode | None = None
        self._slowed = False
        self._ticks = Rate()
        self._lateness, self._wait, self._latency = LatencyTrace(), LatencyTrace(), LatencyTrace()
        self._last_tick = 0.0
        self._speaks = False  # to the driver, which may wait for a farewell

    def setup(self) -> None:
        """Make the core; every topic and service."""
        values = {field.name: self.params[_parameter(field.name)] for field in fields(GatewayConfig)}
        for field in fields(GatewayConfig):
            if field.default is None and values[field.name] == _OFF:
                values[field.name] = None
        self._config = GatewayConfig(**values)
        self._spec = load_robot(self.params["robot"])
        self._core = Gateway(self._spec, self._config)
        self._mode = None
        self._to_arm = make_arm_adapter(self._spec, self.params["arm_interface"] or None)
        self._to_gripper = make_gripper_adapter(self._spec, self.params["gripper_interface"] or None)
        self._arm = self.advertise(message_type(self._to_arm.form), self._to_arm.topic, NEWEST)
        self._gripper_actions: GripperActions | None = None
        self._gripper = self._gripper_output()
        self._rivals = Rivals(self, (self._to_arm.topic, self._to_gripper.topic))
        self._setpoint = self.advertise(JointState, topics.GATEWAY_SETPOINT, STREAM)
        self._trace = self.advertise(TimeReference, topics.GATEWAY_TRACE, STREAM)
        self._stages = self.advertise(String, topics.STAGES, STREAM)
        self._mode_topic = self.advertise(String, topics.GATEWAY_MODE, LATCHED)
        self._inputs = GatewayInputs(self, lambda: self._gateway, self._spec, self._config)
        gateway_watches.GatewayWatches(self, lambda: self._gateway, self._spec.vendor.status)
        for name, action in (
            (topics.GATEWAY_ENGAGE_POLICY, lambda: self._engage(Mode.POLICY)),
            (topics.GATEWAY_ENGAGE_TELEOP, lambda: self._engage(Mode.TELEOP)),
            (topics.GATEWAY_HOLD, lambda: self._gateway.hold("asked to hold")),
            (topics.GATEWAY_STOP, lambda: self._gateway.stop("asked to stop")),
            (topics.GATEWAY_RESET, lambda: self._gateway.reset()),
        ):
            self.serve(Trigger, name, lambda _, response, action=action: self._answer(action, response))
        self.every(self._config.period_s, self._tick)
        if LIMITER not in compiled_modules():
            self.get_logger().warning(
                "the limiter is not compiled here: the same limits for much more of the processor"
            )
        self._announce()

    def start(self) -> None:
        """Refuse to move an arm that somebody else commands."""
        rival = self._rivals.sentence()
        if rival is not None:
            raise SparkError(rival)

    def halt(self) -> None:
        """Brake, then fall silent."""
        self._gateway.hold("the gateway is being deactivated")
        self._announce()
        deadline = time.monotonic() + STOP_S
        try:
            while self._send() and time.monotonic() < deadline:
                time.sleep(self._config.period_s)
        finally:  # whatever broke, a driver that would go on for ever must be told to stop
            self._fall_silent()
        # An inactive gateway knows nothing of where the arm will be when it is activated again; a fault stays latched.
        fault = self._gateway.reason if self._gateway.mode is Mode.FAULT else None
        self._core = Gateway(self._spec, self._config, self._gateway.vendor)
        if fault is not None:
            self._core.stop(fault)
        self._announce()

    def teardown(self) -> None:
        """Forget the arm."""
        self._core = None

    def health(self) -> Health:
        """Mode, reason, timing."""
        if self._core is None:
            return Health(Level.OK, "unconfigured")
        mode = self._core.mode
        level = {Mode.FAULT: Level.ERROR, Mode.HOLD: Level.WARN}.get(mode, Level.OK)
        if self._core.is_slowed:
            level = Level.WARN
        values = {
            "mode": mode.value,
            "reason": self._core.reason,
            "tick Hz": self._ticks.hz(),
            **in_ms("tick late", self._lateness),
            **in_ms("capture to gateway", self._wait),
            **in_ms("capture to command", self._latency),
        }
        return Health(level, f"{mode.value}: {self._core.reason}", values)

    def _tick(self) -> None:
        if not self.active:
            return
        now = time.monotonic()
        if self._ticks.silent_s() < 1.0:
            self._lateness.add(max(0.0, now - self._last_tick - self._config.period_s))
        self._last_tick = now
        self._ticks.tick()
        if self._gateway.commands and (rival := self._rivals.appeared(now)) is not None:
            self._gateway.cede(rival)
        self._send()
        self._announce()

    def _send(self) -> bool:
        """One tick of the core; whether it commanded motion."""
        stamp = self.get_clock().now().nanoseconds
        now = time.monotonic()
        command = self._gateway.tick(now, stamp)
        if command is None:
            self._fall_silent()
            return False
        measured = self._gateway.measured(now)
        message = message_from(self._to_arm.convert(command, measured, stamp))
        late = time.monotonic() - now
        if late > self._config.joint_timeout_s:  # stopped in the midst of it: the arm is not where this goes on from
            self._gateway.withdraw(late)
            return True
        self._arm.publish(message)  # at once: what comes between would be a time to be stopped in
        self._speaks = True
        self._gripper(self._to_gripper.convert(command, measured, stamp))
        self._setpoint.publish(setpoint_message(command, self._spec, stamp))
        if command.source_stamp_ns is not None:
            self._trace.publish(trace_message(command.source_stamp_ns, stamp))
            self._latency.add((stamp - command.source_stamp_ns) * 1e-9)
            captured, accepted = self._inputs.accepted
            if captured == command.source_stamp_ns:
                self._wait.add((accepted - captured) * 1e-9)
                reached = {"gateway": accepted, "command": stamp}
                self._stages.publish(String(data=Stamps(captured, reached).to_json()))
        return bool(abs(command.velocity).max() > 0.0)

    def _gripper_output(self) -> Callable[[Outgoing], None]:
        """How the gripper's driver is told: on a topic, or by actions."""
        if isinstance(self._to_gripper, GripperOpening):

            def home() -> Outcome:
                if self._gateway.mode is not Mode.IDLE:  # elsewhere the gateway knows of another opening
                    return Outcome(False, "homing opens the gripper: hold and reset the gateway first")
                return actions.home()

            actions = self._gripper_actions = GripperActions(
                self, self._to_gripper, self._spec.gripper, self.params["gripper_force"], self.params["gripper_widths"]
            )
            self.serve(Trigger, topics.GATEWAY_HOME_GRIPPER, lambda _, response: self._answer(home, response))
            return actions.tell
        publisher = self.advertise(message_type(self._to_gripper.form), self._to_gripper.topic, NEWEST)
        return lambda outgoing: publisher.publish(message_from(outgoing))

    def _fall_silent(self) -> None:
        """Tell a driver that would go on for ever to stop, once; nothing is wanted of the gripper any more."""
        if self._gripper_actions is not None:
            self._gripper_actions.forget()
        farewell = self._to_arm.farewell(self.get_clock().now().nanoseconds) if self._speaks else None
        self._speaks = False
        if farewell is not None:
            self._arm.publish(message_from(farewell))

    @property
    def _gateway(self) -> Gateway:
        """The core, which exists from `setup` to `teardown`."""
        assert self._core is not None
        return self._core

    def _announce(self) -> None:
        """Publish and log the mode when it has changed, and log where it slows down."""
        if (self._gateway.mode, self._gateway.is_slowed) == (self._mode, self._slowed):
            return
        if self._gateway.mode is not self._mode:
            self._mode_topic.publish(String(data=self._gateway.mode.value))
        self._mode, self._slowed = self._gateway.mode, self._gateway.is_slowed
        sentence = f"{self._mode.value}: {self._gateway.reason}"
        if self._mode is Mode.FAULT:
            self.get_logger().error(sentence)
        else:
            self.get_logger().info(sentence)

    def _engage(self, mode: Mode) -> Outcome:
        if not self.active:
            return Outcome(False, "the gateway is not active: activate it first (the lifecycle manager does)")
        if self._gateway.mode is not mode:
            rival = self._rivals.sentence()
            if rival is not None:
                return Outcome(False, rival)
            outcome = self._gateway.engage(mode, time.monotonic())
            if outcome.ok:
                self._inputs.begin()
            return outcome
        return self._gateway.engage(mode, time.monotonic())

    def _answer(self, action: Callable[[], Outcome], response: Any) -> Any:
        outcome = action()
        self._announce()
        response.success, response.message = outcome.ok, outcome.message
        return response


def _parameter(field: str) -> str:
    return "control_rate_hz" if field == "rate_hz" else field


def main() -> int:
    """Entry point of the executable `gateway`."""
    return run(GatewayNode)


if __name__ == "__main__":
    raise SystemExit(main())
