"""Bundles in a repository of a model hub: pushed as files, pulled by the commit that the push returned.

A branch moves, a commit does not: what is pulled is what was pushed, and every byte is held against the manifest's
hashes once more. `huggingface_hub` is an optional dependency, and nothing else about bundles uses the network.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from spark_ros.bundle.archive import MAX_FILE_BYTES
from spark_ros.bundle.files import read_manifest_text, verify_files
from spark_ros.bundle.manifest import MANIFEST_FILE, Manifest, parse_manifest
from spark_ros.bundle.strict_yaml import MAX_CHARACTERS
from spark_ros.contracts import SparkError
from spark_ros.hub import one_sentence

if TYPE_CHECKING:
    from huggingface_hub import HfApi

_REFERENCE = re.compile(r"(?P<repo>[\w.-]+/[\w.-]+)@(?P<commit>[0-9a-f]{40})")


@dataclass(frozen=True)
class Pushed:
    """Where a bundle went.

    Attributes:
        manifest: Of the bundle.
        reference: ``<user>/<repository>@<commit>``, what `pull` takes.
    """

    manifest: Manifest
    reference: str


def push(folder: Path, repo: str, private: bool = True, endpoint: str | None = None) -> Pushed:
    """Upload a bundle as one commit, into a repository that is made if it is not there.

    Args:
        folder: The bundle's folder.
        repo: ``<user>/<repository>``.
        private: Whether a repository that is made can be seen by its owner alone.
        endpoint: The hub; by default that of the library's own settings.

    Raises:
        SparkError: The folder holds no sound bundle, or the hub refuses.
    """
    manifest = verify_files(folder)
    api = _api(endpoint)
    from huggingface_hub import CommitOperationAdd

    with one_sentence(f"could not push {manifest.id} to {repo}"):
        api.create_repo(repo, private=private, exist_ok=True)
        files = [CommitOperationAdd(name, str(folder / name)) for name in (MANIFEST_FILE, *sorted(manifest.files))]
        commit = api.create_commit(repo, files, commit_message=f"Bundle {manifest.id}")
        return Pushed(manifest, f"{repo}@{commit.oid}")


def pull(reference: str, folder: Path, endpoint: str | None = None) -> Manifest:
    """Download a bundle into a new folder, which appears whole and checked or not at all.

    Args:
        reference: ``<user>/<repository>@<commit>``.
        folder: Where to.
        endpoint: As for `push`.

    Raises:
        SparkError: The reference names no commit, the hub does not have it, or what it has is no sound bundle.
    """
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        raise SparkError(
            f"{reference!r} names no commit: give <user>/<repository>@<40 hex digits>, which `spark-ros bundle push` "
            "printed; a branch may hold another bundle tomorrow"
        )
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise SparkError(f"{folder} is already there: pull to a new folder")
    repo, commit = match["repo"], match["commit"]
    api = _api(endpoint)
    with one_sentence(f"could not pull {reference}"):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as workshop:
            inner, loading = Path(workshop) / "bundle", Path(workshop) / "download"
            inner.mkdir()
            _fetch(api, repo, commit, [MANIFEST_FILE], loading, MAX_CHARACTERS)
            file = loading / MANIFEST_FILE
            manifest = parse_manifest(read_manifest_text(file), f"{reference}:{MANIFEST_FILE}")
            _fetch(api, repo, commit, sorted(manifest.files), loading, MAX_FILE_BYTES)
            for name in (MANIFEST_FILE, *manifest.files):
                shutil.move(loading / name, inner / name)
            verify_files(inner)
            os.replace(inner, folder)
    return manifest


def _fetch(api: HfApi, repo: str, commit: str, names: list[str], target: Path, limit: int) -> None:
    """Download files none of which is larger than the limit by the hub's own word."""
    sizes = {found.path: getattr(found, "size", None) for found in api.get_paths_info(repo, names, revision=commit)}
    for name in names:
        size = sizes.get(name)
        if size is None:
            raise SparkError(f"{repo}@{commit[:12]} holds no {name}: it is no bundle, or was not pushed whole")
        if size > limit:
            raise SparkError(
                f"{name} of {repo}@{commit[:12]} has {size / 1e6:.1f} MB, expected at most {limit / 1e6:.1f} MB: "
                "no bundle looks like this"
            )
    for name in names:
        api.hf_hub_download(repo, name, revision=commit, local_dir=target)


def _api(endpoint: str | None) -> HfApi:
    try:
        from huggingface_hub import HfApi
    except ImportError as error:
        raise SparkError(
            f"a hub needs the package huggingface_hub, which cannot be imported ({error}): pip install "
            "'spark_ros[hub]', or carry the bundle as one file (spark-ros bundle pack)"
        ) from error
    return HfApi(endpoint=endpoint)
