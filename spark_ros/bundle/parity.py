"""How far exported graphs are from the networks that were trained, on real observations."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray

from spark_ros.bundle.precisions import Precision
from spark_ros.contracts import ImageArray, SparkError, TokenArray
from spark_ros.encoders.base import Encoder, normalise_images
from spark_ros.policies.base import Policy

Actions = NDArray[np.float32]


@dataclass(frozen=True)
class Outputs:
    """What networks or graphs make of N observations.

    Attributes:
        tokens: By camera (N, K, D).
        actions: (N, H, A).
    """

    tokens: Mapping[str, TokenArray]
    actions: Actions


@dataclass(frozen=True)
class Parity:
    """The comparison.

    Attributes:
        observations: N.
        token_cosine_mean: Over all tokens.
        token_cosine_p01: 1% quantile.
        token_cosine_min: The worst token.
        token_max_abs_error: Largest difference of a number in a token.
        policy_max_abs_error: Largest difference of an action when both policies get the same tokens.
        action_mean_error: By name, end to end, in the action's unit.
        action_max_error: By name.
        action_mean_error_in_std: Mean over all actions, in standard deviations of the training labels.
    """

    observations: int
    token_cosine_mean: float
    token_cosine_p01: float
    token_cosine_min: float
    token_max_abs_error: float
    policy_max_abs_error: float
    action_mean_error: dict[str, float]
    action_max_error: dict[str, float]
    action_mean_error_in_std: float

    def to_json(self) -> dict[str, Any]:
        """For `json.dump`."""
        return asdict(self)

    def require(self, precision: Precision, name: str) -> None:
        """Let only faithful graphs through.

        Raises:
            SparkError: They are further from the trained networks than the precision allows.
        """
        if not self.token_cosine_mean >= precision.min_mean_cosine:
            raise SparkError(
                f"the {name} encoder's tokens have a mean cosine of {self.token_cosine_mean:.4f} to the trained ones, "
                f"expected at least {precision.min_mean_cosine}: export with precision fp32"
            )
        if not self.action_mean_error_in_std <= precision.max_action_error:
            raise SparkError(
                f"with the {name} encoder the actions are {self.action_mean_error_in_std:.2f} standard deviations off, "
                f"expected at most {precision.max_action_error}: export with precision fp32"
            )


def torch_outputs(
    encoder: Encoder, policy: Policy, images: Mapping[str, ImageArray], proprioception: NDArray[np.float32]
) -> Outputs:
    """What the trained networks give, in float32."""
    with torch.inference_mode():
        tokens = {
            camera: torch.cat([encoder(normalise_images(torch.from_numpy(part))) for part in np.array_split(rows, 8)])
            for camera, rows in images.items()
        }
        actions = policy(torch.stack(list(tokens.values()), dim=1), torch.from_numpy(proprioception))
    return Outputs({camera: rows.numpy() for camera, rows in tokens.items()}, actions.numpy())


def onnx_outputs(
    encoder_file: Path,
    policy_file: Path,
    images: Mapping[str, ImageArray],
    proprioception: NDArray[np.float32],
    half: bool = False,
) -> Outputs:
    """What the exported graphs give, one observation after the other as on the robot.

    Args:
        encoder_file: The encoder's graph.
        policy_file: The policy's graph.
        images: By camera (N, S, S, 3) uint8.
        proprioception: (N, P).
        half: Compute the encoder in the processor's 16-bit floats, which OpenVINO knows.

    Raises:
        SparkError: `half`, and OpenVINO is not installed.
    """
    encode = _in_half(encoder_file) if half else _in_full(encoder_file)
    tokens = {camera: np.concatenate([encode(image[None]) for image in rows]) for camera, rows in images.items()}
    return Outputs(tokens, policy_actions(policy_file, tokens, proprioception))


def policy_actions(policy_file: Path, tokens: Mapping[str, TokenArray], proprioception: NDArray[np.float32]) -> Actions:
    """The policy graph's actions (N, H, A) for tokens (N, K, D) by camera and proprioception (N, P)."""
    policy = _session(policy_file)
    actions = []
    for i, row in enumerate(proprioception):
        inputs = {f"tokens_{camera}": rows[i][None] for camera, rows in tokens.items()}
        actions.append(policy.run(["actions"], {**inputs, "proprioception": row[None]})[0])
    return np.concatenate(actions)


def compare(
    trained: Outputs, exported: Outputs, same_token_actions: Actions, deviation: Actions, names: tuple[str, ...]
) -> Parity:
    """Put both side by side.

    Args:
        trained: Of the trained networks.
        exported: Of the exported graphs.
        same_token_actions: (N, H, A) of the exported policy on the trained encoder's tokens.
        deviation: (H, A) standard deviations of the training labels.
        names: (A) names of the actions.
    """
    ours = np.concatenate(list(exported.tokens.values())).astype(np.float64)
    theirs = np.concatenate(list(trained.tokens.values())).astype(np.float64)
    norms = np.linalg.norm(ours, axis=-1) * np.linalg.norm(theirs, axis=-1)
    cosine = (ours * theirs).sum(axis=-1) / norms
    error = np.abs(exported.actions - trained.actions)
    return Parity(
        observations=len(error),
        token_cosine_mean=float(cosine.mean()),
        token_cosine_p01=float(np.quantile(cosine, 0.01)),
        token_cosine_min=float(cosine.min()),
        token_max_abs_error=float(np.abs(ours - theirs).max()),
        policy_max_abs_error=float(np.abs(same_token_actions - trained.actions).max()),
        action_mean_error=dict(zip(names, error.mean(axis=(0, 1)).tolist(), strict=True)),
        action_max_error=dict(zip(names, error.max(axis=(0, 1)).tolist(), strict=True)),
        action_mean_error_in_std=float((error / deviation).mean()),
    )


def _in_full(file: Path) -> Callable[[ImageArray], TokenArray]:
    session = _session(file)
    return lambda images: session.run(["tokens"], {"images": images})[0]


def _in_half(file: Path) -> Callable[[ImageArray], TokenArray]:
    try:
        import openvino
    except ImportError as error:
        raise SparkError(
            f"16-bit floats are computed by the package openvino, which cannot be imported ({error}): pip install "
            "'spark_ros[openvino]', or export with another precision"
        ) from error
    # By itself it computes in bfloat16 on processors that have it, and in float32 on others.
    compiled = openvino.Core().compile_model(str(file), "CPU")
    return lambda images: np.array(compiled({"images": images})["tokens"])


def _session(file: Path) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(str(file), providers=["CPUExecutionProvider"])
