"""Streams within a process: the same object, once, and a copy for whoever listens outside."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import rclpy
from graph_for_tests import until
from rclpy.executors import SingleThreadedExecutor
from rclpy.node import Node
from sensor_msgs.msg import Image

from spark_ros.bringup.domain import claim_domain
from spark_ros.bringup.environment import child_environment
from spark_ros.nodes import composed
from spark_ros.nodes.handover import HANDOVER, Inlet, Outlet
from spark_ros.nodes.lifecycle import ManagedNode
from spark_ros.nodes.messages import header
from spark_ros.nodes.qos import STREAM

pytestmark = pytest.mark.ros
TOPIC = "/perception/front/features"


class Pair:
    """A node that sends and one that takes, each spun in its own thread, in one process."""

    def __init__(self, context: rclpy.Context) -> None:
        self.got: list[tuple[Image, str]] = []
        self.sender = rclpy.create_node("sender", context=context)
        self.taker = rclpy.create_node("taker", context=context)
        self.publisher = self.sender.create_publisher(Image, TOPIC, STREAM)
        self.outlet = Outlet(self.publisher)
        self.inlet = Inlet(self.taker, Image, TOPIC, self._on_message, STREAM)

    def _on_message(self, message: Image) -> None:
        self.got.append((message, threading.current_thread().name))

    def send(self, stamp: int) -> Image:
        message = Image(header=header(stamp))
        self.outlet.publish(message)
        return message


@pytest.fixture
def context(monkeypatch: pytest.MonkeyPatch) -> Iterator[rclpy.Context]:
    """ROS's own context, which lifecycle nodes live in, on a domain that nobody else uses; the handover is open."""
    claim = claim_domain("auto")
    for name, value in child_environment({}, domain_id=claim.domain_id, local_only=True).items():
        if name.startswith(("FAST", "ROS_AUTO")):
            monkeypatch.setenv(name, value)
    monkeypatch.setattr(HANDOVER, "is_open", True)
    rclpy.init(domain_id=claim.domain_id)
    yield rclpy.get_default_context()
    rclpy.try_shutdown()
    claim.release()


@pytest.fixture
def pair(context: rclpy.Context) -> Iterator[Pair]:
    pair = Pair(context)
    spinners = [spin(node, context) for node in (pair.sender, pair.taker)]
    yield pair
    for executor, thread in spinners:
        executor.shutdown()
        thread.join()
    pair.inlet.close()


def spin(node: Node, context: rclpy.Context) -> tuple[SingleThreadedExecutor, threading.Thread]:
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(node)
    thread = threading.Thread(target=executor.spin, name=f"spin {node.get_name()}", daemon=True)
    thread.start()
    return executor, thread


def test_a_taker_in_the_same_process_gets_the_object_itself_in_its_own_thread(pair: Pair) -> None:
    sent = pair.send(1_000_000_001)
    until(lambda: bool(pair.got))
    assert pair.got[0][0] is sent and pair.got[0][1] == "spin taker"


def test_a_taker_who_only_lays_it_down_gets_it_before_the_sender_goes_on(pair: Pair) -> None:
    got: list[tuple[Image, str]] = []
    node = pair.taker
    inlet = Inlet(node, Image, TOPIC, lambda m: got.append((m, threading.current_thread().name)), STREAM, at_once=True)
    sent = pair.send(1_500_000_000)
    assert got == [(sent, threading.current_thread().name)]
    inlet.close()
    pair.send(1_600_000_000)
    assert len(got) == 1


def test_somebody_outside_gets_a_copy_and_the_taker_no_second_one(pair: Pair) -> None:
    outside: list[Image] = []
    pair.sender.create_subscription(Image, TOPIC, outside.append, STREAM)
    until(lambda: pair.publisher.get_subscription_count() == 2)
    sent = [pair.send(1_000_000_000 + number) for number in range(6)]
    until(lambda: len(outside) == 6 and len(pair.got) >= 6)
    time.sleep(0.3)
    assert [message for message, _ in pair.got] == sent
    assert all(one is other for (one, _), other in zip(pair.got, sent, strict=True))


def test_where_nothing_is_handed_over_messages_go_through_the_middleware(pair: Pair) -> None:
    HANDOVER.is_open = False
    until(lambda: pair.publisher.get_subscription_count() == 1)
    sent = pair.send(2_000_000_000)
    until(lambda: bool(pair.got))
    assert pair.got[0][0] is not sent and pair.got[0][0] == sent


class Taking(ManagedNode):
    """A lifecycle node that takes while it is configured; handling a message takes it a while."""

    def __init__(self) -> None:
        super().__init__("taking", {})
        self.got: list[Image] = []
        self.configured = False

    def setup(self) -> None:
        self.configured = True
        self.take_stream(Image, TOPIC, self._on_message, STREAM)

    def teardown(self) -> None:
        self.configured = False

    def _on_message(self, message: Image) -> None:
        assert self.configured
        self.got.append(message)


def test_a_lifecycle_node_takes_each_message_once_and_none_while_it_is_not_configured(context: rclpy.Context) -> None:
    sender, taking = rclpy.create_node("sender", context=context), Taking()
    outlet = Outlet(sender.create_publisher(Image, TOPIC, STREAM))
    executor = SingleThreadedExecutor(context=context)
    executor.add_node(taking)
    stamps = iter(range(3_000_000_000, 4_000_000_000))

    def send() -> Image:
        message = Image(header=header(next(stamps)))
        outlet.publish(message)
        return message

    taken: list[Image] = []
    for _ in range(2):
        taking.trigger_configure()
        taken.extend((send(), send()))
        until(lambda: executor.spin_once(0.01) or len(taking.got) >= len(taken))
        assert taking.got == taken
        send()  # waits in the executor when the node is taken down
        taking.trigger_cleanup()
        send()
        for _ in range(20):
            executor.spin_once(0.01)
    assert taking.got == taken
    assert all(one is other for one, other in zip(taking.got, taken, strict=True))
    executor.shutdown()


def test_composed_nodes_hand_over(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(HANDOVER, "is_open", False)
    monkeypatch.setattr("sys.argv", ["composed"])
    monkeypatch.setattr(composed, "run", lambda *_: int(HANDOVER.is_open))
    assert composed.main() == 1
