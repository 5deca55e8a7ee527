"""YAML from a stranger: small, without aliases, without a key twice.

PyYAML's safe loader runs no code, but a page of nested aliases stands for billions of values, and of two equal keys the
last one silently wins.
"""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import yaml

MAX_CHARACTERS = 128 * 1024  # fifty times a manifest of two cameras; read in seconds at worst


class _StrictLoader(yaml.SafeLoader):
    def compose_node(self, parent: yaml.Node | None, index: Any) -> yaml.Node | None:
        if self.check_event(yaml.AliasEvent):
            raise yaml.YAMLError(f"an alias *{self.peek_event().anchor}, which is not allowed here")
        return super().compose_node(parent, index)

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen: set[str] = set()
        for key, _ in node.value:
            if key.tag == "tag:yaml.org,2002:merge":
                raise yaml.YAMLError("a merge key <<, which is not allowed here")
            if key.value in seen:
                raise yaml.YAMLError(f"the key {key.value!r} twice in one place")
            if not isinstance(key, yaml.ScalarNode):
                raise yaml.YAMLError("a key that is a list or a mapping")
            seen.add(key.value)
        return super().construct_mapping(node, deep)


def read_yaml(text: str) -> Any:
    """The value of a YAML document.

    Raises:
        ValueError: It is too long, no YAML, nested too deeply, or uses what is not allowed here; the text says which.
    """
    if len(text) > MAX_CHARACTERS:
        raise ValueError(f"{len(text)} characters, expected at most {MAX_CHARACTERS}")
    try:
        return yaml.load(text, _StrictLoader)
    except yaml.YAMLError as error:
        raise ValueError(" ".join(str(error).split())[:200]) from error
    except RecursionError:
        raise ValueError("values nested too deeply") from None
    except (TypeError, OverflowError, AttributeError, KeyError, IndexError) as error:
        # PyYAML's constructors let these out on scalars that look like dates or numbers and are none.
        raise ValueError(f"a value that cannot be read ({type(error).__name__})") from error
