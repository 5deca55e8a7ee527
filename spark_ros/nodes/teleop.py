"""Teleoperation from any device of `spark_ros.teleop`: ``ros2 run spark_ros teleop --ros-args -p device:=gamepad``.

It moves nothing: it tells the gateway what the operator's hand does, and asks for what the buttons ask for. Where a
policy drives, pressing the deadman takes over; handing back is a button of its own, as the arm never goes on by itself.
"""

from __future__ import annotations

import time
from functools import partial
from importlib import import_module
from typing import Any

import numpy as np
from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from rclpy.task import Future
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from spark_ros import topics
from spark_ros.contracts import SparkError, TeleopInput
from spark_ros.control.modes import Mode
from spark_ros.nodes import qos
from spark_ros.nodes.diagnostics import Diagnostics, Health, Level
from spark_ros.nodes.messages import joints_from_message
from spark_ros.nodes.motion_messages import joints_from_teleop, messages_from_teleop
from spark_ros.nodes.parameters import Parameters
from spark_ros.nodes.run import run
from spark_ros.nodes.timers import every
from spark_ros.robots.spec import load_robot
from spark_ros.teleop.base import Hand, Request, Settings
from spark_ros.teleop.registry import make_device

REOPEN_S = 1.0
DEFAULTS = {
    "robot": ("fr3", "robot specification: a name or a path"),
    "device": ("gamepad", "gamepad, spacemouse, leader, pose or twist"),
    "path": ("", "file of the device, e.g. /dev/input/event5; empty to look for one"),
    "linear_speed": (0.2, "m/s at full deflection"),
    "angular_speed": (0.8, "rad/s at full deflection"),
    "scale": (1.0, "how far the tool moves for a metre of a tracked hand, or for a twist"),
    "dead_zone": (0.1, "share of a stick's way that counts as nothing"),
    "leader_joints": ([], "the leader's joints in the arm's order; empty for the arm's own names"),
    "leader_gripper": ("", "the leader's gripper joint; empty for none"),
    "leader_gripper_closed": (0.0, "its position when closed"),
    "leader_gripper_open": (1.0, "its position when open"),
    "leader_relative": (False, "follow the leader's changes instead of its joints"),
    "take_over": (True, "whether pressing the deadman takes over from a policy that drives"),
    "rate_hz": (50.0, "how often the input is sent"),
}
SERVICES = {
    Request.ENGAGE: topics.GATEWAY_ENGAGE_TELEOP,
    Request.HAND_BACK: topics.GATEWAY_ENGAGE_POLICY,
    Request.HOLD: topics.GATEWAY_HOLD,
    Request.STOP: topics.GATEWAY_STOP,
    Request.RESET: topics.GATEWAY_RESET,
    Request.START: topics.RECORDER_START,
    Request.KEEP: topics.RECORDER_KEEP,
    Request.DISCARD: topics.RECORDER_DISCARD,
    Request.AGAIN: topics.RECORDER_AGAIN,
}


