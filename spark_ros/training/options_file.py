"""A run's options: a YAML file first, then ``key=value`` with dotted keys (``optimiser.batch_size=64``)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import yaml

from spark_ros.contracts import SparkError
from spark_ros.policies.options import read_options

Options = TypeVar("Options")

# Key, value, whether it is in range, and what was expected.
RangeCheck = tuple[str, Any, bool, str]


def load_options(cls: type[Options], path: str | Path | None, overrides: Sequence[str] = ()) -> Options:
    """Read a dataclass of options.

    Args:
        cls: The dataclass, see `policies.options.read_options`.
        path: A YAML file; None to start from the defaults.
        overrides: ``dotted.key=value``; values are read as YAML.

    Raises:
        SparkError: The file is missing or no YAML, a key is unknown, or a value has the wrong type.
    """
    values = _read_yaml(Path(path)) if path is not None else {}
    for override in overrides:
        _set(values, override)
    return read_options(cls, values)


def check_ranges(checks: Iterable[RangeCheck]) -> None:
    """Raises a `SparkError` for the first value that is not in its range."""
    for key, value, valid, expected in checks:
        if not valid:
            raise SparkError(f"option {key} is {value!r}: expected {expected}")


def _read_yaml(path: Path) -> dict[str, Any]:
    try:
        values = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise SparkError(f"no configuration file {path}: give the path of a YAML file") from None
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise SparkError(f"configuration {path} cannot be read as YAML: {' '.join(str(error).split())}") from error
    if not isinstance(values, Mapping):
        raise SparkError(f"configuration {path} holds {type(values).__name__}, expected keys such as out_dir and data")
    return dict(values)


def _set(values: dict[str, Any], override: str) -> None:
    key, separator, text = override.partition("=")
    if not separator or not key:
        raise SparkError(f"override {override!r} is not understood: write key=value, e.g. optimiser.batch_size=64")
    try:
        value = yaml.safe_load(text)
    except yaml.YAMLError:
        raise SparkError(f"override {override!r} has a value that is not YAML: quote it") from None
    *parents, last = key.split(".")
    for parent in parents:
        child = values.setdefault(parent, {})
        if not isinstance(child, dict):
            raise SparkError(f"override {override!r} is not possible: {parent} is a value and holds no {last}")
        values = child
    values[last] = value
