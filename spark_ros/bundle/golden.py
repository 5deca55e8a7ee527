"""Recorded inputs and the outputs they must give: how a session proves itself before it may move anything.

The chain is recorded link by link, so a failure names the link: images to tokens (encoder session), joints to
proprioception (kinematics), tokens and proprioception to actions (policy session), actions to chunk (kinematics).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spark_ros.bundle.manifest import Manifest
from spark_ros.bundle.scan_arrays import UNREADABLE, scan_npz
from spark_ros.contracts import FloatArray, ImageArray, SparkError, TokenArray


@dataclass(frozen=True)
class Golden:
    """N recorded observations and what became of them.

    Attributes:
        images: By camera (N, S, S, 3) uint8, already brought to the encoder's size.
        tokens: By camera (N, K, D) float32.
        joint_names: Arm and finger joints.
        joint_position: (N, J') rad, or m for fingers.
        proprioception: (N, P) float32.
        actions: (N, H, A) float32.
        chunk_values: (N, H, J) or (N, H, 7), see `contracts.ActionChunk`.
        chunk_width: (N, H) m.
    """

    images: Mapping[str, ImageArray]
    tokens: Mapping[str, TokenArray]
    joint_names: tuple[str, ...]
    joint_position: FloatArray
    proprioception: NDArray[np.float32]
    actions: NDArray[np.float32]
    chunk_values: FloatArray
    chunk_width: FloatArray


_PLAIN = ("joint_position", "proprioception", "actions", "chunk_values", "chunk_width")


def write_golden(path: Path, golden: Golden) -> None:
    """Write a compressed ``.npz`` of plain arrays."""
    arrays: dict[str, NDArray[np.generic]] = {name: getattr(golden, name) for name in _PLAIN}
    arrays["joint_names"] = np.array(golden.joint_names)
    for camera in golden.images:
        arrays[f"images/{camera}"] = golden.images[camera]
        arrays[f"tokens/{camera}"] = golden.tokens[camera]
    with path.open("wb") as file:
        np.savez_compressed(file, **arrays)  # type: ignore[arg-type]


def read_golden(path: Path, manifest: Manifest) -> Golden:
    """The inverse of `write_golden`; nothing in the file is ever executed, and no more is read than a bundle needs.

    Raises:
        SparkError: An array is missing, has another shape than the manifest says or is not finite, or the file is
            damaged.
    """
    cameras = tuple(manifest.cameras)
    try:
        scan_npz(path)
        with np.load(path, allow_pickle=False) as file:
            golden = Golden(
                {camera: file[f"images/{camera}"] for camera in cameras},
                {camera: file[f"tokens/{camera}"] for camera in cameras},
                tuple(str(name) for name in file["joint_names"]),
                **{name: file[name] for name in _PLAIN},
            )
        _check_shapes(golden, manifest)
    except (*UNREADABLE, OSError) as error:
        reason = " ".join(str(error).split())[:200] or type(error).__name__
        raise SparkError(f"{path} is not a readable self-test ({reason}): export the bundle again") from error
    return golden


def _check_shapes(golden: Golden, manifest: Manifest) -> None:
    count, encoder, action = len(np.atleast_1d(golden.actions)), manifest.encoder, manifest.action
    if count == 0:
        raise ValueError("it records nothing")
    steps = (count, action.horizon)
    tokens = (count, encoder.num_tokens, encoder.token_dim)
    expected: list[tuple[str, NDArray[np.generic], type, tuple[int, ...]]] = [
        ("joint_position", golden.joint_position, np.floating, (count, len(golden.joint_names))),
        ("proprioception", golden.proprioception, np.float32, (count, len(manifest.proprioception))),
        ("actions", golden.actions, np.float32, (*steps, len(action.names))),
        ("chunk_values", golden.chunk_values, np.floating, (*steps, *golden.chunk_values.shape[2:3])),
        ("chunk_width", golden.chunk_width, np.floating, steps),
    ]
    for camera, entry in manifest.cameras.items():
        image = (count, entry.size, entry.size, 3)
        expected.append((f"images/{camera}", golden.images[camera], np.uint8, image))
        expected.append((f"tokens/{camera}", golden.tokens[camera], np.float32, tokens))
    for name, array, kind, shape in expected:
        if not np.issubdtype(array.dtype, kind) or array.shape != shape:
            raise ValueError(f"{name} is {array.dtype} {array.shape}, expected {kind.__name__} {shape}")
        if not np.isfinite(array).all():
            raise ValueError(f"{name} is not finite")
