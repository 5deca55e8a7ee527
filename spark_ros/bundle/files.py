"""A bundle's folder, checked: every file is there, is the one that was exported, lies there and may be opened."""

from __future__ import annotations

from pathlib import Path

from spark_ros.bundle.contents import check_contents
from spark_ros.bundle.manifest import MANIFEST_FILE, Manifest, parse_manifest
from spark_ros.bundle.strict_yaml import MAX_CHARACTERS
from spark_ros.contracts import SparkError
from spark_ros.data.file_hash import file_sha256


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
