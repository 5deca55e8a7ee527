"""The keyboard node in a real pseudo-terminal."""

from __future__ import annotations

import os
import pty
import subprocess
import sys
import termios
import time
from collections.abc import Callable, Iterator

import pytest
import rclpy
from geometry_msgs.msg import TwistStamped
from sensor_msgs.msg import Joy

from spark_ros import topics
from spark_ros.bringup.domain import claim_domain
from spark_ros.bringup.environment import child_environment
from spark_ros.nodes import qos

pytestmark = pytest.mark.ros

MODULE = [sys.executable, "-m", "spark_ros.nodes.teleop_keyboard"]


class Terminal:
    """The node, its terminal and what it publishes."""

    def __init__(self, domain_id: int) -> None:
        self.context = rclpy.Context()
        rclpy.init(context=self.context, domain_id=domain_id)
        self.listener = rclpy.create_node("listener", context=self.context)
        self.executor = rclpy.executors.SingleThreadedExecutor(context=self.context)
        self.executor.add_node(self.listener)
        self.twist, self.joy = TwistStamped(), Joy()
        self.listener.create_subscription(TwistStamped, topics.TELEOP_TWIST, self._on_twist, qos.SENSOR)
        self.listener.create_subscription(Joy, topics.TELEOP_JOY, self._on_joy, qos.SENSOR)
        self.keyboard, slave = pty.openpty()
        self.before = termios.tcgetattr(self.keyboard)
        environment = child_environment(domain_id=domain_id, local_only=True)
        self.node = subprocess.Popen(MODULE, stdin=slave, stdout=slave, stderr=slave, env=environment)
        os.close(slave)

    def _on_twist(self, message: TwistStamped) -> None:
        self.twist = message

    def _on_joy(self, message: Joy) -> None:
        self.joy = message

    def type(self, keys: str) -> None:
        os.write(self.keyboard, keys.encode())

    def until(self, condition: Callable[[], bool], seconds: float = 15.0) -> bool:
        deadline = time.monotonic() + seconds
        while not condition() and time.monotonic() < deadline:
            self.executor.spin_once(0.02)
        return condition()

    @property
    def deadman(self) -> bool:
        return bool(self.joy.buttons and self.joy.buttons[0])


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    claim = claim_domain("auto")
    terminal = Terminal(claim.domain_id)
    yield terminal
    terminal.node.kill()
    terminal.node.wait()
    os.close(terminal.keyboard)
    terminal.listener.destroy_node()
    rclpy.try_shutdown(context=terminal.context)
    claim.release()


def test_a_key_moves_the_tool_until_its_deadman_expires(terminal: Terminal) -> None:
    assert terminal.until(lambda: bool(terminal.joy.buttons)), "it publishes from the start, deadman free"
    assert not terminal.deadman

    terminal.type("w")
    assert terminal.until(lambda: terminal.twist.twist.linear.x > 0 and terminal.deadman)
    assert terminal.twist.header.frame_id == "fr3_link0"
    assert terminal.until(lambda: terminal.twist.twist.linear.x == 0 and not terminal.deadman)

    terminal.type("g")
    assert terminal.until(lambda: terminal.joy.axes[0] == 0.0)

    terminal.type("q")
    assert terminal.until(lambda: terminal.node.poll() is not None)
    assert terminal.node.returncode == 0
    assert termios.tcgetattr(terminal.keyboard) == terminal.before, "the terminal is as it was"
    assert terminal.until(lambda: not terminal.deadman)


def test_without_a_terminal_it_says_where_to_start_it() -> None:
    result = subprocess.run(MODULE, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=30)
    assert result.returncode == 2
    assert "teleop_keyboard needs a terminal" in result.stderr + result.stdout
