"""Real observations out of the demonstrations, on which an exported bundle is compared and tested.

Random images would not do: the activations of a quantised network, and with them its error, depend on what it sees.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from spark_ros.contracts import ImageArray, JointState, SparkError
from spark_ros.data.align import DEFAULT_TOLERANCE_S, align_stamps
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.preprocess import ImagePreprocess
from spark_ros.robots.spec import load_robot
from spark_ros.training.policy_run import RunInfo

EPISODES = 8  # more add seconds of decoding and no new kind of image


@dataclass(frozen=True)
class Observations:
    """N aligned observations.

    Attributes:
        images: By camera (N, S, S, 3) uint8, brought to the encoder's size.
        joints: (N) arm and finger joints.
        calibrations: Id of the calibration, by camera; of those that all these episodes were recorded with.
    """

    images: Mapping[str, ImageArray]
    joints: tuple[JointState, ...]
    calibrations: Mapping[str, str] = field(default_factory=dict)

    def __len__(self) -> int:
        return len(self.joints)


def read_observations(info: RunInfo, demos: Path, count: int = 64, held_out_first: bool = True) -> Observations:
    """Observations spread evenly over some of a run's episodes.

    Args:
        info: The run.
        demos: The folder of demonstrations it was trained from.
        count: About how many.
        held_out_first: Episodes that the policy did not learn from before the others; else the other way round.

    Raises:
        SparkError: The folder does not hold the run's episodes, or they are damaged.
    """
    folder = DemoFolder(demos)
    split = {episode.sha256: episode.split for episode in info.episodes}
    entries = [entry for entry in folder.episodes() if entry.sha256 in split]
    if not entries:
        raise SparkError(
            f"{demos} holds none of the {len(info.episodes)} episodes the policy was trained from: "
            "give the folder they lie in"
        )
    entries.sort(key=lambda entry: (split[entry.sha256] == "train") is held_out_first)
    entries = entries[:EPISODES]
    robot = load_robot(info.robot)
    joint_names = (*robot.joint_names, *robot.gripper.joint_names)
    preprocess = {camera: ImagePreprocess(entry.size, entry.crop) for camera, entry in info.cameras.items()}
    images: dict[str, list[ImageArray]] = {camera: [] for camera in preprocess}
    joints: list[JointState] = []
    calibrations: list[Mapping[str, str]] = []
    for entry in entries:
        episode = folder.read(entry)
        calibrations.append(episode.metadata.calibration)
        stamps = {camera: episode.cameras[camera].stamps_ns for camera in preprocess}
        sets = list(align_stamps(stamps, episode.joints.states(), joint_names, DEFAULT_TOLERANCE_S))
        for index in np.linspace(0, len(sets) - 1, max(1, count // len(entries))).astype(int):
            aligned = sets[index]
            joints.append(aligned.joints)
            for camera, prepare in preprocess.items():
                images[camera].append(prepare(episode.cameras[camera][aligned.items[camera]].image))
    stacked = {camera: np.stack(rows) for camera, rows in images.items()}
    return Observations(stacked, tuple(joints), calibration_ids(tuple(preprocess), calibrations))


def calibration_ids(cameras: Sequence[str], episodes: Sequence[Mapping[str, str]]) -> dict[str, str]:
    """``<camera>-<12 hex digits>`` by camera: of the file that bears its name, where all episodes have the same one.

    Args:
        cameras: Their names.
        episodes: Of each the SHA-256 of every file of its folder of calibrations, by name.
    """
    found: dict[str, str] = {}
    for camera in cameras:
        hashes = {
            tuple(sorted(digest for name, digest in files.items() if Path(name).stem == camera)) for files in episodes
        }
        only = hashes.pop() if len(hashes) == 1 else ()
        if len(only) == 1:
            found[camera] = f"{camera}-{only[0][:12]}"
    return found
