"""Teleoperation from the keyboard of a terminal: ``ros2 run spark_ros teleop_keyboard``."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from contextlib import ExitStack

from geometry_msgs.msg import TwistStamped
from rclpy.node import Node
from rclpy.task import Future
from rclpy.utilities import remove_ros_args
from sensor_msgs.msg import JointState, Joy
from std_msgs.msg import String
from std_srvs.srv import Trigger

from spark_ros import topics
from spark_ros.control.modes import Mode
from spark_ros.nodes import qos
from spark_ros.nodes.key_teleop import HELP, KeyTeleop
from spark_ros.nodes.messages import joints_from_message
from spark_ros.nodes.motion_messages import messages_from_teleop
from spark_ros.nodes.parameters import Parameters
from spark_ros.nodes.run import run
from spark_ros.nodes.terminal import Keys, single_keys
from spark_ros.nodes.timers import every
from spark_ros.robots.spec import load_robot

NAME = "teleop_keyboard"
DEFAULTS = {
    "robot": ("fr3", "robot specification: a name or a path"),
    "linear_speed": (0.2, "m/s at full speed"),
    "angular_speed": (0.8, "rad/s at full speed"),
    "rate_hz": (50.0, "how often the input is sent"),
}
SERVICES = {
    "e": (topics.GATEWAY_ENGAGE_TELEOP, "engage"),
    "p": (topics.GATEWAY_ENGAGE_POLICY, "hand back"),
    "h": (topics.GATEWAY_HOLD, "hold"),
    "x": (topics.GATEWAY_STOP, "stop"),
    "R": (topics.GATEWAY_RESET, "reset"),
}


class TeleopKeyboard(Node):
    """Publishes what the keys ask for and calls the gateway's services."""

    def __init__(self) -> None:
        super().__init__(NAME)
        params = Parameters(self, DEFAULTS)
        self._robot = load_robot(params["robot"])
        self._teleop = KeyTeleop(params["linear_speed"], params["angular_speed"], self._robot.gripper.max_width)
        self._lock = threading.Lock()  # keys arrive on their own thread
        self._mode, self._note = "no gateway seen", ""
        self._twist = self.create_publisher(TwistStamped, topics.TELEOP_TWIST, qos.NEWEST)
        self._joy = self.create_publisher(Joy, topics.TELEOP_JOY, qos.NEWEST)
        self.create_subscription(String, topics.GATEWAY_MODE, self._on_mode, qos.LATCHED)
        self.create_subscription(JointState, topics.GATEWAY_SETPOINT, self._on_setpoint, qos.SENSOR)
        self._clients_by_key = {key: self.create_client(Trigger, name) for key, (name, _) in SERVICES.items()}
        self._terminal = ExitStack()
        self._keys = self._terminal.enter_context(single_keys(NAME))
        print(HELP, flush=True)
        self._closing = threading.Event()
        self._reader = threading.Thread(target=self._read, args=(self._keys,), daemon=True)
        self._reader.start()
        every(self, 1.0 / params["rate_hz"], self._publish)
        every(self, 0.2, self._show)

    def close(self) -> None:
        """Let go of the deadman and give the terminal back."""
        self._closing.set()
        self._reader.join(1.0)
        with self._lock:
            self._teleop.press(" ", time.monotonic())
        self._publish()
        self._terminal.close()
        print(flush=True)

    def _read(self, keys: Keys) -> None:
        while not self._closing.is_set():
            try:
                typed = keys.read(0.05)
            except EOFError:
                typed = ["q"]
            try:
                for key in typed:
                    self._on_key(key)
            except Exception:  # without this thread no key would stop the arm any more: end loudly
                self._on_key("q")
                raise

    def _on_key(self, key: str) -> None:
        with self._lock:
            if self._teleop.press(key, time.monotonic()):
                return
        if key in SERVICES:
            self._call(key)
        elif key == "?":
            print("\n" + HELP, flush=True)
        elif key == "q":
            self._closing.set()
            os.kill(os.getpid(), signal.SIGINT)  # the one way out, see nodes/run.py
        else:
            self._note = f"'{key}' means nothing here; ? shows the keys" if key.isprintable() else ""

    def _call(self, key: str) -> None:
        client, verb = self._clients_by_key[key], SERVICES[key][1]
        if not client.service_is_ready():
            self._note = f"{verb}: no gateway answers; start one: ros2 launch spark_ros teleop.launch.py"
            return
        client.call_async(Trigger.Request()).add_done_callback(lambda future: self._answered(verb, future))

    def _answered(self, verb: str, future: Future) -> None:
        answer = future.result()
        self._note = f"{verb}: {answer.message or ('done' if answer.success else 'refused')}"

    def _on_mode(self, message: String) -> None:
        self._mode = message.data

    def _on_setpoint(self, message: JointState) -> None:
        if self._mode != Mode.TELEOP.value:  # somebody else, or nobody, moves the arm: the gripper stays as it is
            with self._lock:
                self._teleop.adopt(self._robot.gripper.width(joints_from_message(message)))

    def _publish(self) -> None:
        with self._lock:
            teleop = self._teleop.teleop(time.monotonic(), self.get_clock().now().nanoseconds)
        twist, joy = messages_from_teleop(teleop, self._robot)
        self._joy.publish(joy)  # first: the twist that follows is judged by this deadman
        self._twist.publish(twist)

    def _show(self) -> None:
        teleop = self._teleop.teleop(time.monotonic(), 0)
        line = (
            f"gateway {self._mode} | deadman {'HELD' if teleop.deadman else 'free'} | speed {self._teleop.speed:.0%} | "
            f"gripper {'closed' if self._teleop.closed else 'open'}{'' if teleop.imitate else ' | not for imitation'}"
        )
        note = f" | {self._note}" if self._note else ""
        columns = os.get_terminal_size(sys.stdout.fileno()).columns if sys.stdout.isatty() else 200
        print("\r\x1b[K" + (line + note)[: columns - 1], end="", flush=True)


def main() -> int:
    """Run the node; the exit code is 0 after q or Ctrl-C."""
    parser = argparse.ArgumentParser(
        prog=NAME,
        description="Move the arm with the keys of this terminal.",
        epilog=f"keys:\n{HELP}\n\nparameters, after --ros-args -p name:=value:\n"
        + "\n".join(f"  {name:<14} {text} (default: {default})" for name, (default, text) in DEFAULTS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args(remove_ros_args(sys.argv)[1:])
    return run(TeleopKeyboard)


if __name__ == "__main__":
    sys.exit(main())
