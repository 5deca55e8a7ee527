"""Compiled modules are those of the sources beside them, and compute the same."""

import hashlib
import json
import shutil
import subprocess
import sys
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

import numpy as np
import pytest

from benchmarks.limits.streams import Stream
from spark_ros import compiled
from spark_ros.control import limiter
from spark_ros.control.config import GatewayConfig
from spark_ros.robots.spec import load_robot

ROOT = Path(__file__).resolve().parents[2]
STEPS = 200


def streams():
    """What an FR3 and a UR5e are told, (T, J) each, by streams that go for every limit."""
    told = []
    for seed in range(4):
        config = GatewayConfig(acceleration_scale=[1.0, 0.1][seed % 2])
        run = Stream(load_robot(["fr3", "ur5e"][seed // 2]), config, np.random.default_rng([5, seed])).run(STEPS)
        told += [run.position, run.velocity]
    return told


@pytest.mark.skipif(not shutil.which("cc") and not shutil.which("gcc"), reason="needs a C compiler")
def test_here_the_limiter_is_compiled():
    typed = sorted(f"{path.parent.name}/{path.stem}" for path in (ROOT / "spark_ros").glob("*/*.pxd"))
    assert compiled.compiled_modules() == typed
    assert Path(limiter.__file__).name.endswith(tuple(EXTENSION_SUFFIXES))


def test_uncompiled_it_says_the_same_to_the_last_bit(tmp_path):
    code = f"""
from benchmarks.limits.uncompiled import prefer_sources
prefer_sources()
import numpy as np
from spark_ros.control import limiter
from tests.unit.test_compiled import streams
assert limiter.__file__.endswith(".py"), limiter.__file__
np.savez({str(tmp_path / "told.npz")!r}, *streams())
"""
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stderr[-2000:]
    with np.load(tmp_path / "told.npz") as uncompiled:
        for values, expected in zip(streams(), (uncompiled[name] for name in uncompiled.files), strict=True):
            np.testing.assert_array_equal(values, expected)


@pytest.fixture
def package(tmp_path):
    """A package with one compiled module, and the record of its sources."""
    room = tmp_path / "room"
    room.mkdir()
    record = {}
    for name in ("law.py", "law.pxd"):
        (room / name).write_text(f"# {name}\n")
        record[f"room/{name}"] = hashlib.sha256((room / name).read_bytes()).hexdigest()
    (room / f"law{EXTENSION_SUFFIXES[0]}").write_bytes(b"compiled")
    (tmp_path / compiled.RECORD).write_text(json.dumps(record))
    return tmp_path


def test_modules_of_unchanged_sources_are_taken(package):
    assert compiled.compiled_modules(package) == ["room/law"]
    compiled.refuse_stale(package)


@pytest.mark.parametrize("source", ["law.py", "law.pxd"])
def test_a_source_that_changed_since_is_refused(package, source):
    (package / "room" / source).write_text("# faster\n")
    with pytest.raises(ImportError, match=rf"{source} is not what its compiled module was made from: compile it"):
        compiled.refuse_stale(package)


@pytest.mark.parametrize("record", [None, "{", "{}"])
def test_without_a_record_nobody_knows(package, record):
    (package / compiled.RECORD).unlink()
    if record is not None:
        (package / compiled.RECORD).write_text(record)
    with pytest.raises(ImportError, match="is not what its compiled module was made from"):
        compiled.refuse_stale(package)


def test_sources_alone_are_run_as_they_are(package):
    next((package / "room").glob("law.*.so")).unlink()
    (package / "room" / "law.py").write_text("# faster\n")
    compiled.refuse_stale(package)


def test_an_installation_without_sources_has_nothing_to_compare(package):
    for name in ("law.py", "law.pxd"):
        (package / "room" / name).unlink()
    compiled.refuse_stale(package)
