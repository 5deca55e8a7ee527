"""What must be known of an ONNX file before a runtime opens it: inputs and outputs, NaN weights, files it points at.

The robot has ONNX Runtime but not the package `onnx`, and ONNX Runtime tells none of this without first following the
file's references. So the few messages of the format that matter are read here, from the file's bytes as they lie on
disk; field numbers are those of ``onnx.proto3``, the encoding is that of protocol buffers.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spark_ros.bundle.damage import Damage

FLOAT, UINT8 = 1, 2  # TensorProto.DataType
_FLOATS = {FLOAT: "<f4", 10: "<f2", 11: "<f8", 16: "bfloat16"}
_MAX_FIELDS = 2_000_000  # twenty times a ViT-L; bounds the time that a hostile file can take
_MAX_DEPTH = 8  # of graphs inside nodes

_Field = tuple[int, int | memoryview]


@dataclass(frozen=True)
class TensorType:
    """An input or output: element type and shape, None where a dimension is free."""

    element: int
    shape: tuple[int | None, ...]


@dataclass
class GraphFacts:
    """What a file says of itself.

    Attributes:
        inputs: By name; initialisers are none.
        outputs: By name.
        external: Files that hold weights, as the graph names them.
    """

    inputs: dict[str, TensorType] = field(default_factory=dict)
    outputs: dict[str, TensorType] = field(default_factory=dict)
    external: set[str] = field(default_factory=set)


def scan_onnx(path: Path) -> GraphFacts:
    """Read an ONNX file without running or following anything.

    Raises:
        Damage: It is no ONNX file, or has NaN among its weights.
        OSError: It cannot be read.
    """
    scan = _Scan()
    try:
        scan.model(view_of(path))
    except Damage:
        raise
    except (ValueError, RecursionError) as error:
        raise Damage(f"is no readable ONNX graph ({error})") from None
    return scan.facts


def view_of(path: Path) -> memoryview:
    """A file's bytes, read as they are looked at.

    Raises:
        Damage: There are none.
        OSError: It cannot be read.
    """
    if path.stat().st_size == 0:
        raise Damage("is empty")
    return np.memmap(path, np.uint8, "r").data


class _Scan:
    """One pass over a model."""

    def __init__(self) -> None:
        self.facts = GraphFacts()
        self._fields = 0

    def model(self, data: memoryview) -> None:
        graphs = 0
        for number, value in self._read(data):
            if number == 7:
                graphs += 1
                self._graph(_bytes(value), 0, main=True)
            elif number == 25:  # functions
                for inner, node in self._read(_bytes(value)):
                    if inner == 7:
                        self._node(_bytes(node), 0)
        if graphs != 1:
            raise ValueError(f"it holds {graphs} graphs")

    def _graph(self, data: memoryview, depth: int, main: bool = False) -> None:
        if depth > _MAX_DEPTH:
            raise ValueError(f"graphs nested deeper than {_MAX_DEPTH}")
        constants = set()
        for number, value in self._read(data):
            if number == 1:
                self._node(_bytes(value), depth)
            elif number == 5:
                constants.add(self._tensor(_bytes(value)))
            elif number == 15:
                self._sparse(_bytes(value))
            elif main and number in (11, 12):
                name, kind = self._declared(_bytes(value))
                (self.facts.inputs if number == 11 else self.facts.outputs)[name] = kind
        if main:
            for name in constants & set(self.facts.inputs):
                del self.facts.inputs[name]

    def _node(self, data: memoryview, depth: int) -> None:
        for number, value in self._read(data):
            if number != 5:
                continue
            for inner, content in self._read(_bytes(value)):
                if inner in (5, 10):
                    self._tensor(_bytes(content))
                elif inner in (6, 11):
                    self._graph(_bytes(content), depth + 1)
                elif inner in (22, 23):
                    self._sparse(_bytes(content))

    def _sparse(self, data: memoryview) -> None:
        for number, value in self._read(data):
            if number == 1:
                self._tensor(_bytes(value))

    def _tensor(self, data: memoryview) -> str:
        """Looks at the weights; gives the tensor's name."""
        kind, name = 0, ""
        values: list[tuple[int, memoryview]] = []
        for number, value in self._read(data):
            if number == 2:
                kind = _int(value)
            elif number == 8:
                name = _text(value)
            elif number == 13:
                self._external(_bytes(value))
            elif number in (4, 5, 9, 10) and not isinstance(value, int):
                values.append((number, value))
        if kind in _FLOATS and any(_has_nan(number, kind, view) for number, view in values):
            raise Damage(f"has NaN among the weights {name[:100]!r}: export it again from healthy weights")
        return name

    def _external(self, data: memoryview) -> None:
        entry = {number: _text(value) for number, value in self._read(data) if number in (1, 2)}
        if entry.get(1) == "location":
            self.facts.external.add(entry.get(2, ""))

    def _declared(self, data: memoryview) -> tuple[str, TensorType]:
        """A ValueInfoProto."""
        name, element, shape = "", 0, []
        for number, value in self._read(data):
            if number == 1:
                name = _text(value)
            elif number == 2:
                for _, tensor in (found for found in self._read(_bytes(value)) if found[0] == 1):
                    for part, content in self._read(_bytes(tensor)):
                        if part == 1:
                            element = _int(content)
                        elif part == 2:
                            sizes = [dict(self._read(_bytes(d))) for n, d in self._read(_bytes(content)) if n == 1]
                            shape = [_int(size[1]) if 1 in size else None for size in sizes]
        return name, TensorType(element, tuple(shape))

    def _read(self, data: memoryview) -> Iterator[_Field]:
        """The fields of one message, numbers as ints and the rest as views."""
        at, end = 0, len(data)
        while at < end:
            self._fields += 1
            if self._fields > _MAX_FIELDS:
                raise ValueError(f"it has more than {_MAX_FIELDS} fields")
            key, at = _varint(data, at)
            number, wire = key >> 3, key & 7
            if wire == 0:
                value, at = _varint(data, at)
                yield number, value
                continue
            if wire == 2:
                size, at = _varint(data, at)
            elif wire in (1, 5):
                size = 8 if wire == 1 else 4
            else:
                raise ValueError(f"a field of the unknown kind {wire}")
            if size > end - at:
                raise ValueError(f"a field claims {size} bytes where {end - at} are left")
            yield number, data[at : at + size]
            at += size


