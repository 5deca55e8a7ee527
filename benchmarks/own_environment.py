"""Python environments of other projects, in the cache: what they pin is not ours.

One is created the first time a program here needs it, never by an import. A program in it inherits `clean_variables`
only: the wheels of ROS put their libraries in front of everyone's.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spark_ros.bringup.environment import WHEELS_GUARD
from spark_ros.contracts import SparkError
from spark_ros.shares import cache_dir

_NOT_INHERITED = (WHEELS_GUARD, "LD_LIBRARY_PATH", "PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV")


@dataclass(frozen=True)
class OwnEnvironment:
    """An environment.

    Attributes:
        title: Of the project, for people.
        name: Of the folder.
        requirements: What pip installs.
        without_dependencies: What it installs after that, as it is.
        finish: Called with the folder when all is installed.
    """

    title: str
    name: str
    requirements: Sequence[str]
    without_dependencies: Sequence[str] = ()
    finish: Callable[[Path], None] = lambda folder: None

    @property
    def folder(self) -> Path:
        """Where the environment is, or will be."""
        return cache_dir() / self.name

    def is_created(self) -> bool:
        """Whether it is whole and holds what this version of the program asks for."""
        try:
            return bool(json.loads(self._marker.read_text(encoding="utf-8"))["requirements"] == self._asked)
        except (OSError, ValueError, KeyError, TypeError):
            return False

    def ensure(self) -> Path:
        """The environment's interpreter; creates the environment if there is none, which takes minutes and says so.

        Raises:
            SparkError: It cannot be created.
        """
        with self._alone():
            if not self.is_created():
                self._create()
        return self._python

    @property
    def _python(self) -> Path:
        return self.folder / "bin" / "python"

    @property
    def _marker(self) -> Path:
        return self.folder / "created.json"

    @property
    def _asked(self) -> list[str]:
        return [*self.requirements, *self.without_dependencies]

    def _create(self) -> None:
        title, main = self.title, ", ".join((*self.without_dependencies, *self.requirements)[:3])
        print(f"installing {title} for this benchmark, once, some minutes: {main} into {self.folder}")
        sys.stdout.flush()
        shutil.rmtree(self.folder, ignore_errors=True)
        base = Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}"
        venv = [str(base), "-m", "venv", str(self.folder)]
        _call("make a virtual environment", venv, "is the package python3-venv installed?")
        pip = [str(self._python), "-m", "pip"]
        install, hint = [*pip, "install", "--quiet", "--disable-pip-version-check"], "is the package index reachable?"
        _call(f"install {title}", [*install, *self.requirements], hint)
        if self.without_dependencies:
            _call(f"install {title}", [*install, "--no-deps", *self.without_dependencies], hint)
        self.finish(self.folder)
        freeze = _call("list what was installed", [*pip, "freeze"], "try again")
        marker = {"requirements": self._asked, "installed": freeze.split()}
        self._marker.write_text(
            json.dumps(marker, indent=1) + "\n", encoding="utf-8"
        )  # last: it says that all is there

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """One process at a time: two that install into the same folder leave it broken."""
        cache_dir().mkdir(parents=True, exist_ok=True)
        with (cache_dir() / f"{self.name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def clean_variables() -> dict[str, str]:
    """The environment variables for a program in such an environment."""
    return {name: value for name, value in os.environ.items() if name not in _NOT_INHERITED}


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
