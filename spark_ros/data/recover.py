"""Recovery of torn recordings that leaves what was torn as it is, under another name.

Everything up to the last whole chunk (outside of chunks: the last whole message) becomes an episode. The torn file's
bytes stay on the disk as ``<name>.mcap.torn``, which no program here reads: whoever knows better may try again.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path

from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder, EpisodeEntry
from spark_ros.data.episode_writer import PART_SUFFIX, recover_episode
from spark_ros.data.mcap_scan import McapScan

TORN_SUFFIX = ".torn"


def recover_listed(folder: DemoFolder, path: Path) -> EpisodeEntry:
    """Make an episode of a file of a folder that does not count, and list it.

    Args:
        folder: Inside `DemoFolder.recording`.
        path: One of `DemoFolder.unfinished`; a whole one is listed as it is.

    Raises:
        SparkError: Nothing of it is left, or it cannot be listed; the file then stays as it was.
    """
    if path.suffix != PART_SUFFIX and _is_whole(path):
        return folder.add(path)
    name = path.name.removesuffix(PART_SUFFIX)
    torn, part = path.with_name(name + TORN_SUFFIX), path.with_name(name + PART_SUFFIX)
    if torn.exists():
        raise SparkError(f"{torn} is of an earlier recovery and is never overwritten: move it elsewhere")
    try:
        _also(path, torn)
        if path != part:
            os.rename(path, part)  # a torn file that has the name of a finished one
        return folder.recover(part)
    except SparkError:
        if part.exists():
            os.replace(part, path)
            torn.unlink(missing_ok=True)
        raise
    except OSError as error:
        raise SparkError(f"cannot recover {path}: {error.strerror}; make room and run it again") from error


def recover_single(path: Path, out: Path) -> Path:
    """Make an episode of a torn file anywhere; the file itself is only read.

    Args:
        path: The file.
        out: The episode's file, ending in ``.mcap``; must not exist.

    Raises:
        SparkError: The file is whole, is missing, or nothing of it is left; `out` exists or cannot be written.
    """
    if _is_whole(path):
        raise SparkError(f"{path} is whole: there is nothing to recover")
    if out.suffix != ".mcap" or out.exists():
        raise SparkError(f"the episode was to be written to {out}, expected a new name that ends in .mcap")
    part = out.with_name(out.name + PART_SUFFIX)
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(path, part)
        return recover_episode(part)
    except OSError as error:
        raise SparkError(f"cannot write {out}: {error.strerror}; make room or choose another folder") from error
    finally:
        part.unlink(missing_ok=True)


def _is_whole(path: Path) -> bool:
    scan = McapScan(path)
    for _ in scan:
        pass
    return scan.complete


def _also(path: Path, other: Path) -> None:
    """A second name for a file, or a copy where the file system knows no second names."""
    try:
        os.link(path, other)
    except OSError:
        shutil.copyfile(path, other)
