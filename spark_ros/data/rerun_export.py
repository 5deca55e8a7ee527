"""Episodes as Rerun recordings (.rrd), for those who look at data in its viewer.

Everything lies on two timelines: `stamp`, the header stamps as they were recorded, ns, and `since_start`. The gateway's
mode carries no stamp and stands where it was received. The tool's pose comes from the joints by the robot's own
kinematics. The same episode gives the same data, so that `rerun rrd compare --unordered` finds no difference;
Rerun numbers its rows by time and chance, so the bytes differ.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import FloatArray, SparkError
from spark_ros.data.dataset_folder import DemoFolder, EpisodeEntry
from spark_ros.data.episode_reader import CameraFrames, Episode, JointSeries, read_episode
from spark_ros.data.file_hash import file_sha256
from spark_ros.data.progress import data_bar
from spark_ros.data.rerun_images import RerunImages, image_files, video_samples
from spark_ros.data.staging import staged_file, staged_folder
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import RobotSpec, load_robot

SUFFIX = ".rrd"
_BATCH = 32  # frames written at once: more would only take memory
_PATH_POINTS = 2000  # of the tool's way, which is only looked at
_AXES_M = 0.08

_Item = TypeVar("_Item")


@dataclass(frozen=True)
class RerunOptions:
    """How to export.

    Attributes:
        images: What becomes of the cameras' images.
        progress: Whether to show a bar.
    """

    images: RerunImages = RerunImages.JPEG
    progress: bool = True


def export_episode(path: Path, out: Path, options: RerunOptions | None = None) -> None:
    """Write one episode file, of a folder or not, as a recording.

    Args:
        path: The episode's MCAP file.
        out: The recording; must not exist.
        options: How.

    Raises:
        SparkError: Rerun is not installed, the episode cannot be read, its robot is unknown, or the disk is full.
    """
    rerun, options = require_rerun(), options or RerunOptions()
    if out.suffix != SUFFIX:
        raise SparkError(f"the recording was to be written to {out}, expected a name that ends in {SUFFIX}")
    _write(rerun, read_episode(path), file_sha256(path), out, options)


def export_folder(folder: DemoFolder, out: Path, options: RerunOptions | None = None) -> list[Path]:
    """Write every episode of a folder as a recording of its own, under its own name.

    Args:
        folder: The demonstrations; nothing in it is changed.
        out: Folder of the recordings; must not exist.
        options: How.

    Returns:
        The recordings.

    Raises:
        SparkError: As for `export_episode`, or there is no episode, or a file is not the one that was recorded.
    """
    rerun, options = require_rerun(), options or RerunOptions()
    entries = folder.episodes()
    if not entries:
        raise SparkError(f"{folder.path} holds no episode: record demonstrations first")
    with staged_folder(out) as staging:
        for entry in entries:
            _write(rerun, folder.read(entry), entry.sha256, staging / _name(entry), options)
    return [out.expanduser() / _name(entry) for entry in entries]


def require_rerun() -> ModuleType:
    """The package `rerun`.

    Raises:
        SparkError: It is not installed.
    """
    try:
        import rerun
    except ImportError as error:
        raise SparkError(
            "Rerun is not installed: pip install 'spark_ros[rerun]' (Python 3.11 or later, numpy 2), on any machine "
            "that has the episodes"
        ) from error
    return rerun


def _name(entry: EpisodeEntry) -> str:
    return f"{Path(entry.file).stem}{SUFFIX}"


def _write(rerun: ModuleType, episode: Episode, sha256: str, out: Path, options: RerunOptions) -> None:
    from spark_ros.data.rerun_layout import APPLICATION, layout

    spec = load_robot(episode.metadata.robot)
    recording_id = hashlib.sha256(f"rerun/{sha256}".encode()).hexdigest()[:32]
    with staged_file(out) as staging, warnings.catch_warnings():
        warnings.simplefilter("error", rerun.error_utils.RerunWarning)  # Rerun reports wrong data by warnings
        stream = rerun.RecordingStream(APPLICATION, recording_id=recording_id, send_properties=False)
        try:
            stream.save(staging, default_blueprint=layout(tuple(episode.cameras), spec.joint_names))
            _Recording(rerun, stream, episode, spec).write(sha256, options)
            stream.flush()
        except (RuntimeError, rerun.error_utils.RerunWarning) as error:
            said = str(error).splitlines()[0]
            raise SparkError(f"Rerun could not write {out} ({said}): make room or choose another disk") from error
        finally:
            stream.disconnect()


class _Recording:
    """One episode on its way into a Rerun stream."""

    def __init__(self, rerun: ModuleType, stream: Any, episode: Episode, spec: RobotSpec) -> None:
        from spark_ros.data import rerun_layout

        self._rr, self._stream, self._episode, self._spec, self._at = rerun, stream, episode, spec, rerun_layout
        series = [*(frames.stamps_ns for frames in episode.cameras.values())]
        series += [episode.joints.stamps_ns, episode.setpoints.stamps_ns]
        self._begin = min((int(stamps.min()) for stamps in series if len(stamps)), default=0)

    def write(self, sha256: str, options: RerunOptions) -> None:
        """All of it."""
        self._describe(sha256)
        self._joints(self._episode.joints, "measured", self._at.TOOL, self._at.GRIPPER_MEASURED)
        self._joints(self._episode.setpoints, "commanded", self._at.TOOL_COMMANDED, self._at.GRIPPER_COMMANDED)
        self._speeds(self._episode.joints)
        self._labels()
        total = sum(map(len, self._episode.cameras.values()))
        with data_bar(self._episode.path.stem, total, shown=options.progress) as bar:
            for frames in self._episode.cameras.values():
                send = self._video if options.images is RerunImages.VIDEO else self._images
                send(frames, options.images, bar)

    def _send(self, entity: str, stamps_ns: NDArray[np.int64], columns: Any) -> None:
        if not len(stamps_ns):
            return
        stamp = self._rr.TimeColumn(self._at.STAMP, timestamp=stamps_ns.astype("datetime64[ns]"))
        elapsed = self._rr.TimeColumn(self._at.ELAPSED, duration=(stamps_ns - self._begin).astype("timedelta64[ns]"))
        self._stream.send_columns(entity, indexes=[stamp, elapsed], columns=columns)

    def _describe(self, sha256: str) -> None:
        said = self._episode.metadata
        success = {True: "yes", False: "no", None: "unknown"}[said.success]
        facts = {
            "task": said.task,
            "success": success,
            "robot": said.robot,
            "operator": said.operator,
            "seed": "" if said.seed is None else str(said.seed),
            "note": said.note,
            "created": said.created,
            "file": self._episode.path.name,
            "sha256": sha256,
        }
        lines = [f"- **{name}**: {text}" for name, text in facts.items() if text]
        lines += [f"- **flag**: {flag}" for flag in said.flags]
        self._stream.log(
            self._at.EPISODE, self._rr.TextDocument("\n".join(lines), media_type="text/markdown"), static=True
        )
        # In one, where Rerun's own two functions may or may not make one of it.
        about = self._rr.archetypes.RecordingInfo(name=self._episode.path.stem, start_time=self._begin)
        self._stream.log(self._rr.RECORDING_PROPERTIES_PATH, about, static=True)
        self._stream.send_property(self._at.EPISODE, self._rr.AnyValues(**facts, flags=list(said.flags)))
        self._stream.log(self._at.WORLD, self._rr.ViewCoordinates.RIGHT_HAND_Z_UP, static=True)

    def _joints(self, series: JointSeries, kind: str, tool: str, gripper: str) -> None:
        """Positions joint by joint; the tool's pose and the gripper's opening as far as their joints are there."""
        for column, name in enumerate(series.names):
            scalars = self._rr.Scalars.columns(scalars=series.position[:, column])
            self._send(self._at.joint(kind, name), series.stamps_ns, scalars)
        if set(self._spec.gripper.joint_names) <= set(series.names):
            widths = self._spec.gripper.widths(series.columns(self._spec.gripper.joint_names))
            self._send(gripper, series.stamps_ns, self._rr.Scalars.columns(scalars=widths))
        if set(self._spec.joint_names) <= set(series.names):
            self._tool(tool, kind, series.stamps_ns, series.columns(self._spec.joint_names))

    def _tool(self, entity: str, kind: str, stamps_ns: NDArray[np.int64], q: FloatArray) -> None:
        kinematics = Kinematics(self._spec)
        poses = [kinematics.forward(row) for row in q]
        positions = np.stack([pose.position for pose in poses])
        turns = np.stack([pose.quaternion for pose in poses])
        self._send(entity, stamps_ns, self._rr.Transform3D.columns(translation=positions, quaternion=turns))
        self._stream.log(entity, self._rr.TransformAxes3D(_AXES_M), static=True)
        way = positions[:: max(1, len(positions) // _PATH_POINTS)]
        self._stream.log(f"{self._at.PATH}/{kind}", self._rr.LineStrips3D([way]), static=True)

    def _speeds(self, series: JointSeries) -> None:
        for column, name in enumerate(series.names):
            if name in self._spec.joint_names:
                speeds = self._rr.Scalars.columns(scalars=series.velocity[:, column])
                self._send(self._at.joint("speed", name), series.stamps_ns, speeds)

    def _labels(self) -> None:
        """Who drove, as the gateway said it, who corrected whom, and what the operator's buttons said."""
        modes, teleop = self._episode.modes, self._episode.teleop
        self._states(self._at.MODE, modes.stamps_ns, modes.modes)
        corrected = modes.interventions(modes.stamps_ns)
        drivers = ["intervention" if person else mode for person, mode in zip(corrected, modes.modes, strict=True)]
        self._states(self._at.DRIVER, modes.stamps_ns, drivers)
        if teleop is not None:
            both = zip(teleop.deadman, teleop.imitate, strict=True)
            said = ["released" if not held else "to imitate" if imitate else "not to imitate" for held, imitate in both]
            self._states(self._at.TELEOP, teleop.stamps_ns, said)

    def _states(self, entity: str, stamps_ns: NDArray[np.int64], states: Any) -> None:
        """The states where they change."""
        changes = [index for index in range(len(states)) if not index or states[index] != states[index - 1]]
        if changes:
            chosen = self._rr.StateChange.columns(state=[states[index] for index in changes])
            self._send(entity, stamps_ns[changes], chosen)

    def _images(self, frames: CameraFrames, images: RerunImages, bar: Any) -> None:
        files = image_files(frames, images)
        for first, batch in _batches(files):
            columns = self._rr.EncodedImage.columns(
                blob=[file.data for file in batch], media_type=[file.media_type for file in batch]
            )
            self._send(self._at.camera(frames.camera), frames.stamps_ns[first : first + len(batch)], columns)
            bar.update(len(batch))

    def _video(self, frames: CameraFrames, _: RerunImages, bar: Any) -> None:
        entity = self._at.camera(frames.camera)
        self._stream.log(entity, self._rr.VideoStream(codec=self._rr.VideoCodec.H264), static=True)
        for first, batch in _batches(video_samples(frames)):
            columns = self._rr.VideoStream.columns(
                sample=[sample.data for sample in batch], is_keyframe=[sample.is_keyframe for sample in batch]
            )
            self._send(entity, frames.stamps_ns[first : first + len(batch)], columns)
            bar.update(len(batch))


def _batches(items: Iterator[_Item]) -> Iterator[tuple[int, list[_Item]]]:
    """Runs of `_BATCH` items with the number of their first."""
    first = 0
    while batch := list(islice(items, _BATCH)):
        yield first, batch
        first += len(batch)
