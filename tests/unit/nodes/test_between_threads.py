"""What stands between a node's callbacks and its worker threads."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from spark_ros.contracts import SparkError
from spark_ros.data.cdr_messages import encode_text
from spark_ros.data.episode_writer import EpisodeWriter
from spark_ros.nodes.episode_queue import EpisodeQueue
from spark_ros.nodes.newest import Newest

METADATA = {"task": "lift the cube", "robot": "fr3"}


def test_newest_gives_the_newest_item_of_each_key_in_turn_and_counts_the_rest() -> None:
    newest: Newest[int] = Newest()
    for camera, frame in (("front", 1), ("wrist", 2), ("front", 3), ("front", 4)):
        newest.put(camera, frame)
    assert [newest.take(), newest.take()] == [("front", 4), ("wrist", 2)]
    assert newest.dropped == 2


def test_newest_lets_its_consumer_go_when_closed() -> None:
    newest: Newest[int] = Newest()
    taken: list[object] = []
    consumer = threading.Thread(target=lambda: taken.append(newest.take()))
    consumer.start()
    newest.close()
    consumer.join(5.0)
    assert taken == [None]


def test_a_slow_disk_costs_messages_that_are_counted_and_never_waits(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "episode_000001.mcap", METADATA)
    release = threading.Event()
    write, writer.write = writer.write, lambda *entry: (release.wait(5.0), write(*entry))  # type: ignore[method-assign]
    kind, cdr = encode_text("hello")
    queue = EpisodeQueue(writer, capacity_bytes=3 * len(cdr))
    for _ in range(10):
        queue.offer("/topic", kind, cdr, 1)
    release.set()
    queue.finish()
    assert queue.counts["/topic"] + queue.dropped["/topic"] == 10
    assert queue.dropped["/topic"] >= 6


def test_a_disk_that_refuses_is_reported_when_the_episode_ends(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "episode_000001.mcap", METADATA)
    queue = EpisodeQueue(writer, capacity_bytes=1000)
    queue.offer("/topic", "no/msg/SuchType", b"", 1)
    kind, cdr = encode_text("hello")
    queue.offer("/topic", kind, cdr, 2)
    with pytest.raises(SparkError, match="no/msg/SuchType"):
        queue.finish()
    assert queue.dropped["/topic"] == 2
