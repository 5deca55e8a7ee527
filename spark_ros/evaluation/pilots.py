"""What drives the arm in an evaluation: the encoder and policy of a bundle, behind two functions.

`torch_pilot` makes the same of a training run, for those who do not want to export first.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from spark_ros.bundle.load import Bundle, load_bundle
from spark_ros.contracts import ActionChunk, Frame, JointState, StateFeatures
from spark_ros.robots.spec import RobotSpec
from spark_ros.runtime.encoder_runtime import EncoderRuntime
from spark_ros.runtime.policy_runtime import PolicyRuntime
from spark_ros.runtime.session import SessionOptions

Encode = Callable[[Frame], StateFeatures]
Act = Callable[[Mapping[str, StateFeatures], JointState], ActionChunk]


@dataclass(frozen=True)
class Pilot:
    """Who drives.

    Attributes:
        id: What results are filed under: another id, another policy.
        description: For the report, by heading.
        robot: The arm it was trained for.
        cameras: What it needs to see.
        task: What it was trained to do, in words.
        rate_hz: How often it wants to be asked.
        encode: A camera frame to its features.
        act: Aligned features and joints to the chunk that follows from them.
    """

    id: str
    description: Mapping[str, str]
    robot: RobotSpec
    cameras: tuple[str, ...]
    task: str
    rate_hz: float
    encode: Encode
    act: Act


def bundle_pilot(path: str | Path, options: SessionOptions | None = None) -> Pilot:
    """The pilot in a bundle, as it would run on the robot.

    Raises:
        SparkError: The bundle is damaged or does not run on this machine.
    """
    bundle = load_bundle(path)
    manifest = bundle.manifest
    options = options or SessionOptions()
    # As the policy node: its few layers gain nothing by 16-bit floats, and the self-test would refuse them.
    encoder, policy = EncoderRuntime(bundle, options), PolicyRuntime(bundle, replace(options, half=False))
    return Pilot(
        manifest.id,
        describe_bundle(bundle),
        bundle.robot,
        tuple(manifest.cameras),
        manifest.task,
        manifest.rate_hz,
        encoder.encode,
        policy.act,
    )


def describe_bundle(bundle: Bundle) -> dict[str, str]:
    """What a reader of a report wants to know of a bundle."""
    manifest, encoder, action = bundle.manifest, bundle.manifest.encoder, bundle.manifest.action
    cameras = ", ".join(f"{name} {entry.size}x{entry.size}" for name, entry in manifest.cameras.items())
    weights = encoder.recipe.get("weights", "")
    return {
        "bundle": manifest.id,
        "exported": f"{manifest.created}, source {manifest.source_commit[:12]}",
        "robot": manifest.robot,
        "cameras": cameras,
        "encoder": f"{encoder.recipe.get('name')} {weights}, {encoder.precision}, {encoder.num_tokens} tokens of "
        f"{encoder.token_dim}, {bundle.encoder_file.stat().st_size / 1e6:.1f} MB",
        "policy": f"{manifest.policy.recipe.get('head')}, {bundle.policy_file.stat().st_size / 1e6:.1f} MB",
        "actions": f"{action.kind.value}, {action.horizon} steps of {action.dt_s} s, asked at {manifest.rate_hz} Hz",
    }
