"""Policy heads by name. Adding one is one new file and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from spark_ros.contracts import SparkError
from spark_ros.policies.base import Policy, PolicyRecipe
from spark_ros.policies.bn_mlp import BnMlp
from spark_ros.policies.options import read_options
from spark_ros.policies.spatial_mlp import SpatialMlp
from spark_ros.policies.transformer import Transformer

HEADS: dict[str, Callable[[PolicyRecipe], Policy]] = {
    "bn_mlp": BnMlp,
    "spatial_mlp": SpatialMlp,
    "transformer": Transformer,
}


def build_policy(recipe: PolicyRecipe | Mapping[str, Any]) -> Policy:
    """An untrained policy, its weights drawn from torch's global generator.

    Args:
        recipe: The recipe, or the same as a mapping read from JSON (`options.write_options` writes it).

    Raises:
        SparkError: The head is unknown or refuses its options.
    """
    if not isinstance(recipe, PolicyRecipe):
        recipe = read_options(PolicyRecipe, recipe, "policy")
    if recipe.head not in HEADS:
        raise SparkError(f"policy head {recipe.head!r} is unknown: use one of {', '.join(sorted(HEADS))}")
    return HEADS[recipe.head](recipe)
