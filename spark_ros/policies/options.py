"""Strict reading of nested options: a misspelt key must stop a run, not silently train something else."""

from __future__ import annotations

import difflib
import types
import typing
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from enum import Enum
from typing import Any, TypeVar

from spark_ros.contracts import SparkError

Options = TypeVar("Options")


def read_options(cls: type[Options], values: Mapping[str, Any], where: str = "") -> Options:
    """Build a dataclass from a mapping, nested dataclasses included.

    Args:
        cls: The dataclass; its field types are checked (int, float, bool, str, enums, tuples, ``X | None``, mappings,
            dataclasses), an int is accepted for a float.
        values: Field values; fields that are left out keep their defaults.
        where: Dotted path of `values` in the user's file, for messages.

    Raises:
        SparkError: A key is unknown, a required one is missing, or a value has the wrong type.
    """
    if not isinstance(values, Mapping):
        raise SparkError(f"{where or 'the configuration'} is {values!r}, expected a mapping of options")
    known = {field.name: field for field in fields(cls)}  # type: ignore[arg-type]
    types_of = typing.get_type_hints(cls)
    read: dict[str, Any] = {}
    for key, value in values.items():
        path = _join(where, str(key))
        if key not in known:
            raise SparkError(f"unknown option {path}: {_suggestion(str(key), list(known))}")
        read[key] = _coerce(types_of[key], value, path)
    required = {name for name, field in known.items() if field.default is MISSING and field.default_factory is MISSING}
    missing = sorted(required - set(read))
    if missing:
        raise SparkError(f"option {_join(where, missing[0])} is missing: set it in the file or as {missing[0]}=VALUE")
    return cls(**read)


def write_options(options: Any) -> Any:
    """The inverse of `read_options`: plain dicts, lists, numbers and strings for YAML or JSON."""
    if is_dataclass(options) and not isinstance(options, type):
        return {field.name: write_options(getattr(options, field.name)) for field in fields(options)}
    if isinstance(options, Enum):
        return options.value
    if isinstance(options, Mapping):
        return {key: write_options(value) for key, value in options.items()}
    if isinstance(options, (tuple, list)):
        return [write_options(value) for value in options]
    return options


def _coerce(kind: Any, value: Any, path: str) -> Any:
    origin, arguments = typing.get_origin(kind), typing.get_args(kind)
    if kind is Any:
        return value
    if origin in (typing.Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _coerce(next(argument for argument in arguments if argument is not type(None)), value, path)
    if is_dataclass(kind) and isinstance(kind, type):
        return read_options(kind, value, path)
    if origin is tuple and isinstance(value, (list, tuple)):
        return tuple(_coerce(arguments[0], item, f"{path}[{i}]") for i, item in enumerate(value))
    if origin in (dict, Mapping) or (isinstance(origin, type) and issubclass(origin, Mapping)):
        if isinstance(value, Mapping):
            return {key: _coerce(arguments[1], item, _join(path, str(key))) for key, item in value.items()}
    elif isinstance(kind, type) and issubclass(kind, Enum):
        allowed = [member.value for member in kind]
        if value in allowed:
            return kind(value)
        raise SparkError(f"option {path} is {value!r}: expected one of {', '.join(map(str, allowed))}")
    elif kind is float and isinstance(value, (int, float)) and not isinstance(value, bool):
        return float(value)
    elif kind is not float and isinstance(kind, type) and isinstance(value, kind):
        if kind is not int or not isinstance(value, bool):
            return value
    raise SparkError(f"option {path} is {value!r}: expected {_name(kind)}")


def _suggestion(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    return f"did you mean {close[0]}?" if close else f"expected one of {', '.join(known)}"


def _join(where: str, key: str) -> str:
    return f"{where}.{key}" if where else key


def _name(kind: Any) -> str:
    plain = {float: "a number", int: "a whole number", bool: "true or false", str: "text"}
    if typing.get_origin(kind) is tuple:
        return "a list"
    return plain.get(kind, "a mapping")
