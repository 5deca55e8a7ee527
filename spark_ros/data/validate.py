"""Is an episode fit to learn from? Every refusal names the file, the stream, what was found and what is expected."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.data.episode_reader import Episode, JointSeries


@dataclass(frozen=True)
class StreamLimits:
    """Longest pauses within a stream that still count as a recording of it.

    Attributes:
        camera_gap_s: Five missed frames at 10 Hz: a person would notice that the video stutters.
        joint_gap_s: Of joint states and setpoints; a quarter of a second is the time the arm needs to reach full
            speed, so a straight line across more than that is no longer what the arm did.
    """

    camera_gap_s: float = 0.5
    joint_gap_s: float = 0.25


DEFAULT_LIMITS = StreamLimits()


def check_episode(
    episode: Episode,
    cameras: Sequence[str],
    joint_names: Sequence[str],
    limits: StreamLimits = DEFAULT_LIMITS,
) -> None:
    """Refuse an episode that cannot be learned from.

    Args:
        episode: The episode.
        cameras: Cameras that must have been recorded.
        joint_names: Joints, arm and fingers, that must be in the joint states and in the setpoints.
        limits: Longest pauses allowed.

    Raises:
        SparkError: A stream is missing, pauses, runs backwards, or carries NaN or an unreadable image.
    """
    for camera in cameras:
        topic = topics.camera_image(camera)
        if camera not in episode.cameras:
            recorded = ", ".join(episode.cameras) or "none"
            raise _error(episode.path, topic, f"was not recorded (cameras found: {recorded})")
        frames = episode.cameras[camera]
        _check_stamps(episode.path, topic, frames.stamps_ns, limits.camera_gap_s)
        try:
            frames[0]
        except SparkError as error:
            raise _error(episode.path, topic, f"has an unreadable first image ({error})") from error
    for topic, series in ((topics.JOINT_STATES, episode.joints), (topics.GATEWAY_SETPOINT, episode.setpoints)):
        _check_joints(episode.path, topic, series, joint_names, limits.joint_gap_s)
    if episode.teleop is not None:
        _check_rising(episode.path, topics.TELEOP_JOY, episode.teleop.stamps_ns)


def _check_joints(path: Path, topic: str, series: JointSeries, names: Sequence[str], gap_s: float) -> None:
    if not len(series):
        raise _error(path, topic, "was not recorded")
    if missing := [name for name in names if name not in series.names]:
        raise _error(path, topic, f"lacks joints {', '.join(missing)} (found: {', '.join(series.names)})")
    _check_stamps(path, topic, series.stamps_ns, gap_s)
    bad = np.argwhere(~np.isfinite(series.columns(names)))
    if len(bad):
        row, column = bad[0]
        when = (series.stamps_ns[row] - series.stamps_ns[0]) * 1e-9
        raise _error(path, topic, f"is not finite for joint {names[column]} at {when:.2f} s")


def _check_stamps(path: Path, topic: str, stamps_ns: NDArray[np.int64], gap_s: float) -> None:
    if len(stamps_ns) < 2:
        raise _error(path, topic, f"has {len(stamps_ns)} message(s), expected at least 2")
    _check_rising(path, topic, stamps_ns)
    steps = np.diff(stamps_ns) * 1e-9
    if steps.max() > gap_s:
        at = int(steps.argmax())
        when = (stamps_ns[at] - stamps_ns[0]) * 1e-9
        raise _error(path, topic, f"pauses for {steps[at]:.2f} s at {when:.2f} s, expected at most {gap_s} s")


def _check_rising(path: Path, topic: str, stamps_ns: NDArray[np.int64]) -> None:
    backwards = np.flatnonzero(np.diff(stamps_ns) <= 0)
    if len(backwards):
        raise _error(path, topic, f"has a stamp not after its predecessor at message {backwards[0] + 1}")


def _error(path: Path, topic: str, finding: str) -> SparkError:
    return SparkError(f"{path}: {topic} {finding}; record the episode again or remove it from the folder")
