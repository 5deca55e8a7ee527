"""Streams within a process: the same object, once, and a copy for whoever listens outside."""

from __future__ import annotations

import os
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
from spark_ros.nodes.handover import HANDOVER, Inlet, Outlet
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
        inlet = Inlet(self.taker, lambda message: self.got.append((message, threading.current_thread().name)))
        self.taker.create_subscription(Image, TOPIC, inlet.receive, STREAM)
        self.end = HANDOVER.add(TOPIC, inlet.take)

    def send(self, stamp: int) -> Image:
        message = Image(header=header(stamp))
        self.outlet.publish(message)
        return message


@pytest.fixture
def pair() -> Iterator[Pair]:
    claim = claim_domain("auto")
    environment = child_environment({}, domain_id=claim.domain_id, local_only=True)
    os.environ.update({k: v for k, v in environment.items() if k.startswith(("FAST", "ROS_AUTO"))})
    context = rclpy.Context()
    rclpy.init(context=context, domain_id=claim.domain_id)
    pair = Pair(context)
    spinners = [spin(node, context) for node in (pair.sender, pair.taker)]
    HANDOVER.is_open = True
    yield pair
    HANDOVER.is_open = False
    pair.end()
    for executor, thread in spinners:
        executor.shutdown()
        thread.join()
    context.try_shutdown()
    claim.release()


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
