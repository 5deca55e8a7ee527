"""Opening a bundle: every file is there, is the one that was exported, lies in the bundle's folder and may be opened.

This module and everything it imports works without torch.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from spark_ros.bundle.contents import check_contents
from spark_ros.bundle.drift import DriftStatistics, read_drift
from spark_ros.bundle.golden import Golden, read_golden
from spark_ros.bundle.manifest import MANIFEST_FILE, Manifest, parse_manifest
from spark_ros.bundle.strict_yaml import MAX_CHARACTERS
from spark_ros.contracts import ActionSpace, ObservationSpace, SparkError
from spark_ros.data.dataset_folder import file_sha256
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
    """Open the bundle in a folder.

    Args:
        path: The folder that holds `bundle.yaml`.

    Raises:
        SparkError: There is no bundle, it is of a later version, a file is missing, changed or elsewhere, or the
            robot it was made for is not the one known here.
    """
    folder = Path(path)
    manifest = verify_files(folder)
    robot = load_robot(folder / manifest.robot if manifest.robot.endswith(".yaml") else manifest.robot)
    if robot.joint_names != manifest.joint_names:
        raise SparkError(
            f"bundle {manifest.id} was made for joints {', '.join(manifest.joint_names)}, but robot {robot.name} has "
            f"{', '.join(robot.joint_names)}: use a bundle made for this robot"
        )
    return Bundle(folder, manifest, robot)


def verify_files(folder: Path) -> Manifest:
    """The manifest of a folder whose files are those that were exported, whatever robot they are for.

    Raises:
        SparkError: As for `load_bundle`.
    """
    manifest_file = folder / MANIFEST_FILE
    if not manifest_file.is_file():
        raise SparkError(f"no bundle at {folder}: {_neighbours(folder)}")
    manifest = parse_manifest(read_manifest_text(manifest_file), str(manifest_file))
    for name, expected in manifest.files.items():
        _check_file(manifest_file, name, expected)
    check_contents(folder, manifest)
    return manifest


def read_manifest_text(file: Path) -> str:
    """The text of a manifest, or of something that claims to be one.

    Raises:
        SparkError: It cannot be read, or is no text of a manifest's length.
    """
    try:
        with file.open("rb") as stream:
            content = stream.read(MAX_CHARACTERS + 1)
        if len(content) > MAX_CHARACTERS:
            raise SparkError(f"{file} has more than {MAX_CHARACTERS} bytes, which no manifest has: export again")
        return content.decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SparkError(f"{file} cannot be read ({error}): restore it or export again") from error


def _check_file(manifest_file: Path, name: str, expected: str) -> None:
    path = manifest_file.parent / name
    # A workspace built with symlinks links the manifest and its files alike; anything else is a way out of the bundle.
    if path.resolve().parent != manifest_file.resolve().parent:
        raise SparkError(
            f"{path} is a link to {path.resolve()}, outside the bundle: copy the bundle with its files, without links"
        )
    if not path.is_file():
        raise SparkError(f"{path} is missing from the bundle: copy it again or export again")
    try:
        found = file_sha256(path)
    except OSError as error:
        raise SparkError(f"{path} cannot be read ({error.strerror}): check its permissions or copy it again") from error
    if found != expected:
        raise SparkError(
            f"{path} is not the file that was exported (SHA-256 {found[:12]}…, expected {expected[:12]}…): "
            "copy the bundle again or export again"
        )


def _neighbours(folder: Path) -> str:
    """What the user may have meant: the folder itself may hold bundles, or its parent."""
    for place in (folder, folder.parent):
        if names := sorted(entry.parent.name for entry in place.glob(f"*/{MANIFEST_FILE}")):
            return f"{place} holds {', '.join(names)}; choose one of these"
    return f"there is none beside it either; give the folder that holds {MANIFEST_FILE}"