class Teleop(Node):
    """The node."""

    def __init__(self) -> None:
        super().__init__("teleop")
        self._values = params = Parameters(self, DEFAULTS)
        self._robot = load_robot(params["robot"])
        self._settings = Settings(
            robot=self._robot,
            path=params["path"],
            linear_speed=params["linear_speed"],
            angular_speed=params["angular_speed"],
            scale=params["scale"],
            dead_zone=params["dead_zone"],
            leader_joints=tuple(params["leader_joints"]),
            leader_gripper=params["leader_gripper"],
            leader_gripper_range=(params["leader_gripper_closed"], params["leader_gripper_open"]),
            leader_relative=params["leader_relative"],
        )
        self._device = make_device(params["device"], self._settings)
        self._lost, self._reopened, self._said = "", 0.0, ""
        self._mode, self._held = "", False
        self._hand: Hand | None = None
        self._arm = self._robot.home  # (J,) rad, where it was last told to be while the device did not move it
        self._twist = self.create_publisher(TwistStamped, topics.TELEOP_TWIST, qos.NEWEST)
        self._joy = self.create_publisher(Joy, topics.TELEOP_JOY, qos.NEWEST)
        self._joints = self.create_publisher(JointState, topics.TELEOP_JOINTS, qos.NEWEST)
        self.create_subscription(String, topics.GATEWAY_MODE, self._on_mode, qos.LATCHED)
        self.create_subscription(JointState, topics.GATEWAY_SETPOINT, self._on_setpoint, qos.SENSOR)
        self.create_subscription(JointState, topics.JOINT_STATES, self._on_measured, qos.SENSOR)
        for topic, kind in self._device.inputs.items():
            package, _, name = kind.split("/")
            message_type = getattr(import_module(f"{package}.msg"), name)
            self.create_subscription(message_type, topic, partial(self._on_input, topic), qos.SENSOR)
        self._asks = {request: self.create_client(Trigger, name) for request, name in SERVICES.items()}
        every(self, 1.0 / params["rate_hz"], self._step)
        Diagnostics(self, self._health)
        self._say(self._device.note)

    def close(self) -> None:
        """Let go of the deadman; if nobody hears of it any more, the deadman expires by itself."""
        self._publish(Hand(np.zeros(6), self._hand.opening if self._hand else 1.0, False))
        if not self._lost:
            self._device.close()

    def _step(self) -> None:
        now = time.monotonic()
        requests = self._poll(now)
        hand = self._device.hand(now)
        if self._lost or not hand.deadman:  # a stick that is held without the deadman is nobody's business
            hand = Hand(np.zeros(6), hand.opening, False, hand.imitate)
        taken = hand.deadman and not self._held and self._mode == Mode.POLICY.value and self._values["take_over"]
        self._held, self._hand = hand.deadman, hand
        self._publish(hand)
        self._say(self._device.note)
        for request in [*requests, *([Request.ENGAGE] if taken else [])]:
            self._ask(request)

    def _poll(self, now: float) -> list[Request]:
        """What the hardware asks for; opens it again where it was unplugged."""
        try:
            if self._lost and now - self._reopened >= REOPEN_S:
                self._reopened = now
                self._device = make_device(self._values["device"], self._settings)
                if self._hand is not None:
                    self._device.adopt(self._hand.opening, self._arm)  # a new one would open what the gripper holds
                self._lost = ""
            return [] if self._lost else self._device.poll(now)
        except SparkError as error:
            if not self._lost:
                self._device.close()
                self.get_logger().error(str(error))
            self._lost, self._reopened = str(error), now
            return []

    def _publish(self, hand: Hand) -> None:
        stamp = self.get_clock().now().nanoseconds
        width = hand.opening * self._robot.gripper.max_width
        teleop = TeleopInput(hand.twist, width, hand.deadman, hand.imitate, stamp, hand.joints)
        twist, joy = messages_from_teleop(teleop, self._robot)
        self._joy.publish(joy)  # first: the motion that follows is judged by this deadman
        if teleop.joints is None:
            self._twist.publish(twist)
        else:
            self._joints.publish(joints_from_teleop(teleop, self._robot))

    def _ask(self, request: Request) -> None:
        client = self._asks[request]
        if not client.service_is_ready():
            self._say(f"{request.value}: nobody answers {SERVICES[request]}; is its node running?")
            return
        client.call_async(Trigger.Request()).add_done_callback(lambda future: self._answered(request, future))

    def _answered(self, request: Request, future: Future) -> None:
        answer = future.result()
        self._say(f"{request.value}: {answer.message or ('done' if answer.success else 'refused')}")
        if request is Request.ENGAGE and not answer.success and self._mode == Mode.POLICY.value:
            self._ask(Request.HOLD)  # who reaches for the arm does not want the policy to go on with it

    def _on_mode(self, message: String) -> None:
        self._mode = message.data

    def _on_setpoint(self, message: JointState) -> None:
        if self._mode != Mode.TELEOP.value:
            self._adopt(message)
        elif not self._held:  # the arm rests elsewhere than where it was taken over; the gripper is the device's
            self._adopt(message, self._device.hand(time.monotonic()).opening)

    def _on_measured(self, message: JointState) -> None:
        if self._mode == Mode.IDLE.value:  # nobody commands: where the arm is counts
            self._adopt(message)

    def _adopt(self, message: JointState, opening: float | None = None) -> None:
        """Tells the device where arm and gripper are; `opening` instead of the message's, where there is one."""
        try:
            joints = joints_from_message(message)
            width = self._robot.gripper.width(joints)
            self._arm = joints.select(self._robot.joint_names).position
        except SparkError:
            return  # the gripper's own message, or one of another arm
        if opening is None:
            opening = float(np.clip(width / self._robot.gripper.max_width, 0.0, 1.0))
        self._device.adopt(opening, self._arm)

    def _on_input(self, topic: str, message: Any) -> None:
        try:
            self._device.receive(topic, message, time.monotonic())
        except SparkError as error:
            self._say(str(error))

    def _say(self, sentence: str) -> None:
        if sentence and sentence != self._said:
            self.get_logger().info(sentence)
        self._said = sentence or self._said

    def _health(self) -> Health:
        if self._lost:
            return Health(Level.ERROR, self._lost)
        values = {"deadman": self._held, "mode": self._mode}
        return Health(Level.OK, self._device.note.partition("\n")[0] or "in use", values)


def main() -> int:
    """Entry point of the executable `teleop`."""
    return run(Teleop)


if __name__ == "__main__":
    raise SystemExit(main())
