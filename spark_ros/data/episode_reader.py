"""Read an episode: small streams as arrays, images only when asked for.

An episode is one finished MCAP file, written by `episode_writer` or by rosbag2 with the topics of `topics.py`.
Times in it are header stamps, the time of measurement, never the time of reception.
"""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from spark_ros import topics
from spark_ros.contracts import FloatArray, Frame, JointState, SparkError
from spark_ros.data.cdr import deserialize, header_stamp_ns, stamp_ns
from spark_ros.data.cdr_messages import IMAGE, JOINT_STATE, JOY, STRING, decode_frame, decode_joints
from spark_ros.data.episode_writer import EPISODE_RECORD, OUTCOME_RECORD
from spark_ros.data.image_storage import COMPRESSED_IMAGE, packed_bytes, unpack_frame
from spark_ros.data.mcap_scan import Location, McapScan, StoredMessage, load_message

POLICY, TELEOP = "policy", "teleop"  # of `control.modes.Mode`, which this room does not import


@dataclass(frozen=True)
class EpisodeMetadata:
    """What the recording says about itself; None or empty where it does not say.

    Attributes:
        task: The task's text.
        robot: Name of the robot, as in `robots.spec.load_robot`.
        seed: Seed of the simulated world.
        success: Whether the task was accomplished.
        operator: Who drove the arm.
        created: When recording began, ISO 8601, UTC.
        note: What the operator had to say about it.
        flags: What was wrong with the recording, a sentence each.
        calibration: SHA-256 of every file of the folder of calibrations, by name.
    """

    task: str
    robot: str
    seed: int | None
    success: bool | None
    operator: str
    created: str
    note: str = ""
    flags: tuple[str, ...] = ()
    calibration: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class JointSeries:
    """Joint states, or commanded setpoints, over time.

    Attributes:
        names: The joints, in the order of the columns.
        stamps_ns: (N,) int64 nanoseconds.
        position: (N, J) rad, or m for prismatic joints.
        velocity: (N, J) rad/s or m/s.
    """

    names: tuple[str, ...]
    stamps_ns: NDArray[np.int64]
    position: FloatArray
    velocity: FloatArray

    def __len__(self) -> int:
        return len(self.stamps_ns)

    def columns(self, names: Sequence[str]) -> FloatArray:
        """(N, len(names)) positions of these joints in this order.

        Raises:
            SparkError: A joint is missing.
        """
        if missing := [name for name in names if name not in self.names]:
            raise SparkError(f"joints {', '.join(missing)} were not recorded: found {', '.join(self.names)}")
        return self.position[:, [self.names.index(name) for name in names]]

    def states(self) -> Iterator[JointState]:
        """The series as single joint states, in order."""
        for stamp, position, velocity in zip(self.stamps_ns, self.position, self.velocity, strict=True):
            yield JointState(self.names, position, velocity, int(stamp))


@dataclass(frozen=True)
class TeleopSeries:
    """What the operator's buttons said over time.

    Attributes:
        stamps_ns: (N,) int64 nanoseconds.
        deadman: (N,) bool, the enabling switch was held.
        imitate: (N,) bool, the motion was meant to be imitated.
    """

    stamps_ns: NDArray[np.int64]
    deadman: NDArray[np.bool_]
    imitate: NDArray[np.bool_]

    def excluded_spans(self) -> NDArray[np.int64]:
        """(E, 2) spans ``[begin, end)`` in nanoseconds in which the motion was nobody's or not to be imitated.

        A message holds until the next one; with the switch released the gateway brings the arm to rest, which is
        no demonstration either. The last message holds for ever.
        """
        excluded = ~(self.deadman & self.imitate)
        edges = np.flatnonzero(np.diff(excluded, prepend=False))
        times = self.stamps_ns[edges]
        if len(times) % 2:
            times = np.append(times, np.iinfo(np.int64).max)
        return times.reshape(-1, 2)


