"""What a bundle's files may hold: known kinds, no pickles, no NaN weights, and graphs that fit the manifest.

Hashes say that a file is the one that was exported; they say nothing of what somebody exported and sealed.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path

from spark_ros.bundle.damage import Damage
from spark_ros.bundle.manifest import Manifest, inside_the_folder
from spark_ros.bundle.scan_arrays import scan_npz, scan_safetensors
from spark_ros.bundle.scan_onnx import FLOAT, UINT8, GraphFacts, TensorType, scan_onnx
from spark_ros.bundle.strict_yaml import read_yaml
from spark_ros.contracts import SparkError

_MAX_TEXT = 64 * 2**20


def check_contents(folder: Path, manifest: Manifest) -> None:
    """Look into every file of a bundle.

    Raises:
        SparkError: One holds what a bundle may not hold, or a graph takes or gives something else than the manifest
            says.
    """
    graphs: dict[str, GraphFacts] = {}
    for name in manifest.files:
        path = folder / name
        try:
            if path.suffix == ".onnx":
                graphs[name] = scan_onnx(path)
                _check_external(graphs[name], manifest)
            elif path.suffix in _SCANS:
                _SCANS[path.suffix](path)
            else:
                raise Damage(
                    f"is of a kind that bundles do not hold (pickles and checkpoints can run code): expected one of "
                    f".onnx, {', '.join(sorted(_SCANS))}"
                )
        except Damage as error:
            raise SparkError(f"{path} {error}; do not run this bundle, export it again") from error
        except OSError as error:
            raise SparkError(f"{path} cannot be read ({error.strerror}): copy the bundle again") from error
    for file, what in ((manifest.encoder.file, "encoder"), (manifest.policy.file, "policy")):
        if file not in graphs:
            raise SparkError(f"{folder / file} is to be the {what}, expected an ONNX graph: export the bundle again")
    _check_graph(folder / manifest.encoder.file, graphs[manifest.encoder.file], *_encoder_ends(manifest))
    _check_graph(folder / manifest.policy.file, graphs[manifest.policy.file], *_policy_ends(manifest))


def _check_external(facts: GraphFacts, manifest: Manifest) -> None:
    for location in sorted(facts.external):
        try:
            inside_the_folder(location)
        except ValueError:
            raise Damage(f"reads weights from {location[:100]!r}, outside the bundle's folder") from None
        if location not in manifest.files:
            raise Damage(f"reads weights from {location}, which the manifest does not list")


def _scan_json(path: Path) -> None:
    try:
        json.loads(_text(path))
    except (ValueError, RecursionError) as error:
        raise Damage(f"is no readable JSON ({str(error)[:100]})") from None


def _scan_yaml(path: Path) -> None:
    try:
        read_yaml(_text(path))
    except ValueError as error:
        raise Damage(f"is no readable YAML ({error})") from None


def _text(path: Path) -> str:
    if (size := path.stat().st_size) > _MAX_TEXT:
        raise Damage(f"is a text of {size / 1e6:.0f} MB, expected at most {_MAX_TEXT / 1e6:.0f} MB")
    try:
        return path.read_text(encoding="utf-8")
    except UnicodeDecodeError:
        raise Damage("is no UTF-8 text") from None


_SCANS: Mapping[str, Callable[[Path], object]] = {
    ".npz": scan_npz,
    ".safetensors": scan_safetensors,
    ".json": _scan_json,
    ".yaml": _scan_yaml,
    ".txt": _text,
    ".md": _text,
}


def _encoder_ends(manifest: Manifest) -> tuple[dict[str, TensorType], dict[str, TensorType]]:
    encoder = manifest.encoder
    tokens = TensorType(FLOAT, (None, encoder.num_tokens, encoder.token_dim))
    return {"images": TensorType(UINT8, (None, None, None, 3))}, {"tokens": tokens}


def _policy_ends(manifest: Manifest) -> tuple[dict[str, TensorType], dict[str, TensorType]]:
    encoder, action = manifest.encoder, manifest.action
    tokens = TensorType(FLOAT, (1, encoder.num_tokens, encoder.token_dim))
    inputs = {f"tokens_{camera}": tokens for camera in manifest.cameras}
    inputs["proprioception"] = TensorType(FLOAT, (1, len(manifest.proprioception)))
    return inputs, {"actions": TensorType(FLOAT, (1, action.horizon, len(action.names)))}


def _check_graph(
    path: Path, facts: GraphFacts, inputs: Mapping[str, TensorType], outputs: Mapping[str, TensorType]
) -> None:
    """The graph takes and gives what the manifest says; a size that either leaves open fits any."""
    for verb, found, expected in (("takes", facts.inputs, inputs), ("gives", facts.outputs, outputs)):
        if set(found) != set(expected):
            raise SparkError(
                f"{path} {verb} {', '.join(sorted(found))[:300] or 'nothing'}, but the manifest speaks of "
                f"{', '.join(sorted(expected))[:300]}: the bundle was put together wrongly, export it again"
            )
        for name, wanted in expected.items():
            has = found[name]
            sizes = zip(has.shape, wanted.shape, strict=False)
            if (
                has.element != wanted.element
                or len(has.shape) != len(wanted.shape)
                or any(None not in pair and pair[0] != pair[1] for pair in sizes)
            ):
                raise SparkError(
                    f"{path} {verb} {name} as {_shape(has)}, the manifest says {_shape(wanted)}: the bundle was put "
                    "together wrongly, export it again"
                )


def _shape(tensor: TensorType) -> str:
    kind = {FLOAT: "float32", UINT8: "uint8"}.get(tensor.element, f"element type {tensor.element}")
    return f"{kind} ({', '.join('?' if size is None else str(size) for size in tensor.shape)})"
