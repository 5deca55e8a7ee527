"""Write one episode into one MCAP file that any ROS 2 tool opens.

While it grows the file is named ``<name>.mcap.part``; `close` makes it durable and read-only and only then gives it its
name. So a file called ``*.mcap`` is always whole, and whatever kills the recorder costs at most the last second,
because a chunk is handed to the operating system at least once a second, and `sync` puts it on the disk
(`recover_episode` reads a ``.part`` up to its tear).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import datetime, timezone
from pathlib import Path

from mcap.data_stream import RecordBuilder
from mcap.exceptions import McapError
from mcap.reader import make_reader
from mcap.records import ChunkIndex
from mcap.writer import CompressionType, Writer

from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.data.cdr import schema_text
from spark_ros.data.mcap_scan import McapScan

PART_SUFFIX = ".part"
EPISODE_RECORD = "episode"  # metadata record written first: what the recording is of
OUTCOME_RECORD = "outcome"  # metadata record written last: how it ended

_CHUNK_BYTES = 1024 * 1024
_FLUSH_NS = 1_000_000_000
_READ_ONLY = 0o444
_LATCHED = (topics.GATEWAY_MODE, topics.FEATURE_CONTRACT)
_QOS = """- history: keep_last
  depth: 10
  reliability: reliable
  durability: {durability}
  deadline:
    sec: 9223372036
    nsec: 854775807
  lifespan:
    sec: 9223372036
    nsec: 854775807
  liveliness: automatic
  liveliness_lease_duration:
    sec: 9223372036
    nsec: 854775807
  avoid_ros_namespace_conventions: false
