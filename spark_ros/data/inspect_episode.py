"""Everything that is odd about an episode, not only the first thing that training would refuse.

`validate.check_episode` says whether an episode can be learned from. What is here also looks at what could be learned
from it but should not be: a camera that froze, clocks that disagree, joints that jump.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

from spark_ros import topics
from spark_ros.contracts import FloatArray, SparkError
from spark_ros.data.align import DEFAULT_TOLERANCE_S, align_stamps
from spark_ros.data.episode_reader import CameraFrames, Episode, JointSeries
from spark_ros.data.validate import check_episode
from spark_ros.robots.spec import RobotSpec

# A pause of more periods than this is a message or two lost, not jitter.
_PAUSE_PERIODS = 2.5
# As long as this a camera may show one picture without being suspected: noise makes every real picture another, and
# only a simulated one, or a standstill of a very clean camera, repeats itself for less.
_FROZEN_S = 0.5
_MOVED = 0.02  # rad, of all joints together, during the time in question: the wrist's view must change
# How much faster than the arm can turn two joint states may be apart; stamps jitter by some tenths of a period.
_JUMP = 2.0
_BEYOND = 0.02  # rad outside of the position limits: sensors and calibration
_OVERLAP_S = 0.5  # by which streams may begin or end apart; clocks that disagree do so by more
_FEW = 0.8  # of the slowest camera's frames that must have made an observation


class Severity(str, Enum):
    """How bad a finding is."""

    BAD = "bad"
    """It cannot be learned from."""
    ODD = "odd"
    """It can, and somebody should look at it first."""


@dataclass(frozen=True)
class Finding:
    """Something that is not as it should be.

    Attributes:
        severity: How bad.
        stream: Topic, or `episode`.
        text: What was found, in a sentence.
        at_s: When, in seconds since the episode's beginning; None for all of it.
    """

    severity: Severity
    stream: str
    text: str
    at_s: float | None = None

    @property
    def sentence(self) -> str:
        """All of it but the severity."""
        when = "" if self.at_s is None else f" (at {self.at_s:.2f} s)"
        return f"{self.stream} {self.text}{when}"


@dataclass(frozen=True)
class Inspection:
    """What was found.

    Attributes:
        findings: Worst first.
        rates_hz: Messages per second by topic.
        observations: How many the aligner formed.
        skew_ms: Median and largest time between the frames of one observation, ms.
        frame_hashes: (N,) per camera, of the pixels.
    """

    findings: tuple[Finding, ...]
    rates_hz: Mapping[str, float]
    observations: int
    skew_ms: tuple[float, float]
    frame_hashes: Mapping[str, tuple[str, ...]]

    @property
    def bad(self) -> bool:
        """Whether it cannot be learned from."""
        return any(finding.severity is Severity.BAD for finding in self.findings)


def inspect_episode(episode: Episode, cameras: Sequence[str], spec: RobotSpec) -> Inspection:
    """Look at every stream, and at every frame.

    Args:
        episode: The episode.
        cameras: Cameras that it must have.
        spec: Its robot.
    """
    joint_names = (*spec.joint_names, *spec.gripper.joint_names)
    begin = _begin_ns(episode)
    findings: list[Finding] = []
    try:
        check_episode(episode, cameras, joint_names)
    except SparkError as error:
        text = str(error).removeprefix(f"{episode.path}: ").partition(";")[0]
        stream, _, rest = text.partition(" ")
        findings.append(Finding(Severity.BAD, stream, rest) if stream.startswith("/") else _bad(text))
    there = {camera: episode.cameras[camera] for camera in cameras if len(episode.cameras.get(camera, ()))}
    streams = {topics.camera_image(camera): frames.stamps_ns for camera, frames in there.items()}
    streams |= {topics.JOINT_STATES: episode.joints.stamps_ns, topics.GATEWAY_SETPOINT: episode.setpoints.stamps_ns}
    streams = {topic: stamps for topic, stamps in streams.items() if len(stamps) > 1}
    for topic, stamps in streams.items():
        findings += _timing(topic, stamps, begin)
    findings += _overlaps(streams)
    for topic, series in ((topics.JOINT_STATES, episode.joints), (topics.GATEWAY_SETPOINT, episode.setpoints)):
        if len(series) > 1 and not set(spec.joint_names) - set(series.names):
            findings += _motion(topic, series, spec, begin)
    hashes: dict[str, tuple[str, ...]] = {}
    for camera, frames in there.items():
        seen, found = _pictures(frames, episode.joints, spec, begin)
        hashes[camera] = seen
        findings += found
    observations, skew, found = _observations(there, episode, joint_names)
    rates = {topic: round(_rate(stamps), 2) for topic, stamps in streams.items()}
    order = sorted([*findings, *found], key=lambda finding: finding.severity is not Severity.BAD)
    return Inspection(tuple(order), rates, observations, skew, hashes)


def _bad(text: str) -> Finding:
    return Finding(Severity.BAD, "episode", text)


def _begin_ns(episode: Episode) -> int:
    streams = [*(frames.stamps_ns for frames in episode.cameras.values()), episode.joints.stamps_ns]
    return min((int(stamps.min()) for stamps in streams if len(stamps)), default=0)


def _rate(stamps_ns: NDArray[np.int64]) -> float:
    span = float(stamps_ns[-1] - stamps_ns[0]) * 1e-9
    return (len(stamps_ns) - 1) / span if span > 0.0 else 0.0


def _timing(topic: str, stamps_ns: NDArray[np.int64], begin: int) -> Iterator[Finding]:
    steps = np.diff(stamps_ns) * 1e-9
    repeated = np.flatnonzero(steps == 0.0)
    if len(repeated):
        when = float(stamps_ns[repeated[0]] - begin) * 1e-9
        yield Finding(Severity.BAD, topic, f"has {len(repeated)} messages with the stamp of the one before", when)
    usual = float(np.median(steps))
    pauses = np.flatnonzero(steps > _PAUSE_PERIODS * usual) if usual > 0.0 else np.zeros(0, np.int64)
    if len(pauses):
        longest = int(pauses[steps[pauses].argmax()])
        when = float(stamps_ns[longest] - begin) * 1e-9
        text = f"pauses {len(pauses)} times, longest {steps[longest]:.3f} s where {usual:.3f} s is usual"
        yield Finding(Severity.ODD, topic, text, when)


def _overlaps(streams: Mapping[str, NDArray[np.int64]]) -> Iterator[Finding]:
    """Streams of one episode on one clock begin and end together."""
    if topics.JOINT_STATES not in streams:
        return
    joints = streams[topics.JOINT_STATES]
    for topic, stamps in streams.items():
        early, late = ((int(stamps[end]) - int(joints[end])) * 1e-9 for end in (0, -1))
        if abs(early) > _OVERLAP_S and abs(late) > _OVERLAP_S and early * late > 0.0:
            text = (
                f"begins and ends {abs(early):.2f} s {'after' if early > 0 else 'before'} the joint states: its clock"
            )
            yield Finding(Severity.ODD, topic, f"{text} is another one")


def _motion(topic: str, series: JointSeries, spec: RobotSpec, begin: int) -> Iterator[Finding]:
    position, steps = series.columns(spec.joint_names), np.diff(series.stamps_ns) * 1e-9
    usual = max(float(np.median(steps)), 1e-6)
    speed = np.abs(np.diff(position, axis=0)) / np.maximum(steps, usual)[:, None]
    if len(found := np.argwhere(speed > _JUMP * spec.limits.velocity)):
        row, joint = found[0]
        when = float(series.stamps_ns[row] - begin) * 1e-9
        turned = abs(position[row + 1, joint] - position[row, joint])
        yield Finding(
            Severity.BAD,
            topic,
            f"jumps {len(np.unique(found[:, 0]))} times: joint {spec.joint_names[joint]} by {turned:.3f} rad between "
            f"two messages, {speed[row, joint]:.1f} rad/s where {spec.limits.velocity[joint]:.1f} are possible",
            when,
        )
    beyond = np.maximum(position - spec.limits.position_upper, spec.limits.position_lower - position)
    if beyond.max(initial=0.0) > _BEYOND:
        row, joint = np.unravel_index(int(np.nanargmax(beyond)), beyond.shape)
        when = float(series.stamps_ns[row] - begin) * 1e-9
        text = f"has joint {spec.joint_names[joint]} {beyond[row, joint]:.3f} rad beyond its limit"
        yield Finding(Severity.BAD, topic, text, when)


def _pictures(
    frames: CameraFrames, joints: JointSeries, spec: RobotSpec, begin: int
) -> tuple[tuple[str, ...], list[Finding]]:
    """Hash of every frame, and what is wrong with them."""
    topic, hashes = topics.camera_image(frames.camera), []
    for index in range(len(frames)):
        try:
            hashes.append(hashlib.sha256(frames[index].image.tobytes()).hexdigest()[:16])
        except SparkError as error:
            when = (int(frames.stamps_ns[index]) - begin) * 1e-9
            return tuple(hashes), [Finding(Severity.BAD, topic, f"has an unreadable frame {index} ({error})", when)]
    findings = []
    for first, last in _runs(hashes):
        span = (int(frames.stamps_ns[first]), int(frames.stamps_ns[last]))
        if (span[1] - span[0]) * 1e-9 >= _FROZEN_S and _moved(joints, spec, span) > _MOVED:
            text = f"is frozen: {last - first + 1} frames are the same while the arm moves"
            findings.append(Finding(Severity.BAD, topic, text, (span[0] - begin) * 1e-9))
    return tuple(hashes), findings


def _runs(hashes: Sequence[str]) -> Iterator[tuple[int, int]]:
    """First and last of every run of equal entries."""
    first = 0
    for index in range(1, len(hashes) + 1):
        if index == len(hashes) or hashes[index] != hashes[first]:
            yield first, index - 1
            first = index


def _moved(joints: JointSeries, spec: RobotSpec, span: tuple[int, int]) -> float:
    """How far the joints moved during a span of time, rad in sum."""
    if set(spec.joint_names) - set(joints.names):
        return 0.0
    inside = (joints.stamps_ns >= span[0]) & (joints.stamps_ns <= span[1])
    position: FloatArray = joints.columns(spec.joint_names)[inside]
    return float(np.ptp(position, axis=0).sum()) if len(position) else 0.0


def _observations(
    cameras: Mapping[str, CameraFrames], episode: Episode, joint_names: Sequence[str]
) -> tuple[int, tuple[float, float], list[Finding]]:
    if not cameras or set(joint_names) - set(episode.joints.names):
        return 0, (0.0, 0.0), []
    stamps = {camera: frames.stamps_ns for camera, frames in cameras.items()}
    sets = align_stamps(stamps, episode.joints.states(), joint_names)
    spread = [(max(found.stamps.values()) - min(found.stamps.values())) * 1e-6 for found in sets]
    skew = (round(float(np.median(spread)), 2), round(max(spread), 2)) if spread else (0.0, 0.0)
    most = min(len(frames) for frames in cameras.values())
    if len(sets) >= _FEW * most:
        return len(sets), skew, []
    text = (
        f"{len(sets)} of {most} possible observations could be formed: frames of {', '.join(cameras)} are more than "
        f"{DEFAULT_TOLERANCE_S * 1e3:.0f} ms apart, or joint states are missing"
    )
    return len(sets), skew, [Finding(Severity.BAD if len(sets) < 2 else Severity.ODD, "episode", text)]
