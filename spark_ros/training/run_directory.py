"""What every training run leaves behind: one process at a time, one configuration and one set of data for its life.

<out_dir>/config.yaml    the configuration, complete
          run.json       what the data and the model turned out to be
          metrics.csv    one row per validation
          curves.png     the same as a picture
          checkpoints/*.safetensors
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

import yaml

from spark_ros.contracts import SparkError
from spark_ros.policies.options import read_options, write_options

Info = TypeVar("Info")

# What may differ between two sessions of one run: where things lie and on what they are computed.
NOT_PART_OF_THE_RUN = ("out_dir", "cache_dir", "threads", "workers", "device")


class RunDirectory:
    """The files of a run.

    Args:
        path: The run's `out_dir`; made by `owned`.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self.info = self.path / "run.json"
        self.metrics = self.path / "metrics.csv"
        self.curves = self.path / "curves.png"

    def checkpoint(self, which: str) -> Path:
        """``checkpoints/<which>.safetensors``."""
        return self.path / "checkpoints" / f"{which}.safetensors"

    @contextmanager
    def owned(self) -> Iterator[None]:
        """Be the only process that trains here while the block runs.

        Raises:
            SparkError: Another process trains here, or the directory cannot be made.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise SparkError(f"cannot train into {self.path}: {error.strerror}; choose another out_dir") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise SparkError(
                    f"another process is training in {self.path}: wait, or choose another out_dir"
                ) from None
            yield
        finally:
            os.close(descriptor)

    def check_config(self, config: Any) -> None:
        """Keep the configuration, a dataclass, with the run, or make sure that it is the one kept there.

        Before the first checkpoint there is nothing to continue, so a mistake in the first command can be corrected.

        Raises:
            SparkError: The run was started with another one.
        """
        path = self.path / "config.yaml"
        wanted = write_options(config)
        if not self._begun or not path.exists():
            self._write(path, yaml.safe_dump(wanted, sort_keys=False))
            return
        try:
            kept = yaml.safe_load(path.read_text(encoding="utf-8"))
        except yaml.YAMLError as error:
            raise SparkError(f"{path} is damaged: choose another out_dir") from error
        self._compare(path, "config", _part_of_run(kept), _part_of_run(wanted))

    def check_info(self, info: Any) -> None:
        """As `check_config`, for what the data and the model turned out to be."""
        if not self._begun or not self.info.exists():
            self.write_json(self.info.name, write_options(info))
            return
        self._compare(self.info, "data", write_options(self.read_info(type(info))), write_options(info))

    def read_info(self, kind: type[Info]) -> Info:
        """What `check_info` kept.

        Raises:
            SparkError: There is none, or it is damaged or of another kind of run.
        """
        if not self.info.is_file():
            raise SparkError(f"{self.path} holds no training run (no run.json): give the out_dir of `spark-ros train`")
        try:
            return read_options(kind, json.loads(self.info.read_text(encoding="utf-8")), "run")
        except ValueError as error:
            raise SparkError(f"{self.info} is damaged ({error}): train again") from error

    def write_json(self, name: str, values: Any) -> None:
        """A file for people and other programs, whole or not at all."""
        self._write(self.path / name, json.dumps(values, indent=1) + "\n")

    @property
    def _begun(self) -> bool:
        return self.checkpoint("last").exists()

    def _compare(self, path: Path, what: str, kept: Any, wanted: Any) -> None:
        difference = _first_difference(kept, wanted, "")
        if difference is not None:
            key, before, now = difference
            raise SparkError(
                f"{path} was made with {key}={before}, this run has {now}: continue it with the same {what}, "
                "or choose another out_dir"
            )

    def _write(self, path: Path, text: str) -> None:
        temporary = path.with_name(path.name + ".part")
        try:
            temporary.write_text(text, encoding="utf-8")
            os.replace(temporary, path)
        except OSError as error:
            raise SparkError(f"cannot write {path}: {error.strerror}; make room or choose another out_dir") from error


def _part_of_run(config: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key not in NOT_PART_OF_THE_RUN}


def _first_difference(kept: Any, wanted: Any, key: str) -> tuple[str, str, str] | None:
    if isinstance(kept, dict) and isinstance(wanted, dict):
        for name in [*kept, *(name for name in wanted if name not in kept)]:
            below = f"{key}.{name}" if key else name
            found = _first_difference(kept.get(name, "nothing"), wanted.get(name, "nothing"), below)
            if found is not None:
                return found
        return None
    if isinstance(kept, list) and isinstance(wanted, list) and len(kept) != len(wanted):
        return f"number of {key}", str(len(kept)), str(len(wanted))
    if isinstance(kept, list) and isinstance(wanted, list):
        pairs = (_first_difference(a, b, f"{key}[{i}]") for i, (a, b) in enumerate(zip(kept, wanted, strict=True)))
        return next((pair for pair in pairs if pair is not None), None)
    return None if kept == wanted else (key, str(kept), str(wanted))
