"""A LeRobotDataset v3.0 as episodes of ours, so that everything here works with it: training, replay, validation.

A row becomes what a recorder would have seen: a frame of every camera and a joint state at its stamp, and its action as
the setpoint of one period later. Exporting what was imported gives the same rows again.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
from numpy.typing import NDArray

from spark_ros import topics
from spark_ros.contracts import Command, FloatArray, Frame, ImageArray, JointState, SparkError, TeleopInput
from spark_ros.data.cdr_messages import Message, encode_frame, encode_joints, encode_joy, encode_setpoint
from spark_ros.data.clips import missing_camera
from spark_ros.data.clips_lerobot import LerobotClip, episode_clip
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.episode_writer import EpisodeWriter
from spark_ros.data.lerobot_dataset import IMAGES, LerobotDataset
from spark_ros.data.lerobot_export import ACTION, IMITATE, STAMP, STATE, camera_stamp
from spark_ros.data.lerobot_joints import JointColumns, JointOptions, check_absolute
from spark_ros.data.progress import data_bar
from spark_ros.data.staging import staged_folder
from spark_ros.data.validate import DEFAULT_LIMITS
from spark_ros.robots.spec import RobotSpec, load_robot

# Where a dataset has no stamps of its own: its first row's. Not zero, which ROS reads as "no time".
_BEGIN_NS = 1_000_000_000
_NOT_IN_A_TOPIC = re.compile(r"[^A-Za-z0-9_]")


@dataclass(frozen=True)
class ImportOptions:
    """How to import.

    Attributes:
        robot: Name of the arm; empty for what the dataset says.
        cameras: Which cameras; empty for all.
        joints: Which numbers are the joints.
        task: Only the episodes of this task; empty for all.
        success: Whether episodes count as successes where the dataset does not say; None to leave it open.
        progress: Whether to show a bar.
    """

    robot: str = ""
    cameras: tuple[str, ...] = ()
    joints: JointOptions = field(default_factory=JointOptions)
    task: str = ""
    success: bool | None = True
    progress: bool = True


def import_lerobot(source: Path, out: Path, options: ImportOptions | None = None) -> DemoFolder:
    """Write the episodes of a dataset as a folder of episodes.

    Args:
        source: The dataset; nothing in it is changed.
        out: The folder; must not exist.
        options: How.

    Raises:
        SparkError: No dataset v3.0 or a damaged one, an unknown arm or camera, joints that cannot be told or are beyond
            the arm's limits, `out` exists, the disk is full.
    """
    options = options or ImportOptions()
    if not (source / "meta" / "info.json").is_file():
        raise SparkError(f"{source} holds no LeRobot dataset: expected one with meta/info.json in it")
    dataset = LerobotDataset(source)
    reader = _Reader(dataset, _robot(dataset, options), options)
    described = dataset.episodes()
    with dataset.understood():
        described = _of_task(dataset, described, options.task)
        total = sum(int(row["length"]) for row in described)
    with staged_folder(out) as staging, data_bar("importing", total, shown=options.progress) as bar:
        with DemoFolder(staging).recording() as folder:
            for row in described:
                with dataset.understood():
                    rows = reader.read(row)
                with folder.start_episode(rows.metadata) as writer:
                    rows.write(writer, bar)
                    folder.keep(writer, {} if rows.success is None else {"success": rows.success})
    return DemoFolder(out)


def _of_task(dataset: LerobotDataset, described: list[dict[str, Any]], task: str) -> list[dict[str, Any]]:
    chosen = [row for row in described if not task or str(row["tasks"][0]) == task]
    if not chosen:
        known = "; ".join(sorted({str(row["tasks"][0]) for row in described}))
        raise SparkError(f"{dataset.folder} has no episode of the task {task!r}, its tasks are: {known}")
    return chosen


def _robot(dataset: LerobotDataset, options: ImportOptions) -> RobotSpec:
    name = options.robot or dataset.robot
    if not name:
        raise SparkError(f"{dataset.folder} does not say which arm it is of: name it with --robot")
    try:
        return load_robot(name)
    except SparkError as error:
        raise (
            error
            if options.robot
            else SparkError(
                f"{dataset.folder} is of {name!r}, which is no arm known here: name one of ours with --robot"
            )
        ) from error


class _Reader:
    """Reads episodes of a dataset."""

    def __init__(self, dataset: LerobotDataset, spec: RobotSpec, options: ImportOptions) -> None:
        self._dataset, self._spec, self._options = dataset, spec, options
        if 1.0 / dataset.fps > DEFAULT_LIMITS.joint_gap_s:
            raise SparkError(
                f"{dataset.folder} has {dataset.fps:g} rows per second, expected at least "
                f"{1.0 / DEFAULT_LIMITS.joint_gap_s:g}: what the arm did between two of them cannot be told"
            )
        if missing := [key for key in (STATE, ACTION) if key not in dataset.features]:
            raise SparkError(f"{dataset.folder} has no feature {' and no '.join(missing)}: nothing to imitate in it")
        chosen = [camera.removeprefix(IMAGES) for camera in options.cameras or dataset.cameras]
        if not chosen:
            raise SparkError(f"{dataset.folder} has no feature {IMAGES}*, so no camera: choose another dataset")
        self._cameras: dict[str, str] = {}  # by the name that fits a topic
        for camera in chosen:
            if camera not in dataset.cameras:
                raise missing_camera(dataset.folder, camera, list(dataset.cameras))
            name = _NOT_IN_A_TOPIC.sub("_", camera)
            if name in self._cameras:
                raise SparkError(
                    f"cameras {self._cameras[name]} and {camera} would both be called {name}: choose one with --cameras"
                )
            self._cameras[name] = camera
        with dataset.understood():
            self._state = JointColumns(spec, STATE, dataset.features[STATE], options.joints)
            self._action = JointColumns(spec, ACTION, dataset.features[ACTION], options.joints)

    def read(self, row: Mapping[str, Any]) -> _Rows:
        """Everything but the images of an episode."""
        dataset, episode, length = self._dataset, int(row["episode_index"]), int(row["length"])
        where = f"{dataset.folder}, episode {episode}"
        if length < 2:
            raise SparkError(f"{where} has {length} rows, expected at least 2: leave it out")
        joints, width = self._state.read(self._vectors(row, STATE), where)
        action, action_width = self._action.read(self._vectors(row, ACTION), where)
        check_absolute(joints, action, where)
        stamps = self._stamps(row, STAMP, where)
        clips = {name: episode_clip(dataset, row, camera) for name, camera in self._cameras.items()}
        frames = {}
        for name, camera in self._cameras.items():
            known = camera_stamp(camera) in dataset.features
            frames[name] = self._stamps(row, camera_stamp(camera), where) if known else stamps
        success, seed = row.get("success"), row.get("seed")
        metadata: dict[str, object] = {
            "task": str(row["tasks"][0]),
            "robot": self._spec.name,
            "operator": "imported",
            "source": f"LeRobot dataset {dataset.folder.name}, episode {episode}",
            "created": "",  # nobody knows; and the same dataset gives the same files
        }
        if isinstance(seed, int):
            metadata["seed"] = seed
        return _Rows(
            self._spec,
            metadata,
            success if isinstance(success, bool) else self._options.success,
            round(1e9 / dataset.fps),
            stamps,
            joints,
            width,
            action,
            action_width,
            dataset.cells(row, IMITATE).to_numpy(zero_copy_only=False) if IMITATE in dataset.features else None,
            frames,
            clips,
        )

    def _vectors(self, row: Mapping[str, Any], key: str) -> NDArray[np.float64]:
        values = pa.compute.list_flatten(self._dataset.cells(row, key)).to_numpy(zero_copy_only=False)
        return np.asarray(values, np.float64).reshape(int(row["length"]), -1)

    def _stamps(self, row: Mapping[str, Any], key: str, where: str) -> NDArray[np.int64]:
        if key not in self._dataset.features:
            return _BEGIN_NS + np.round(np.arange(int(row["length"])) * (1e9 / self._dataset.fps)).astype(np.int64)
        stamps = np.asarray(self._dataset.cells(row, key).to_numpy(), np.int64)
        # A camera slower than the others may have served two rows with one frame; nothing ever goes back.
        steps = np.diff(stamps)
        if steps.min() < (1 if key == STAMP else 0) or stamps[0] < 0:
            raise SparkError(f"{where}: {key} does not rise from row to row: leave this episode out")
        return stamps


@dataclass(frozen=True)
class _Rows:
    """An episode of T rows."""

    spec: RobotSpec
    metadata: dict[str, object]
    success: bool | None
    period_ns: int
    stamps: NDArray[np.int64]  # (T,)
    joints: FloatArray  # (T, J)
    width: FloatArray  # (T,)
    action: FloatArray  # (T, J)
    action_width: FloatArray  # (T,)
    imitate: NDArray[np.bool_] | None  # (T,)
    frames: Mapping[str, NDArray[np.int64]]  # (T,) by camera
    clips: Mapping[str, LerobotClip]

    def write(self, writer: EpisodeWriter, bar: Any) -> None:
        """Write the messages in the order of their stamps; `bar` is updated row by row."""
        for stamp, _, topic, message in sorted(self._events(), key=lambda event: event[:2]):
            writer.write(topic, *message(), stamp, stamp)
            if topic == topics.JOINT_STATES:
                bar.update()

    def _events(self) -> Iterator[tuple[int, int, str, Callable[[], Message]]]:
        """Stamp, an order among equal ones, topic, and what makes the message."""
        order = count()
        spec, gripper = self.spec, self.spec.gripper
        for camera, stamps in self.frames.items():
            new = np.flatnonzero(np.diff(stamps, prepend=-1))  # a frame that served two rows is written once
            images = _only(self.clips[camera].images(), new)
            for stamp in stamps[new]:
                yield int(stamp), next(order), topics.camera_image(camera), self._frame(images, camera, int(stamp))
        names = (*spec.joint_names, *gripper.joint_names)
        # Held until the last frame of all, so that no camera's last frame comes after the joints.
        last = max(int(stamps[-1]) for stamps in self.frames.values())
        times = [*map(int, self.stamps), *([last] if last > self.stamps[-1] else [])]
        for i, stamp in enumerate(times):
            row = min(i, len(self.stamps) - 1)
            position = np.concatenate([self.joints[row], gripper.joint_positions(float(self.width[row]))])
            state = JointState(names, position, np.zeros(len(names)), stamp)
            yield stamp, next(order), topics.JOINT_STATES, lambda state=state: encode_joints(state)  # type: ignore[misc]
        first = (int(self.stamps[0]), self.joints[0], float(self.width[0]))  # what came before is not known
        for stamp, position, width in [
            first,
            *zip(map(int, self.stamps + self.period_ns), self.action, map(float, self.action_width), strict=True),
        ]:
            command = Command(spec.joint_names, position, np.zeros(len(position)), width, None)
            yield stamp, next(order), topics.GATEWAY_SETPOINT, self._setpoint(command, stamp)
        for stamp, imitate in self._imitation():
            teleop = TeleopInput(np.zeros(6), 0.0, True, imitate, stamp)
            yield stamp, next(order), topics.TELEOP_JOY, self._joy(teleop)

    def _imitation(self) -> Iterator[tuple[int, bool]]:
        """When it changes whether what is done may be imitated; nothing where the dataset does not say."""
        last = None
        for row, imitate in enumerate([] if self.imitate is None else map(bool, self.imitate)):
            stamp = int(self.stamps[row])
            if imitate is not last:
                # A row's way lasts a period, its end included: one that may be imitated must be over before.
                over = int(self.stamps[row - 1]) + self.period_ns + 1 if row and not imitate else stamp
                yield max(stamp, over), imitate
            last = imitate

    @staticmethod
    def _frame(images: Iterator[ImageArray], camera: str, stamp: int) -> Callable[[], Message]:
        return lambda: encode_frame(Frame(camera, next(images), stamp))

    def _setpoint(self, command: Command, stamp: int) -> Callable[[], Message]:
        return lambda: encode_setpoint(command, self.spec.gripper, stamp)

    def _joy(self, teleop: TeleopInput) -> Callable[[], Message]:
        return lambda: encode_joy(teleop, self.spec.gripper.max_width)


def _only(images: Iterator[ImageArray], wanted: NDArray[np.int64]) -> Iterator[ImageArray]:
    chosen = set(wanted.tolist())
    return (image for index, image in enumerate(images) if index in chosen)
