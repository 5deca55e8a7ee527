"""Damaged and hostile bundles by the thousand: each opens or is refused in one sentence, in bounded time and memory.

    python -m benchmarks.bundle_fuzz [--rounds 2000] [--seed 0] [--quick] [--json] [--save]

A small valid bundle is spoiled again and again: bytes flipped, overwritten, cut out, doubled, cut off; numbers of the
archive's headers and of the manifest replaced by extreme ones. What is spoiled:

- archive: a packed bundle, half of the time with header checksums made right again; then unpacked;
- manifest: the text of bundle.yaml; then parsed;
- entries: single values of a manifest, with the id that belongs to them; then parsed;
- encoder.onnx, policy.onnx, golden.npz, drift.npz, weights.safetensors: sealed again with right hashes, so that the
  readers behind the hashes are what is tried; then opened as a robot does, short of starting a session.

Refused and accepted are both right; anything but a SparkError is a crash, and the program then ends with status 1.
"""

from __future__ import annotations

import json
import random
import resource
import shutil
import sys
import tarfile
import tempfile
import time
import traceback
import warnings
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.common import entry, finish, make_parser, parse
from spark_ros.bundle.archive import pack, unpack
from spark_ros.bundle.drift import CameraDrift, DriftStatistics, write_drift
from spark_ros.bundle.load import load_bundle
from spark_ros.bundle.manifest import MANIFEST_FILE, Manifest, parse_manifest
from spark_ros.contracts import SparkError
from spark_ros.data.file_hash import file_sha256

SEALED = ("encoder.onnx", "policy.onnx", "golden.npz", "drift.npz", "weights.safetensors")
HOSTILE: tuple[Any, ...] = (
    *(None, True, -1, 0, 2**31, 10**30, 1e308, float("nan"), float("inf"), "", "..", "../../etc/passwd", "/dev/zero"),
    *("a" * 5000, "\0", "\ud800", "line\nbreak", [], {}, [[[[]]]], {"names": None}, b"bytes", "2026-13-45"),
)