def _varint(data: memoryview, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise ValueError("it ends within a number")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise ValueError("a number of more than ten bytes")


def _bytes(value: int | memoryview) -> memoryview:
    if isinstance(value, int):
        raise ValueError("a number where a message was expected")
    return value


def _int(value: int | memoryview) -> int:
    if not isinstance(value, int):
        raise ValueError("a message where a number was expected")
    return value


def _text(value: int | memoryview) -> str:
    return str(_bytes(value)[:4096], "utf-8", "replace")


def _has_nan(number: int, kind: int, view: memoryview) -> bool:
    """Whether a float tensor's field has NaN: raw_data, float_data, double_data, or int32_data with 16-bit floats."""
    if number == 9:
        return any_nan(view, _FLOATS[kind])
    if number == 4:
        return any_nan(view, "<f4")
    if number == 10:
        return any_nan(view, "<f8")
    if len(view) == 0 or kind not in (10, 16):
        return False
    return any_nan(memoryview(_packed_varints(view).astype("<u2").tobytes()), _FLOATS[kind])


def any_nan(view: memoryview, dtype: str) -> bool:
    """Whether little-endian floats have NaN; ``bfloat16`` is known beside numpy's types.

    Raises:
        ValueError: The bytes are no whole number of values.
    """
    if len(view) == 0:
        return False
    if dtype == "bfloat16":
        return bool((np.frombuffer(view, "<u2") & 0x7FFF > 0x7F80).any())
    values = np.frombuffer(view, dtype)
    step = 1 << 20  # what is made beside the file stays in the processor's cache
    return any(bool(np.isnan(values[at : at + step]).any()) for at in range(0, len(values), step))


def _packed_varints(view: memoryview) -> NDArray[np.uint64]:
    data = np.frombuffer(view, np.uint8)
    ends = np.flatnonzero(data < 0x80)
    if len(ends) == 0 or ends[-1] != len(data) - 1:
        raise ValueError("it ends within a number")
    starts = np.concatenate([[0], ends[:-1] + 1])
    place = np.arange(len(data)) - np.repeat(starts, ends - starts + 1)
    if place.max() > 9:
        raise ValueError("a number of more than ten bytes")
    return np.add.reduceat((data & 0x7F).astype(np.uint64) << (7 * place).astype(np.uint64), starts)
