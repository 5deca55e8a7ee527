"""Drift statistics from demonstrations, with limits that keep a stated rate of false alarms.

Some episodes give mean and covariance; the others, held out, give the limits. Of each held-out episode counts what it
would take to raise an alarm: the highest level that its score keeps for as many observations in a row as an alarm
takes. A limit at the k-th smallest of n such levels is exceeded by a further episode of the same kind with probability
1 - k / (n + 1) at most, whatever the distribution (split conformal prediction, Vovk et al. 2005). Frames of one episode
are alike, so counting frames instead would promise far too much.
"""

from __future__ import annotations

import math
import os
from collections.abc import Collection, Iterator, Mapping, Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from spark_ros.bundle.drift import CameraDrift, DriftStatistics, write_drift
from spark_ros.bundle.load import Bundle, load_bundle
from spark_ros.bundle.manifest import MANIFEST_FILE
from spark_ros.contracts import FloatArray, SparkError, TokenArray
from spark_ros.data.align import DEFAULT_TOLERANCE_S, align_stamps
from spark_ros.data.dataset_folder import DemoFolder, EpisodeEntry
from spark_ros.data.file_hash import file_sha256

FALSE_ALARM_RATE = 0.05  # of episodes: the lowest that the usual 60 demonstrations can promise
ALARM_AFTER = 3  # observations, as the gateway's `drift_reports`: one alone may be an outlier
FEWEST_EPISODES = 12
FIT_OBSERVATIONS = 1500  # at most: neighbouring frames are alike, more cost seconds of encoding and change little

Episode = Mapping[str, TokenArray]
"""Tokens (T, K, D) by camera, observation by observation."""


def add_drift(
    bundle: Bundle, demos: str | Path, false_alarm_rate: float = FALSE_ALARM_RATE, only: Collection[str] | None = None
) -> Bundle:
    """Give a bundle statistics of its encoder's tokens on demonstrations, or replace the ones it has.

    The graphs stay as they are; the bundle's id changes with its content.

    Args:
        bundle: The bundle; its folder must be writable.
        demos: Folder of demonstrations in the scene that the policy was trained for, seen by its cameras.
        false_alarm_rate: Part of nominal episodes, 0 to 1, that may raise an alarm.
        only: SHA-256 of the episodes to use; None for all of the folder.

    Raises:
        SparkError: There are too few demonstrations, a camera was not recorded, or the folder cannot be written.
    """
    folder = DemoFolder(demos)
    fit, held_out = split([entry for entry in folder.episodes() if only is None or entry.sha256 in only])
    every = math.ceil(sum(entry.frames for entry in fit) / FIT_OBSERVATIONS)
    statistics = fit_drift(
        list(_encoded(bundle, folder, fit, every)), list(_encoded(bundle, folder, held_out, 1)), false_alarm_rate
    )
    return store_drift(bundle, statistics)


def store_drift(bundle: Bundle, statistics: DriftStatistics) -> Bundle:
    """The same bundle with these statistics; whoever is killed here leaves the one or the other.

    Raises:
        SparkError: The folder cannot be written.
    """
    manifest, part = bundle.manifest, bundle.folder / "drift.part"
    try:
        write_drift(part, statistics)
        digest = file_sha256(part)
        name = f"drift-{digest[:8]}.npz"  # of its own, since the present manifest may list an earlier one
        os.replace(part, bundle.folder / name)
        files = {file: known for file, known in manifest.files.items() if file != manifest.drift} | {name: digest}
        manifest = manifest.model_copy(update={"drift": name, "files": dict(sorted(files.items()))})
        manifest = manifest.model_copy(update={"id": manifest.content_id()})
        part.write_text(manifest.to_yaml(), encoding="utf-8")
        os.replace(part, bundle.folder / MANIFEST_FILE)
        if bundle.manifest.drift not in (None, name):
            (bundle.folder / str(bundle.manifest.drift)).unlink()
    except OSError as error:
        raise SparkError(
            f"cannot write into {bundle.folder} ({error.strerror}): copy the bundle to a folder of yours"
        ) from error
    return load_bundle(bundle.folder)


def split(entries: Sequence[EpisodeEntry]) -> tuple[list[EpisodeEntry], list[EpisodeEntry]]:
    """Two thirds to fit, every third one held out.

    Raises:
        SparkError: There are too few.
    """
    if len(entries) < FEWEST_EPISODES:
        raise SparkError(
            f"drift statistics need at least {FEWEST_EPISODES} demonstrations, {len(entries)} are there: record more"
        )
    return [entry for i, entry in enumerate(entries) if i % 3 != 2], list(entries[2::3])


