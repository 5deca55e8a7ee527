"""Two bundles side by side: which entries of the manifest differ, which files, which numbers of the statistics."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from spark_ros.bundle.manifest import Manifest


@dataclass(frozen=True)
class Change:
    """One value that differs; None where a side lacks it.

    Attributes:
        place: Keys joined by dots; a list's number by its name, where names stand beside it.
        left: In the first bundle.
        right: In the second.
    """

    place: str
    left: Any
    right: Any

    def __str__(self) -> str:
        if isinstance(self.left, float) and isinstance(self.right, float):
            return f"{self.place}: {self.left:.6g} -> {self.right:.6g}"
        return f"{self.place}: {_short(self.left)} -> {_short(self.right)}"


@dataclass(frozen=True)
class BundleDiff:
    """What differs.

    Attributes:
        ids: Of both.
        manifest: Entries but id and hashes.
        files: Names with both hashes, shortened.
        statistics: Numbers of the training data's statistics.
        parity: Numbers of the reports of how far each is from its trained networks.
    """

    ids: tuple[str, str]
    manifest: tuple[Change, ...]
    files: tuple[Change, ...]
    statistics: tuple[Change, ...]
    parity: tuple[Change, ...]

    @property
    def same(self) -> bool:
        """Whether both have one id: then nothing but the date of their export may differ."""
        return self.ids[0] == self.ids[1]

    def to_json(self) -> dict[str, Any]:
        """For `json.dump`."""
        return asdict(self) | {"same": self.same}


def diff_bundles(left: tuple[Path, Manifest], right: tuple[Path, Manifest]) -> BundleDiff:
    """Compare two bundles, each as `load.open_files` gives it."""
    manifests = [manifest for _, manifest in (left, right)]
    values = [manifest.model_dump(mode="json", exclude={"id", "files"}) for manifest in manifests]
    hashes = [{name: digest[:12] for name, digest in manifest.files.items()} for manifest in manifests]
    texts = {
        what: [
            json.loads((folder / getattr(manifest, what)).read_text(encoding="utf-8"))
            for folder, manifest in (left, right)
        ]
        for what in ("statistics", "parity")
    }
    return BundleDiff(
        (manifests[0].id, manifests[1].id),
        _changes(values[0], values[1]),
        tuple(
            Change(name, hashes[0].get(name), hashes[1].get(name))
            for name in sorted({*hashes[0], *hashes[1]})
            if hashes[0].get(name) != hashes[1].get(name)
        ),
        _changes(*texts["statistics"]),
        _changes(*texts["parity"]),
    )


def _changes(left: Any, right: Any) -> tuple[Change, ...]:
    ours, theirs = dict(_leaves(left)), dict(_leaves(right))
    places = [*ours, *(place for place in theirs if place not in ours)]
    return tuple(Change(p, ours.get(p), theirs.get(p)) for p in places if ours.get(p) != theirs.get(p))


def _leaves(value: Any, place: str = "", names: list[Any] | None = None) -> Iterator[tuple[str, Any]]:
    """Every number and text with its place; a list beside ``names`` of its length goes by them."""
    if isinstance(value, Mapping):
        given = value.get("names")
        for key, inner in value.items():
            yield from _leaves(inner, f"{place}.{key}" if place else str(key), given if key != "names" else None)
    elif isinstance(value, list):
        named = names if names is not None and len(names) == len(value) else range(len(value))
        for name, inner in zip(named, value, strict=True):
            yield from _leaves(inner, f"{place}[{name}]")
    else:
        yield place, value


def _short(value: Any) -> str:
    return "nothing" if value is None else str(value)[:100]
