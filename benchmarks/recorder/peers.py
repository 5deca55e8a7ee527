"""The same messages written as fast as they go: by the recorder's own writer, by plain mcap and by rosbags."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from itertools import islice
from pathlib import Path
from typing import Any

from mcap.writer import Writer
from rosbags.rosbag2 import StoragePlugin
from rosbags.rosbag2 import Writer as BagWriter

from benchmarks.recorder.scene import CAMERAS, Message, messages
from benchmarks.recorder.source import CAMERA_HZ, HEIGHT, JOINTS_HZ, WIDTH
from spark_ros.data.cdr import schema_text, typestore
from spark_ros.data.cdr_messages import IMAGE
from spark_ros.data.episode_writer import EpisodeWriter
from spark_ros.data.image_storage import ImageStorage
from spark_ros.nodes.episode_queue import EpisodeQueue, ImagePacker

_ROOM = 8_000_000_000  # bytes: here nothing is to be dropped, so that the speed of the disk is what is measured


def compare(folder: Path, seconds: float) -> dict[str, Any]:
    """Write so many seconds' messages in every way; by name of the way.

    Returns:
        ``frames_per_s`` (60 are needed), ``cpu_ms_per_frame`` of all threads, ``mb`` in the file of ``mb_sent``, and
        ``ceiling``: how many times the rate of two cameras it keeps up with.
    """
    count = round(seconds * (2 * JOINTS_HZ + len(CAMERAS) * CAMERA_HZ))
    recorded = list(islice(messages(CAMERA_HZ, JOINTS_HZ, HEIGHT, WIDTH, time.time_ns()), count))
    ways: dict[str, Callable[[Path, Sequence[Message]], None]] = {
        "spark_ros raw": lambda path, given: _ours(path, given, None),
        "spark_ros jpeg": lambda path, given: _ours(path, given, ImageStorage.JPEG),
        "spark_ros png": lambda path, given: _ours(path, given, ImageStorage.PNG),
        "mcap": _mcap,
        "rosbags": _rosbags,
    }
    return {name: _timed(way, folder / f"{number}.mcap", recorded) for number, (name, way) in enumerate(ways.items())}


def _timed(way: Callable[[Path, Sequence[Message]], None], path: Path, given: Sequence[Message]) -> dict[str, Any]:
    frames = sum(kind == IMAGE for _, kind, _, _ in given)
    begin, busy = time.monotonic(), time.process_time()
    way(path, given)
    seconds, busy = time.monotonic() - begin, time.process_time() - busy
    files = [path] if path.is_file() else [file for file in path.rglob("*") if file.is_file()]
    size = sum(file.stat().st_size for file in files)
    for file in files:
        file.unlink()
    return {
        "frames_per_s": round(frames / seconds, 1),
        "cpu_ms_per_frame": round(1e3 * busy / frames, 2),
        "mb": round(size * 1e-6, 1),
        "mb_sent": round(sum(len(cdr) for _, _, cdr, _ in given) * 1e-6, 1),
        "ceiling": round(frames / seconds / (len(CAMERAS) * CAMERA_HZ), 2),
    }


def _ours(path: Path, given: Sequence[Message], storage: ImageStorage | None) -> None:
    packer = None if storage is None else ImagePacker(storage, 90, 2)
    writer = EpisodeWriter(path, {"task": "be measured", "robot": "fr3"})
    queue = EpisodeQueue(writer, _ROOM, packer)
    for topic, kind, cdr, stamp in given:
        queue.offer(topic, kind, cdr, stamp)
    queue.finish()
    writer.close()
    if packer is not None:
        packer.close()


def _mcap(path: Path, given: Sequence[Message]) -> None:
    with path.open("wb") as stream:
        writer = Writer(stream)
        writer.start(profile="ros2")
        channels: dict[str, int] = {}
        for topic, kind, cdr, stamp in given:
            if topic not in channels:
                schema = writer.register_schema(kind, "ros2msg", schema_text(kind).encode())
                channels[topic] = writer.register_channel(topic, "cdr", schema)
            writer.add_message(channels[topic], stamp, cdr, stamp)
        writer.finish()


def _rosbags(path: Path, given: Sequence[Message]) -> None:
    with BagWriter(path.with_suffix(""), version=9, storage_plugin=StoragePlugin.MCAP) as writer:
        connections: dict[str, Any] = {}
        for topic, kind, cdr, stamp in given:
            if topic not in connections:
                connections[topic] = writer.add_connection(topic, kind, typestore=typestore())
            writer.write(connections[topic], stamp, cdr)
    path.with_suffix("").rename(path)