"""


class EpisodeWriter:
    """One episode being recorded.

    Used as a context manager it leaves the ``.part`` file in place if the block ends without `close` or `discard`.

    Args:
        path: Name of the finished file, ending in ``.mcap``.
        metadata: ``task`` (the task's text) and ``robot`` are required; ``seed``, ``operator`` and anything else of
            JSON's types are optional. ``created`` is added.

    Attributes:
        path: The finished file's path.
        counts: Messages written so far, by topic.
        metadata: What was given.
        span_ns: First and last stamp of camera images and joint states in nanoseconds; (0, 0) before the first.

    Raises:
        SparkError: The file exists already, cannot be created, or the metadata is incomplete.
    """

    def __init__(self, path: str | Path, metadata: Mapping[str, object]) -> None:
        self.path = Path(path)
        self.part_path = self.path.with_name(self.path.name + PART_SUFFIX)
        self.counts: Counter[str] = Counter()
        self.metadata = dict(metadata)
        self.span_ns = (0, 0)
        self._channels: dict[str, tuple[int, str]] = {}
        self._schemas: dict[str, int] = {}
        self._measures: dict[str, bool] = {}  # whether a topic's stamps say how long the episode is
        self._last_flush_ns: int | None = None
        if missing := [key for key in ("task", "robot") if not metadata.get(key)]:
            raise SparkError(f"an episode needs {' and '.join(missing)} in its metadata, found {sorted(metadata)}")
        if self.path.suffix != ".mcap":
            raise SparkError(f"an episode was to be written to {self.path}, expected a name ending in .mcap")
        if self.path.exists():
            raise SparkError(f"{self.path} exists already and is never overwritten: choose another name")
        with self._disk():
            self._file = _HashedFile(self.part_path)
            self._writer = Writer(self._file, chunk_size=_CHUNK_BYTES, compression=CompressionType.ZSTD)  # type: ignore[arg-type]
            # mcap keeps an object of 0.7 kB for each chunk: 40 MB in half an hour of two cameras.
            self._writer._Writer__chunk_indices = _PackedIndices()  # type: ignore[attr-defined]
            self._writer.start(profile="ros2", library="spark_ros")
            created = datetime.now(timezone.utc).isoformat(timespec="seconds")
            self._writer.add_metadata(EPISODE_RECORD, _as_text({"created": created, **metadata}))
            self._file.flush()

    def write(self, topic: str, msg_type: str, cdr: bytes, log_time_ns: int, publish_time_ns: int) -> None:
        """Append a message.

        Args:
            topic: Its topic.
            msg_type: Its type, e.g. ``sensor_msgs/msg/Image``.
            cdr: Its serialized bytes, as a raw subscription hands them over.
            log_time_ns: When it was received.
            publish_time_ns: Its header's stamp; the time of reception for a type without a header.

        Raises:
            SparkError: The type is unknown, the topic had another type before, a time is negative, or the disk is full.
        """
        with self._disk():
            channel, known_type = self._channels.get(topic) or self._add_channel(topic, msg_type)
            if known_type != msg_type:
                raise SparkError(
                    f"topic {topic} carried {known_type} and now {msg_type}: give one of them another name"
                )
            if log_time_ns < 0 or publish_time_ns < 0:
                raise SparkError(f"topic {topic} carries a stamp before 1970 ({publish_time_ns} ns): check its clock")
            self._writer.add_message(channel, log_time_ns, cdr, publish_time_ns, self.counts[topic])
            self.counts[topic] += 1
            if self._measures[topic]:
                begin, end = self.span_ns
                self.span_ns = min(begin or publish_time_ns, publish_time_ns), max(end, publish_time_ns)
            if self._last_flush_ns is None:
                self._last_flush_ns = log_time_ns
            elif abs(log_time_ns - self._last_flush_ns) >= _FLUSH_NS:
                self._last_flush_ns = log_time_ns
                self._writer.flush()

    def flush(self) -> None:
        """Hand everything written so far to the operating system: a killed process loses none of it.

        Raises:
            SparkError: The disk is full.
        """
        with self._disk():
            self._writer.flush()
            self._file.flush()

    def sync(self) -> None:
        """Wait until everything flushed so far is on the disk: a power cut loses none of it.

        May be called from another thread than the rest, but not after `close` or `discard`.

        Raises:
            SparkError: The disk fails.
        """
        with self._disk():
            os.fdatasync(self._file.fileno())

    def close(self, outcome: Mapping[str, object] | None = None) -> Path:
        """Finish the file: write its index, make it durable and read-only, give it its name.

        Args:
            outcome: How the episode ended, e.g. ``{"success": True}``.

        Returns:
            The finished file.

        Raises:
            SparkError: The disk is full, or what lies on it is not what was written; the ``.part`` file stays.
        """
        with self._disk():
            self._writer.add_metadata(OUTCOME_RECORD, _as_text(outcome or {}))
            self._writer.finish()
            self._file.flush()
            os.fchmod(self._file.fileno(), _READ_ONLY)
            os.fsync(self._file.fileno())
            self._file.close()
            self._check_index()
            os.rename(self.part_path, self.path)
            sync_directory(self.path.parent)
        return self.path

    @property
    def sha256(self) -> str:
        """Hexadecimal SHA-256 of everything that has gone to the file; of the whole file after `close`."""
        return self._file.sha256

    def discard(self) -> None:
        """Throw the recording away."""
        with suppress(OSError):  # a full disk must not keep the file from being thrown away
            self._file.close()
        self.part_path.unlink(missing_ok=True)

    def __enter__(self) -> EpisodeWriter:
        """The writer itself."""
        return self

    def __exit__(self, *_: object) -> None:
        """Leave the ``.part`` file of an unfinished episode on disk, with all that was written in it."""
        if not self._file.closed:
            with self._disk():
                try:
                    self._writer.flush()
                finally:
                    self._file.close()

    def abandon(self) -> None:
        """Leave the ``.part`` file with what could be written in it, for `recover_episode`."""
        with suppress(SparkError, OSError):  # whatever kept it from being closed was said already
            self.__exit__()

    def _check_index(self) -> None:
        """The closed file opens through its index and holds every message that was written."""
        try:
            with self.part_path.open("rb") as stream:
                summary = make_reader(stream).get_summary()
        except McapError as error:
            raise SparkError(f"{self.part_path} cannot be read back ({error}): check the disk") from error
        found = summary.statistics.message_count if summary is not None and summary.statistics is not None else 0
        if found != self.counts.total():
            raise SparkError(f"{self.part_path} holds {found} messages of {self.counts.total()}: check the disk")

    def _add_channel(self, topic: str, msg_type: str) -> tuple[int, str]:
        if msg_type not in self._schemas:
            text = schema_text(msg_type).encode()
            self._schemas[msg_type] = self._writer.register_schema(msg_type, "ros2msg", text)
        qos = _QOS.format(durability="transient_local" if topic in _LATCHED else "volatile")
        channel = self._writer.register_channel(topic, "cdr", self._schemas[msg_type], {"offered_qos_profiles": qos})
        self._channels[topic] = (channel, msg_type)
        self._measures[topic] = topic == topics.JOINT_STATES or topics.camera_of(topic) is not None
        return self._channels[topic]

    @contextmanager
    def _disk(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise SparkError(
                f"cannot write {self.part_path}: {error.strerror}; make room or choose another folder"
            ) from error


def recover_episode(part_path: str | Path) -> Path:
    """Turn the ``.part`` file of a killed recorder into a finished episode that holds all complete chunks.

    The ``.part`` file is removed once the new file is durable. The outcome of the episode is unknown, so its
    ``success`` is not set.

    Returns:
        The finished file, named as the recorder would have named it.

    Raises:
        SparkError: The file is not a ``.part`` file or not one message of it is left.
    """
    part_path = Path(part_path)
    if not part_path.name.endswith(".mcap" + PART_SUFFIX):
        raise SparkError(f"{part_path} is not an unfinished episode: expected a name ending in .mcap{PART_SUFFIX}")
    # Recovered under another name first: being killed here must not touch the only copy.
    rescue = part_path.with_name("recovering_" + part_path.name.removesuffix(PART_SUFFIX))
    rescue.with_name(rescue.name + PART_SUFFIX).unlink(missing_ok=True)
    rescue.unlink(missing_ok=True)
    final = part_path.with_name(part_path.name.removesuffix(PART_SUFFIX))
    if final.exists():
        raise SparkError(f"{final} exists already and is never overwritten: move {part_path.name} elsewhere")
    scan = McapScan(part_path)
    messages = iter(scan)
    first = next(messages, None)
    if first is None or EPISODE_RECORD not in scan.metadata:
        raise SparkError(f"{part_path} holds no complete chunk ({scan.end_of_data}): delete it and record again")
    writer = EpisodeWriter(rescue, scan.metadata[EPISODE_RECORD])
    with writer:
        writer.write(first.topic, first.msg_type, bytes(first.cdr), first.log_time_ns, first.publish_time_ns)
        for message in messages:
            writer.write(
                message.topic, message.msg_type, bytes(message.cdr), message.log_time_ns, message.publish_time_ns
            )
        writer.close({"recovered": True})
    os.rename(rescue, final)
    part_path.unlink()
    sync_directory(final.parent)
    return final


class _PackedIndices:
    """What the writer has to say about its chunks at the file's end, as the bytes it will write: 0.1 kB each."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def append(self, index: ChunkIndex) -> None:
        record = RecordBuilder()
        index.write(record)
        self._bytes += record.end()

    def __iter__(self) -> Iterator[_PackedIndices]:
        yield self  # all at once

    def write(self, builder: RecordBuilder) -> None:
        builder.write(self._bytes)


class _HashedFile:
    """A new file that is only ever appended to; its hash is known when its last byte is."""

    def __init__(self, path: Path) -> None:
        self._stream = path.open("xb")
        self._digest = hashlib.sha256()
        self._size = 0

    @property
    def sha256(self) -> str:
        return self._digest.hexdigest()

    @property
    def closed(self) -> bool:
        return self._stream.closed

    def write(self, data: bytes | memoryview) -> int:
        self._stream.write(data)
        self._digest.update(data)
        self._size += len(data)
        return len(data)

    def tell(self) -> int:
        return self._size

    def flush(self) -> None:
        self._stream.flush()

    def fileno(self) -> int:
        return self._stream.fileno()

    def close(self) -> None:
        self._stream.close()


def sync_directory(directory: Path) -> None:
    """Make a rename inside the directory survive a power cut."""
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _as_text(values: Mapping[str, object]) -> dict[str, str]:
    """MCAP metadata maps strings to strings: texts stay as they are, everything else becomes JSON."""
    return {key: value if isinstance(value, str) else json.dumps(value) for key, value in values.items()}
