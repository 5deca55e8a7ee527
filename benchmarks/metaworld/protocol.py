"""Messages between a program and the MetaWorld worker: a JSON object and arrays, each way one at a time.

On the wire: two big-endian uint32, the lengths of what follows; the object in UTF-8; the arrays' bytes in C order. The
object's ``arrays`` says their names, types and shapes. Needs NumPy alone, since both environments read this file.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, BinaryIO

import numpy as np

_LENGTHS = struct.Struct(">II")


@dataclass(frozen=True)
class Message:
    """One message.

    Attributes:
        fields: JSON-able.
        arrays: By name.
    """

    fields: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray] = field(default_factory=dict)


def write(stream: BinaryIO, message: Message) -> None:
    """Sends a message.

    Raises:
        OSError: Nobody reads any more.
    """
    arrays = {name: np.ascontiguousarray(value) for name, value in message.arrays.items()}
    layout = [[name, value.dtype.str, list(value.shape)] for name, value in arrays.items()]
    header = json.dumps({**message.fields, "arrays": layout}).encode()
    stream.write(_LENGTHS.pack(len(header), sum(value.nbytes for value in arrays.values())) + header)
    for value in arrays.values():
        stream.write(value.tobytes())
    stream.flush()


def read(stream: BinaryIO) -> Message | None:
    """The next message; None when the other side has ended, in the middle of a message or not."""
    lengths = _exactly(stream, _LENGTHS.size)
    if lengths is None:
        return None
    header_bytes, array_bytes = _LENGTHS.unpack(lengths)
    header, body = _exactly(stream, header_bytes), _exactly(stream, array_bytes)
    if header is None or body is None:
        return None
    fields = json.loads(header)
    arrays, start = {}, 0
    for name, kind, shape in fields.pop("arrays"):
        count = int(np.prod(shape, dtype=np.int64))
        arrays[name] = np.frombuffer(body, np.dtype(kind), count, start).reshape(shape)
        start += arrays[name].nbytes
    return Message(fields, arrays)


def _exactly(stream: BinaryIO, count: int) -> bytes | None:
    parts = []
    while count:
        part = stream.read(count)
        if not part:
            return None
        parts.append(part)
        count -= len(part)
    return b"".join(parts)