@dataclass(frozen=True)
class ModeSeries:
    """Who moved the arm over time, as the gateway announced it.

    Attributes:
        stamps_ns: (N,) int64 nanoseconds; when each announcement was received, since it carries no stamp of its own.
        modes: What was announced, a `control.modes.Mode` value each.
    """

    stamps_ns: NDArray[np.int64]
    modes: tuple[str, ...]

    def driven_by(self, mode: str, stamps_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(T,) whether the gateway was in this mode at each time; False before its first announcement."""
        if not self.modes:
            return np.zeros(len(stamps_ns), bool)
        latest = np.searchsorted(self.stamps_ns, stamps_ns, side="right") - 1
        return (latest >= 0) & (np.array(self.modes)[np.maximum(latest, 0)] == mode)

    def interventions(self, stamps_ns: NDArray[np.int64]) -> NDArray[np.bool_]:
        """(T,) whether at each time a person corrected a policy: drove the arm after a policy had in this recording."""
        begun = self.stamps_ns[self.modes.index(POLICY)] if POLICY in self.modes else np.iinfo(np.int64).max
        return self.driven_by(TELEOP, stamps_ns) & (stamps_ns >= begun)


class CameraFrames(Sequence[Frame]):
    """The frames of one camera, decoded one at a time when they are asked for.

    Attributes:
        camera: Name of the camera.
        stamps_ns: (N,) int64 capture times in nanoseconds.
    """

    def __init__(
        self,
        path: Path,
        camera: str,
        stamps_ns: NDArray[np.int64],
        locations: Sequence[Location],
        packed: bool = False,
    ) -> None:
        self._packed = packed
        self._decode = unpack_frame if packed else decode_frame
        self._path = path
        self.camera = camera
        self.stamps_ns = stamps_ns
        self._locations = locations

    def __len__(self) -> int:
        return len(self._locations)

    def __getitem__(self, index: int) -> Frame:  # type: ignore[override]  # slices would decode many images at once
        return self._decode(load_message(self._path, self._locations[index]), self.camera)

    def packed(self, index: int) -> bytes | None:
        """A frame's PNG or JPEG file as it was recorded; None where images were recorded as pixels."""
        return packed_bytes(load_message(self._path, self._locations[index])) if self._packed else None


@dataclass(frozen=True)
class Episode:
    """One recorded attempt at a task.

    Attributes:
        path: Its file.
        metadata: What the recording says about itself.
        cameras: Frames by camera name.
        joints: Measured joints, arm and fingers.
        setpoints: What the gateway commanded, arm and fingers.
        teleop: The operator's buttons; None if nobody operated (a policy drove the arm).
        modes: Who moved the arm when; `ModeSeries.interventions` labels a person's corrections of a policy.
    """

    path: Path
    metadata: EpisodeMetadata
    cameras: Mapping[str, CameraFrames]
    joints: JointSeries
    setpoints: JointSeries
    teleop: TeleopSeries | None
    modes: ModeSeries = ModeSeries(np.zeros(0, np.int64), ())


def read_episode(path: str | Path) -> Episode:
    """Read a finished episode.

    Streams that were not recorded are empty; `validate.check_episode` says which of them matter.

    Raises:
        SparkError: The file is missing, not MCAP, torn or damaged, or a message in it cannot be decoded.
    """
    path = Path(path)
    scan = McapScan(path)
    collected = _Collected()
    try:
        for message in scan:
            collected.add(message)
    except SparkError as error:
        raise error if str(path) in str(error) else SparkError(f"{path}: {error}") from error
    _check_whole(path, scan)
    return Episode(
        path,
        _metadata(scan.metadata),
        collected.cameras(path),
        _series(path, topics.JOINT_STATES, collected.joints[topics.JOINT_STATES]),
        _series(path, topics.GATEWAY_SETPOINT, collected.joints[topics.GATEWAY_SETPOINT]),
        collected.teleop(),
        ModeSeries(np.array([stamp for stamp, _ in collected.modes], np.int64), tuple(m for _, m in collected.modes)),
    )


def read_cameras(path: str | Path) -> dict[str, CameraFrames]:
    """The frames of a finished episode by camera, and nothing else: a tenth of the time of `read_episode`.

    Raises:
        SparkError: As for `read_episode`.
    """
    path = Path(path)
    scan = McapScan(path)
    collected = _Collected()
    for message in scan:
        if topics.camera_of(message.topic) is not None:
            collected.add(message)
    _check_whole(path, scan)
    return collected.cameras(path)


@dataclass
class _Collected:
    """The streams of a file while it is being read."""

    frames: dict[tuple[str, bool], tuple[list[int], list[Location]]] = field(default_factory=dict)  # camera, packed
    joints: defaultdict[str, list[JointState]] = field(default_factory=lambda: defaultdict(list))
    joy: list[tuple[int, bool, bool]] = field(default_factory=list)
    modes: list[tuple[int, str]] = field(default_factory=list)

    def add(self, message: StoredMessage) -> None:
        topic, msg_type, cdr, location = message.topic, message.msg_type, message.cdr, message.location
        camera = topics.camera_of(topic)
        if camera is not None and msg_type in (IMAGE, COMPRESSED_IMAGE):
            stamps, locations = self.frames.setdefault((camera, msg_type == COMPRESSED_IMAGE), ([], []))
            stamps.append(header_stamp_ns(cdr))
            locations.append(location)
        elif topic in (topics.JOINT_STATES, topics.GATEWAY_SETPOINT) and msg_type == JOINT_STATE:
            self.joints[topic].append(decode_joints(cdr))
        elif topic == topics.TELEOP_JOY and msg_type == JOY:
            joy = deserialize(cdr, JOY)
            if len(joy.buttons) < 2:
                raise SparkError(
                    f"{topic} carries {len(joy.buttons)} buttons, expected deadman and not-for-imitation: "
                    "check the teleoperator"
                )
            self.joy.append((stamp_ns(joy.header), bool(joy.buttons[0]), not joy.buttons[1]))
        elif topic == topics.GATEWAY_MODE and msg_type == STRING:
            self.modes.append((message.log_time_ns, deserialize(cdr, STRING).data))

    def cameras(self, path: Path) -> dict[str, CameraFrames]:
        """By name; of a camera that was stored both ways, the images as they travelled."""
        return {
            camera: CameraFrames(path, camera, np.array(stamps, np.int64), locations, packed)
            for (camera, packed), (stamps, locations) in sorted(
                self.frames.items(), key=lambda item: (item[0][0], not item[0][1])
            )
        }

    def teleop(self) -> TeleopSeries | None:
        if not self.joy:
            return None
        stamps, deadman, imitate = zip(*self.joy, strict=True)
        return TeleopSeries(np.array(stamps, np.int64), np.array(deadman, bool), np.array(imitate, bool))


def _check_whole(path: Path, scan: McapScan) -> None:
    if not scan.complete:
        raise SparkError(
            f"{path} is torn or damaged: {scan.end_of_data}; restore it from a copy or remove it from the folder"
        )


def _series(path: Path, topic: str, states: list[JointState]) -> JointSeries:
    if not states:
        return JointSeries((), np.zeros(0, np.int64), np.zeros((0, 0)), np.zeros((0, 0)))
    names = states[0].names
    try:
        states = [state if state.names == names else state.select(names) for state in states]
    except SparkError as error:
        raise SparkError(f"{path}: the joints on {topic} change during the episode ({error})") from error
    return JointSeries(
        names,
        np.array([state.stamp_ns for state in states], np.int64),
        np.stack([state.position for state in states]),
        np.stack([state.velocity for state in states]),
    )


def _metadata(records: Mapping[str, Mapping[str, str]]) -> EpisodeMetadata:
    values = {**records.get(EPISODE_RECORD, {}), **records.get(OUTCOME_RECORD, {})}
    seed, success = values.get("seed", ""), values.get("success")
    return EpisodeMetadata(
        task=values.get("task", ""),
        robot=values.get("robot", ""),
        seed=int(seed) if seed.lstrip("-").isdigit() else None,
        success={"true": True, "false": False}.get(success or ""),
        operator=values.get("operator", ""),
        created=values.get("created", ""),
        note=values.get("note", ""),
        flags=_texts(values.get("flags", "")),
        calibration=_named_texts(values.get("calibration", "")),
    )


def _texts(text: str) -> tuple[str, ...]:
    """A JSON list of texts; empty for anything else."""
    try:
        values = json.loads(text)
    except ValueError:
        return ()
    return tuple(map(str, values)) if isinstance(values, list) else ()


def _named_texts(text: str) -> dict[str, str]:
    """A JSON object of texts; empty for anything else."""
    try:
        values = json.loads(text)
    except ValueError:
        return {}
    return {str(name): str(value) for name, value in values.items()} if isinstance(values, dict) else {}