def fit_drift(fit: Sequence[Episode], held_out: Sequence[Episode], false_alarm_rate: float) -> DriftStatistics:
    """The statistics; where too few episodes are held out for the rate, the lowest that they can promise is stated.

    Args:
        fit: Episodes for mean and covariance.
        held_out: Episodes for the limits.
        false_alarm_rate: Wanted, 0 to 1.

    Raises:
        SparkError: The rate is none.
    """
    if not 0.0 < false_alarm_rate < 1.0:
        raise SparkError(f"a false alarm rate of {false_alarm_rate} is none: give a part of episodes between 0 and 1")
    count = len(held_out)
    rank = min(math.ceil((count + 1) * (1.0 - false_alarm_rate)), count)
    usual = {camera: _usual(np.concatenate([episode[camera].mean(axis=1) for episode in fit])) for camera in fit[0]}
    distances = [{camera: usual[camera].distance(episode[camera]) for camera in usual} for episode in held_out]
    # First every camera on its own scale, so that one with larger distances does not set the limit for the others.
    least = float(np.finfo(np.float32).tiny)  # images that never change are at no distance from each other
    scale = {camera: max(float(np.median([alarm_level(r[camera]) for r in distances])), least) for camera in usual}
    joint = [alarm_level(np.max([row[camera] / scale[camera] for camera in usual], axis=0)) for row in distances]
    limit = float(np.sort(joint)[rank - 1])
    cameras = {c: CameraDrift(u.mean, u.whitening, max(scale[c] * limit, least)) for c, u in usual.items()}
    return DriftStatistics(cameras, 1.0 - rank / (count + 1), ALARM_AFTER, len(fit), count)


def alarm_level(scores: FloatArray, in_a_row: int = ALARM_AFTER) -> float:
    """The highest limit that `in_a_row` successive scores of an episode (T,) all reach; of a shorter one the lowest."""
    windows = np.lib.stride_tricks.sliding_window_view(scores, min(in_a_row, len(scores)))
    return float(windows.min(axis=-1).max())


def _usual(means: TokenArray) -> CameraDrift:
    """Mean and whitening of mean tokens (N, D), with limit 1.

    Ledoit and Wolf, "A well-conditioned estimator for large-dimensional covariance matrices" (2004), section 3.2:
    towards the multiple of the identity with the same trace, by as much as the samples' own scatter asks for.
    """
    mean = means.mean(axis=0, dtype=np.float64)
    x = means - mean
    count, size = x.shape
    covariance = x.T @ x / count
    scale = np.trace(covariance) / size
    off = ((covariance - scale * np.eye(size)) ** 2).sum()
    scatter = (((x * x).sum(axis=1) ** 2).sum() / count - (covariance**2).sum()) / count
    shrinkage = min(scatter / off, 1.0) if off > 0 else 1.0
    covariance = (1.0 - shrinkage) * covariance + shrinkage * max(scale, np.finfo(np.float32).tiny) * np.eye(size)
    whitening = np.linalg.inv(np.linalg.cholesky(covariance))
    return CameraDrift(mean.astype(np.float32), whitening.astype(np.float32), 1.0)


def _encoded(bundle: Bundle, folder: DemoFolder, entries: Sequence[EpisodeEntry], every: int) -> Iterator[Episode]:
    """Tokens of every so many of the observations that a policy would act on, one image at a time as on the robot."""
    session = onnxruntime.InferenceSession(str(bundle.encoder_file), providers=["CPUExecutionProvider"])
    cameras, robot = tuple(bundle.manifest.cameras), bundle.robot
    joint_names = (*robot.joint_names, *robot.gripper.joint_names)
    for entry in entries:
        episode = folder.read(entry)
        if missing := [camera for camera in cameras if camera not in episode.cameras]:
            raise SparkError(
                f"{folder.file(entry)} was recorded without camera {', '.join(missing)}, which bundle "
                f"{bundle.manifest.id} uses: give demonstrations of its cameras"
            )
        stamps = {camera: episode.cameras[camera].stamps_ns for camera in cameras}
        sets = align_stamps(stamps, episode.joints.states(), joint_names, DEFAULT_TOLERANCE_S)[::every]
        if not sets:
            raise SparkError(f"{folder.file(entry)} holds no observation of all cameras: leave it out")
        tokens = {}
        for camera in cameras:
            prepare, frames = bundle.preprocess(camera), episode.cameras[camera]
            images = (prepare(frames[found.items[camera]].image) for found in sets)
            tokens[camera] = np.concatenate([session.run(["tokens"], {"images": i[None]})[0] for i in images])
        yield tokens
