"""Opening a bundle: a folder or an archive, its files checked, for a robot that is known here.

This module and everything it imports works without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spark_ros.bundle.archive import unpacked
from spark_ros.bundle.drift import DriftStatistics, read_drift
from spark_ros.bundle.files import verify_files
from spark_ros.bundle.golden import Golden, read_golden
from spark_ros.bundle.manifest import Manifest
from spark_ros.contracts import ActionSpace, ObservationSpace, SparkError
from spark_ros.data.preprocess import ImagePreprocess
from spark_ros.robots.spec import RobotSpec, load_robot


@dataclass(frozen=True)
class Bundle:
    """A verified bundle.

    Attributes:
        folder: Where it lies.
        manifest: What it says of itself.
        robot: The arm it was made for.
    """

    folder: Path
    manifest: Manifest
    robot: RobotSpec

    @property
    def encoder_file(self) -> Path:
        """The encoder's ONNX file."""
        return self.folder / self.manifest.encoder.file

    @property
    def policy_file(self) -> Path:
        """The policy's ONNX file."""
        return self.folder / self.manifest.policy.file

    @property
    def observation_space(self) -> ObservationSpace:
        """What the policy must be given."""
        return ObservationSpace(tuple(self.manifest.cameras), self.manifest.joint_names)

    @property
    def action_space(self) -> ActionSpace:
        """What the policy gives back."""
        action = self.manifest.action
        return ActionSpace(action.kind, action.horizon, action.dt_s)

    def preprocess(self, camera: str) -> ImagePreprocess:
        """How images of this camera are brought to the encoder's size.

        Raises:
            SparkError: The bundle does not use this camera.
        """
        if camera not in self.manifest.cameras:
            raise SparkError(
                f"bundle {self.manifest.id} uses no camera {camera!r}: it was trained with "
                f"{', '.join(self.manifest.cameras)}; connect these or use another bundle"
            )
        entry = self.manifest.cameras[camera]
        return ImagePreprocess(entry.size, entry.crop)

    def golden(self) -> Golden:
        """The recorded inputs and outputs for the self-test.

        Raises:
            SparkError: The file is damaged, or not that of this manifest.
        """
        return read_golden(self.folder / self.manifest.golden.file, self.manifest)

    def drift(self) -> DriftStatistics | None:
        """What images are usual for the policy; None where the bundle does not know."""
        if self.manifest.drift is None:
            return None
        return read_drift(self.folder / self.manifest.drift, tuple(self.manifest.cameras))


def load_bundle(path: str | Path) -> Bundle:
    """Open the bundle in a folder or an archive.

    Args:
        path: The folder that holds `bundle.yaml`, or what `archive.pack` made of it.

    Raises:
        SparkError: There is no bundle, it is of a later version, a file is missing, changed or elsewhere, or the
            robot it was made for is not the one known here.
    """
    folder, manifest = open_files(path)
    robot = load_robot(folder / manifest.robot if manifest.robot.endswith(".yaml") else manifest.robot)
    if robot.joint_names != manifest.joint_names:
        raise SparkError(
            f"bundle {manifest.id} was made for joints {', '.join(manifest.joint_names)}, but robot {robot.name} has "
            f"{', '.join(robot.joint_names)}: use a bundle made for this robot"
        )
    return Bundle(folder, manifest, robot)


def open_files(path: str | Path) -> tuple[Path, Manifest]:
    """The folder and manifest of a folder or an archive, whatever robot the bundle is for.

    Raises:
        SparkError: As for `load_bundle`.
    """
    path = Path(path)
    return unpacked(path) if path.is_file() else (path, verify_files(path))
