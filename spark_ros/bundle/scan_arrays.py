"""Arrays in a file, looked at before they are read: no pickles, no claims beyond the file, no NaN.

numpy and safetensors refuse to run code on their own; what they do not bound is how much a few hundred bytes may claim.
"""

from __future__ import annotations

import json
import math
import tokenize
import zipfile
import zlib
from pathlib import Path
from typing import IO, Any

import numpy as np

from spark_ros.bundle.damage import Damage
from spark_ros.bundle.scan_onnx import any_nan, view_of

MAX_NPZ_BYTES = 512 * 2**20  # unpacked; eight observations of two 1024 px cameras with ViT-L tokens need three quarters
_MAX_TENSORS_HEADER = 16 * 2**20
_FLOATS = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "bfloat16"}
_BYTES = {"BOOL": 1, "U8": 1, "I8": 1, "F8_E4M3": 1, "F8_E5M2": 1, "I16": 2, "U16": 2, "F16": 2, "BF16": 2}
_BYTES |= {"I32": 4, "U32": 4, "F32": 4, "F64": 8, "I64": 8, "U64": 8}

UNREADABLE = (  # what zipfile, zlib and numpy raise over damaged files
    zipfile.BadZipFile,
    zlib.error,
    tokenize.TokenError,
    EOFError,
    ValueError,
    TypeError,
    KeyError,
    SyntaxError,
    RuntimeError,  # an encrypted member, and NotImplementedError: a compression that this Python lacks
    OverflowError,
    MemoryError,
)


def scan_npz(path: Path) -> None:
    """Check the members of an ``.npz`` file by their headers.

    Raises:
        Damage: It is none, holds something else than plain arrays, or claims more than it may.
        OSError: It cannot be read.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            members = archive.infolist()
            names = [member.filename for member in members]
            if len(set(names)) < len(names):
                raise Damage("holds an array twice")
            claimed = sum(member.file_size for member in members)
            if claimed > MAX_NPZ_BYTES:
                raise Damage(f"claims {claimed / 1e9:.1f} GB of arrays, expected at most {MAX_NPZ_BYTES / 1e9:.1f} GB")
            for member in members:
                if not member.filename.endswith(".npy"):
                    raise Damage(f"holds {member.filename[:100]!r}, expected nothing but arrays")
                with archive.open(member) as stream:
                    _check_array(stream, member)
    except Damage:
        raise
    except UNREADABLE as error:
        raise Damage(f"is no readable npz file ({_reason(error)})") from None


def scan_safetensors(path: Path) -> None:
    """Check a ``.safetensors`` file: header, extents, NaN.

    Raises:
        Damage: It is none, contradicts itself, or has NaN.
        OSError: It cannot be read.
    """
    data = view_of(path)
    length = int.from_bytes(data[:8], "little")
    if length > min(_MAX_TENSORS_HEADER, len(data) - 8):
        raise Damage(f"is no readable safetensors file (its header claims {length} bytes)")
    try:
        for name, entry in json.loads(bytes(data[8 : 8 + length])).items():
            if name != "__metadata__":
                _check_tensor(name, entry, data[8 + length :])
    except Damage:
        raise
    except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
        raise Damage(f"is no readable safetensors file ({_reason(error)})") from None


def _check_array(stream: IO[bytes], member: zipfile.ZipInfo) -> None:
    name = repr(member.filename[:100])
    if (version := np.lib.format.read_magic(stream)) != (1, 0):  # what numpy writes for plain arrays
        raise Damage(f"holds {name} in the npy version {version}, expected 1.0")
    shape, _, dtype = np.lib.format.read_array_header_1_0(stream)
    if dtype.hasobject:
        raise Damage(f"holds a pickle in {name}, which could run code: expected plain numbers")
    expected = math.prod(shape) * dtype.itemsize
    if len(shape) > 32 or any(side < 0 for side in shape) or expected != member.file_size - stream.tell():
        raise Damage(f"holds {name}, which does not have the bytes that it claims: it is damaged")


def _check_tensor(name: str, entry: Any, data: memoryview) -> None:
    kind, shape = entry["dtype"], entry["shape"]
    begin, end = entry["data_offsets"]
    if kind not in _BYTES or not all(type(number) is int and number >= 0 for number in (*shape, begin, end)):
        raise ValueError(f"{name[:100]!r} is described wrongly")
    expected = _BYTES[kind] * math.prod(shape)
    if end - begin != expected or end > len(data):
        raise ValueError(f"{name[:100]!r} does not have the bytes that it claims")
    if kind in _FLOATS and any_nan(data[begin:end], _FLOATS[kind]):
        raise Damage(f"has NaN in {name[:100]!r}: make it again from healthy weights")


def _reason(error: BaseException) -> str:
    return " ".join(str(error).split())[:200] or type(error).__name__