def main() -> None:
    """Spoils and opens."""
    parser = make_parser(__doc__, "60 rounds")
    parser.add_argument("--rounds", type=int, default=2000, help="of each kind (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="(default: %(default)s)")
    options = parse(parser)
    from tests.unit.bundle.bundle_for_tests import write_bundle  # needs the package onnx, which robots lack

    with tempfile.TemporaryDirectory() as folder:
        measured = fuzz(write_bundle(Path(folder) / "tiny"), 60 if options.quick else options.rounds, options.seed)
    finish(options, "bundle_fuzz", measured, _show)
    if measured["crashed"]:
        sys.exit(1)


def fuzz(bundle: Path, rounds: int, seed: int) -> dict[str, Any]:
    """Spoils copies of a valid bundle, to which files of every kind are added.

    Returns:
        By kind the rounds, how many were refused, accepted, crashed, and the longest processor time in ms; the first
        tracebacks; growth of the process's memory in MB.
    """
    _complete(bundle)
    rng = random.Random(seed)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    kinds: dict[str, dict[str, Any]] = {}
    crashes: list[str] = []
    with tempfile.TemporaryDirectory() as workshop:
        for kind, attempt in _attempts(bundle, Path(workshop)).items():
            row = {"rounds": rounds, "refused": 0, "accepted": 0, "crashed": 0, "worst_ms": 0.0}
            for _ in range(rounds):
                run = attempt(rng)
                started = time.process_time()
                outcome = _outcome(run, crashes)
                row["worst_ms"] = round(max(row["worst_ms"], 1e3 * (time.process_time() - started)), 1)
                row[outcome] += 1
            kinds[kind] = row
    grown = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before
    return {
        "kinds": kinds,
        "crashed": sum(row["crashed"] for row in kinds.values()),
        "crashes": crashes[:5],
        "memory_growth_mb": round(grown / 1024, 1),
    }


Attempt = Callable[[random.Random], Callable[[], object]]


def _attempts(bundle: Path, workshop: Path) -> dict[str, Attempt]:
    """By kind: what spoils a copy and gives the call that must open or refuse it."""
    pack(bundle, workshop / "bundle.tar")
    archive, text = (workshop / "bundle.tar").read_bytes(), (bundle / MANIFEST_FILE).read_bytes()
    values = yaml.safe_load(text)

    def spoil_archive(rng: random.Random) -> Callable[[], object]:
        content = spoil(archive, rng)
        (workshop / "spoilt.tar").write_bytes(with_checksums(content) if rng.random() < 0.5 else content)
        shutil.rmtree(workshop / "out", ignore_errors=True)
        return lambda: unpack(workshop / "spoilt.tar", workshop / "out")

    def spoil_manifest(rng: random.Random) -> Callable[[], object]:
        content = spoil(text, rng).decode("utf-8", "replace")
        return lambda: parse_manifest(content, "bundle.yaml")

    def spoil_entry(rng: random.Random) -> Callable[[], object]:
        spoilt = json.loads(json.dumps(values))
        _replace_leaf(spoilt, rng)
        content = yaml.safe_dump(_with_id(spoilt), allow_unicode=False)
        return lambda: parse_manifest(content, "bundle.yaml")

    def spoil_file(name: str) -> Attempt:
        copy = workshop / name.replace(".", "_")
        shutil.copytree(bundle, copy)
        original = (bundle / name).read_bytes()

        def attempt(rng: random.Random) -> Callable[[], object]:
            (copy / name).write_bytes(spoil(original, rng))
            _seal(copy, values)
            return lambda: _open(copy)

        return attempt

    attempts: dict[str, Attempt] = {"archive": spoil_archive, "manifest": spoil_manifest, "entries": spoil_entry}
    return attempts | {name: spoil_file(name) for name in SEALED}


def _open(folder: Path) -> None:
    bundle = load_bundle(folder)
    bundle.golden()
    bundle.drift()


def spoil(content: bytes, rng: random.Random) -> bytes:
    """One to four random changes of random bytes."""
    data = bytearray(content)
    for _ in range(rng.randint(1, 4)):
        at = rng.randrange(len(data)) if data else 0
        span = rng.choice((1, 2, 4, 8, 64, 512))
        kind = rng.randrange(7)
        if kind == 0 and data:
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 1:
            data[at : at + span] = bytes([rng.choice((0, 0x7F, 0x80, 0xFF, 0x39))]) * span
        elif kind == 2:
            data[at : at + span] = rng.randbytes(span)
        elif kind == 3:
            del data[at : at + span]
        elif kind == 4:
            data[at:at] = data[at : at + span]
        elif kind == 5:
            source = rng.randrange(len(data)) if data else 0
            data[at : at + span] = data[source : source + span]
        else:
            del data[at:]
    return bytes(data)


def with_checksums(content: bytes) -> bytes:
    """An archive whose headers are right again wherever one is thought to be, so that what they claim is believed."""
    data = bytearray(content)
    for at in range(0, len(data) - tarfile.BLOCKSIZE + 1, tarfile.BLOCKSIZE):
        if data[at + 257 : at + 262] == b"ustar":
            data[at + 148 : at + 156] = b" " * 8
            data[at + 148 : at + 156] = b"%06o\0 " % sum(data[at : at + tarfile.BLOCKSIZE])
    return bytes(data)


def _replace_leaf(values: Any, rng: random.Random) -> None:
    """One value somewhere in nested lists and mappings becomes a hostile one, a key disappears, or a new one comes."""
    while True:
        keys = list(values) if isinstance(values, dict) else list(range(len(values)))
        key = rng.choice(keys)
        inner = values[key]
        if not (isinstance(inner, dict | list) and inner and rng.random() < 0.8):
            break
        values = inner
    if rng.random() < 0.2:
        del values[key]
    elif rng.random() < 0.2 and isinstance(values, dict):
        values[str(rng.choice(HOSTILE))[:50]] = inner
    else:
        values[key] = rng.choice(HOSTILE)


def _with_id(values: Any) -> Any:
    """The values with the id that belongs to them, if they are a manifest at all."""
    try:
        return values | {"id": Manifest.model_validate(values).content_id()}
    except ValueError:
        return values


def _seal(folder: Path, values: Mapping[str, Any]) -> None:
    files = {name: file_sha256(folder / name) for name in values["files"]}
    manifest = Manifest.model_validate({**values, "files": files})
    (folder / MANIFEST_FILE).write_text(manifest.model_copy(update={"id": manifest.content_id()}).to_yaml())


def _complete(bundle: Path) -> None:
    """Adds drift statistics and a safetensors file, so that every reader has something to read."""
    values = yaml.safe_load((bundle / MANIFEST_FILE).read_text())
    size = values["encoder"]["token_dim"]
    usual = CameraDrift(np.zeros(size, np.float32), np.eye(size, dtype=np.float32), 1.0)
    write_drift(bundle / "drift.npz", DriftStatistics(dict.fromkeys(values["cameras"], usual), 0.05, 3, 10, 5))
    header = json.dumps({"w": {"dtype": "F32", "shape": [4], "data_offsets": [0, 16]}}).encode()
    content = len(header).to_bytes(8, "little") + header + np.ones(4, np.float32).tobytes()
    (bundle / "weights.safetensors").write_bytes(content)
    values["files"] |= {"drift.npz": "0" * 64, "weights.safetensors": "0" * 64}
    _seal(bundle, values | {"drift": "drift.npz"})


def _outcome(run: Callable[[], object], crashes: list[str]) -> str:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            run()
    except SparkError as error:
        if "\n" not in str(error) and len(str(error)) < 2000:
            return "refused"
        crashes.append(f"not one sentence: {str(error)[:500]!r}")
        return "crashed"
    except Exception:
        crashes.append(traceback.format_exc())
        return "crashed"
    return "accepted"


def _show(measured: Mapping[str, Any]) -> None:
    print(f"{'kind':<22}{'rounds':>8}{'refused':>9}{'accepted':>10}{'crashed':>9}{'worst ms':>10}")
    for kind, row in measured["kinds"].items():
        print(f"{kind:<22}" + "".join(f"{row[key]:>{width}}" for key, width in _COLUMNS.items()))
    print(f"memory grew by {measured['memory_growth_mb']} MB")
    for crash in measured["crashes"]:
        print(crash)


_COLUMNS = {"rounds": 8, "refused": 9, "accepted": 10, "crashed": 9, "worst_ms": 10}


if __name__ == "__main__":
    entry(main)
