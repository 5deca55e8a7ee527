"""Encoders by name. Adding one is one new file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spark_ros.contracts import SparkError
from spark_ros.encoders.base import Encoder
from spark_ros.encoders.frozen import FrozenFeatures
from spark_ros.encoders.spark_encoder import SparkEncoder

ENCODERS: dict[str, Callable[..., Encoder]] = {
    "frozen": FrozenFeatures,
    "spark": SparkEncoder,
}


def build_encoder(recipe: Mapping[str, Any]) -> Encoder:
    """The encoder a recipe describes: ``name`` picks it, everything else is passed to it.

    Raises:
        SparkError: The name is unknown, an option does not exist, or the encoder cannot be built.
    """
    options = dict(recipe)
    name = options.pop("name", None)
    if name not in ENCODERS:
        raise SparkError(f"encoder {name!r} is unknown: use one of {', '.join(sorted(ENCODERS))}")
    try:
        return ENCODERS[name](**options)
    except TypeError as error:
        raise SparkError(f"encoder {name!r} cannot be built from its recipe: {error}") from error
