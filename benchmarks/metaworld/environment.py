"""MetaWorld's own Python environment, in the cache: it pins a MuJoCo that is not ours.

    python -m benchmarks.metaworld.environment

It is created the first time a program here needs it, never by an import. A program in it inherits `clean_variables`
only: the wheels of ROS put their libraries in front of everyone's.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.common import entry
from spark_ros.bringup.environment import WHEELS_GUARD
from spark_ros.contracts import SparkError
from spark_ros.shares import cache_dir

VERSION = "3.1.1"
REQUIREMENTS = (
    f"metaworld=={VERSION}",
    "mujoco==3.3.0",  # what this MetaWorld pins; another one is another physics
    "gymnasium==1.4.0",
    "packaging",  # gymnasium's MuJoCo environments import it without asking for it
    'numpy==2.4.6; python_version >= "3.11"',
    'numpy==2.2.6; python_version < "3.11"',
)
_NOT_INHERITED = (WHEELS_GUARD, "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


def folder() -> Path:
    """Where the environment is, or will be."""
    return cache_dir() / f"metaworld-{VERSION}"


def is_created() -> bool:
    """Whether it is whole and holds what this version of the program asks for."""
    try:
        return bool(json.loads(_marker().read_text(encoding="utf-8"))["requirements"] == list(REQUIREMENTS))
    except (OSError, ValueError, KeyError):
        return False


def ensure() -> Path:
    """The environment's interpreter; creates the environment if there is none, which takes minutes and says so.

    Raises:
        SparkError: It cannot be created.
    """
    python = folder() / "bin" / "python"
    with _alone():
        if not is_created():
            _create(folder(), python)
    return python


def clean_variables() -> dict[str, str]:
    """The environment variables for a program in that environment."""
    return {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}


def _create(where: Path, python: Path) -> None:
    print(f"installing MetaWorld for this benchmark, once, some minutes: {', '.join(REQUIREMENTS[:3])} into {where}")
    sys.stdout.flush()
    shutil.rmtree(where, ignore_errors=True)
    base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
    _call("make a virtual environment", [str(base), "-m", "venv", str(where)], "is the package python3-venv installed?")
    install = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *REQUIREMENTS]
    _call("install MetaWorld", install, "is the package index reachable?")
    freeze = _call("list what was installed", [str(python), "-m", "pip", "freeze"], "try again")
    marker = {"requirements": list(REQUIREMENTS), "installed": freeze.split()}
    _marker().write_text(json.dumps(marker, indent=1) + "\n", encoding="utf-8")  # last: it says that all is there


def _call(what: str, command: list[str], hint: str) -> str:
    try:
        answer = subprocess.run(command, env=clean_variables(), capture_output=True, text=True)
    except OSError as error:
        raise SparkError(f"could not {what}: {error}; {hint}") from error
    if answer.returncode != 0:
        said = [line for line in (answer.stderr + answer.stdout).splitlines() if line.strip()]
        reason = next((line for line in said if line.startswith("ERROR")), said[-1] if said else "no reason given")
        raise SparkError(f"could not {what} ({reason.strip()}); {hint}")
    return answer.stdout


@contextmanager
def _alone() -> Iterator[None]:
    """One process at a time: two that install into the same folder leave it broken."""
    cache_dir().mkdir(parents=True, exist_ok=True)
    with (cache_dir() / f"metaworld-{VERSION}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _marker() -> Path:
    return folder() / "created.json"


def _main() -> None:
    print(f"MetaWorld's interpreter is {ensure()}")


if __name__ == "__main__":
    entry(_main)
