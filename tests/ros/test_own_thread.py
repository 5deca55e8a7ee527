"""Streams that a thread waits for by itself: the newest frame, in that thread, and nothing from before."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator

import pytest
import rclpy
from graph_for_tests import until
from rclpy.executors import SingleThreadedExecutor
from sensor_msgs.msg import Image

from spark_ros.bringup.domain import claim_domain
from spark_ros.bringup.environment import child_environment
from spark_ros.nodes.handover import HANDOVER, Outlet
from spark_ros.nodes.messages import header
from spark_ros.nodes.own_thread import AwaitedStreams
from spark_ros.nodes.qos import NEWEST_FRAME, STREAM
from spark_ros.nodes.stamps import stamp_ns

pytestmark = pytest.mark.ros
TOPICS = {"front": "/front/image_raw", "wrist": "/wrist/image_raw"}


class Cell:
    """Two cameras and a node that awaits their frames; an executor spins that node."""

    def __init__(self) -> None:
        self.cameras, self.node = rclpy.create_node("cameras"), rclpy.create_node("awaiting")
        self.streams = AwaitedStreams(self.node, Image, TOPICS, NEWEST_FRAME)
        publishers = {key: self.cameras.create_publisher(Image, topic, STREAM) for key, topic in TOPICS.items()}
        self.outlets = {key: Outlet(publisher) for key, publisher in publishers.items()}
        until(lambda: all(publisher.get_subscription_count() for publisher in publishers.values()))
        self.executor = SingleThreadedExecutor()
        self.executor.add_node(self.node)
        self.thread = threading.Thread(target=self.executor.spin, daemon=True)
        self.thread.start()

    def send(self, key: str, stamp: int) -> Image:
        message = Image(header=header(stamp))
        self.outlets[key].publish(message)
        time.sleep(0.1)  # until it is there: what waits is the newest
        return message

    def take(self) -> tuple[str, int]:
        item = self.streams.take()
        assert item is not None
        return item[0], stamp_ns(item[1].header.stamp)


@pytest.fixture
def cell(monkeypatch: pytest.MonkeyPatch) -> Iterator[Cell]:
    claim = claim_domain("auto")
    for name, value in child_environment({}, domain_id=claim.domain_id, local_only=True).items():
        if name.startswith(("FAST", "ROS_AUTO")):
            monkeypatch.setenv(name, value)
    rclpy.init(domain_id=claim.domain_id)
    cell = Cell()
    yield cell
    cell.executor.shutdown()
    cell.thread.join()
    cell.streams.close()
    rclpy.try_shutdown()
    claim.release()


@pytest.fixture(params=["through the middleware", "handed over"])
def either(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch, cell: Cell) -> Cell:
    monkeypatch.setattr(HANDOVER, "is_open", request.param == "handed over")
    return cell


def test_of_what_came_while_the_thread_was_busy_the_newest_of_each_camera_is_taken(either: Cell) -> None:
    either.send("front", 1)
    assert either.take() == ("front", 1)
    for stamp in (2, 3, 4):
        either.send("front", stamp)
    either.send("wrist", 7)
    assert sorted([either.take(), either.take()]) == [("front", 4), ("wrist", 7)]
    assert either.streams.lost == 2


def test_it_waits_until_something_comes(either: Cell) -> None:
    taken: list[tuple[str, int]] = []
    thread = threading.Thread(target=lambda: taken.append(either.take()), daemon=True)
    thread.start()
    time.sleep(0.2)
    assert thread.is_alive()
    either.send("wrist", 5)
    thread.join(5.0)
    assert taken == [("wrist", 5)]


def test_interrupted_it_ends_and_resumed_it_forgets_what_came_meanwhile(either: Cell) -> None:
    ends: list[object] = []
    thread = threading.Thread(target=lambda: ends.append(either.streams.take()), daemon=True)
    thread.start()
    time.sleep(0.1)
    either.streams.interrupt()
    thread.join(5.0)
    assert ends == [None]
    either.send("front", 1)
    assert either.streams.take() is None
    either.streams.resume()
    either.send("wrist", 2)
    assert either.take() == ("wrist", 2)


def test_a_frame_that_is_handed_over_is_the_object_itself(monkeypatch: pytest.MonkeyPatch, cell: Cell) -> None:
    monkeypatch.setattr(HANDOVER, "is_open", True)
    sent = cell.send("front", 1)
    item = cell.streams.take()
    assert item is not None and item[1] is sent


def test_a_frame_that_was_overtaken_is_never_taken(either: Cell) -> None:
    second = 1_000_000_000
    for stamp in (3, 2):  # the newer one waits, the older one arrives after it
        either.send("front", stamp)
    assert either.take() == ("front", 3)
    either.send("front", 1)  # the newer one has been taken
    either.send("wrist", 1)
    assert either.take() == ("wrist", 1)
    assert either.streams.lost == 2
    either.send("front", 5 * second)
    assert either.take() == ("front", 5 * second)
    either.send("front", 3 * second)  # nothing is overtaken by so much: a clock was set back
    assert either.take() == ("front", 3 * second)
