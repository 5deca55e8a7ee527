"""Read an MCAP file front to back, to its end or to the point where it was torn.

The `mcap` package reads a finished file through its index. A file whose writer was killed has none, and a lazy
reader of images wants to know where in the file a message lies; both need this sequential view (MCAP specification:
https://mcap.dev/spec).
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

import zstandard
from mcap.data_stream import ReadDataStream
from mcap.exceptions import McapError
from mcap.opcode import Opcode
from mcap.records import Channel, Chunk, Metadata, Schema
from mcap.stream_reader import get_chunk_data_stream

from spark_ros.contracts import SparkError

MAGIC = b"\x89MCAP0\r\n"
# What decompression, checksums and record parsing raise on damaged bytes (lz4 raises RuntimeError).
DAMAGE = (McapError, zstandard.ZstdError, struct.error, ValueError, KeyError, RuntimeError)
_RECORD_HEAD = struct.Struct("<BQ")  # opcode, length of what follows
_MESSAGE_HEAD = struct.Struct("<HIQQ")  # channel, sequence, log time, publish time


@dataclass(frozen=True)
class Location:
    """Where the bytes of a message are: in the (decompressed) chunk that begins at `chunk`, or in the file itself.

    Attributes:
        chunk: File offset of the chunk's content, or None for a message outside any chunk.
        start: Offset of the message's data.
        size: Its length in bytes.
    """

    chunk: int | None
    start: int
    size: int


@dataclass(frozen=True)
class StoredMessage:
    """One message as it lies in the file.

    Attributes:
        topic: Its topic.
        msg_type: Its type, e.g. ``sensor_msgs/msg/Image``.
        log_time_ns: Time of reception.
        publish_time_ns: Time of publication; here the header's stamp.
        cdr: The message's bytes, valid after iteration has gone on.
        location: Where to find the bytes again.
    """

    topic: str
    msg_type: str
    log_time_ns: int
    publish_time_ns: int
    cdr: memoryview
    location: Location


class McapScan:
    """One pass over a file.

    Args:
        path: The file.

    Attributes:
        metadata: Metadata records met so far, by name; a later record of a name adds to an earlier one.
        complete: After iteration: whether the file ended as a finished file does.
        end_of_data: After iteration: why the pass ended, for a file that is not complete.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._channels: dict[int, Channel] = {}
        self._schemas: dict[int, Schema] = {}
        self.metadata: dict[str, dict[str, str]] = {}
        self.complete = False
        self.end_of_data = ""

    def __iter__(self) -> Iterator[StoredMessage]:
        """Messages in file order.

        Raises:
            SparkError: The file cannot be read or is not MCAP.
        """
        try:
            stream = self._path.open("rb")
        except OSError as error:
            raise SparkError(f"cannot read {self._path}: {error.strerror}") from error
        with stream:
            if stream.read(len(MAGIC)) != MAGIC:
                raise SparkError(
                    f"{self._path} is not an MCAP file: expected an episode written by spark_ros or rosbag2"
                )
            size_of_file = self._path.stat().st_size
            while len(head := stream.read(_RECORD_HEAD.size)) == _RECORD_HEAD.size:
                opcode, size = _RECORD_HEAD.unpack(head)
                start = stream.tell()
                if start + size > size_of_file:  # torn, or a damaged length that must not be allocated
                    break
                content = stream.read(size)
                if opcode == Opcode.FOOTER:
                    self.complete = stream.read(len(MAGIC)) == MAGIC
                    break
                try:
                    if opcode == Opcode.CHUNK:
                        yield from self._records(_decompress(content), start)
                    else:
                        yield from self._record(opcode, memoryview(content), None, start)
                except DAMAGE as error:
                    self.end_of_data = f"its record at byte {start} is damaged ({error})"
                    return
        if not self.complete:
            self.end_of_data = f"it ends at byte {size_of_file} without the closing record"

    def _records(self, records: bytes, chunk: int) -> Iterator[StoredMessage]:
        view, position = memoryview(records), 0
        while position < len(view):
            opcode, size = _RECORD_HEAD.unpack_from(view, position)
            position += _RECORD_HEAD.size
            yield from self._record(opcode, view[position : position + size], chunk, position)
            position += size

    def _record(self, opcode: int, content: memoryview, chunk: int | None, start: int) -> Iterator[StoredMessage]:
        if opcode == Opcode.MESSAGE:
            channel_id, _, log_time, publish_time = _MESSAGE_HEAD.unpack_from(content)
            channel = self._channels[channel_id]
            data = content[_MESSAGE_HEAD.size :]
            location = Location(chunk, start + _MESSAGE_HEAD.size, len(data))
            msg_type = self._schemas[channel.schema_id].name
            yield StoredMessage(channel.topic, msg_type, log_time, publish_time, data, location)
        elif opcode == Opcode.SCHEMA:
            schema = Schema.read(_stream(content))
            self._schemas[schema.id] = schema
        elif opcode == Opcode.CHANNEL:
            channel = Channel.read(_stream(content))
            self._channels[channel.id] = channel
        elif opcode == Opcode.METADATA:
            record = Metadata.read(_stream(content))
            self.metadata.setdefault(record.name, {}).update(record.metadata)


def load_message(path: Path, location: Location) -> memoryview:
    """The bytes of a message that `McapScan` met; the last few chunks stay in memory for its neighbours.

    The file is opened for each chunk, so that any number of episodes can be held without holding file descriptors.

    Raises:
        SparkError: The file has gone or changed.
    """
    try:
        if location.chunk is None:
            with path.open("rb") as stream:
                stream.seek(location.start)
                return memoryview(stream.read(location.size))
        chunk = _load_chunk(path, path.stat().st_mtime_ns, location.chunk)
    except OSError as error:
        raise SparkError(f"cannot read {path}: {error.strerror}") from error
    except DAMAGE as error:
        raise SparkError(f"{path} changed while it was in use ({error}); start again") from error
    return memoryview(chunk)[location.start : location.start + location.size]


@lru_cache(maxsize=16)  # 1 MiB each, unless a single message is larger
def _load_chunk(path: Path, modified_ns: int, start: int) -> bytes:
    with path.open("rb") as stream:
        stream.seek(start - _RECORD_HEAD.size)
        _, size = _RECORD_HEAD.unpack(stream.read(_RECORD_HEAD.size))
        return _decompress(stream.read(size))


def _decompress(content: bytes) -> bytes:
    stream, size = get_chunk_data_stream(Chunk.read(_stream(content)), validate_crc=True)
    return stream.read(size)


def _stream(content: bytes | memoryview) -> ReadDataStream:
    return ReadDataStream(io.BytesIO(content))
