"""Folders and files that are there whole or not at all: written under another name, and renamed when all is in them."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spark_ros.contracts import SparkError

_SUFFIX = ".part"


@contextmanager
def staged_folder(out: Path) -> Iterator[Path]:
    """A folder to write into, that gets the name `out` when the block ends without an error, and else disappears.

    Args:
        out: The folder in the end; must not exist, or be empty.

    Raises:
        SparkError: `out` holds something already, or cannot be written, e.g. because the disk is full.
    """
    out = out.expanduser()
    if out.is_symlink() or out.is_file() or (out.is_dir() and any(out.iterdir())):
        raise SparkError(f"{out} exists already and is never overwritten: choose another folder")
    staging = out.with_name(f".{out.name}{_SUFFIX}")
    try:
        shutil.rmtree(staging, ignore_errors=True)  # of a process that was killed
        staging.mkdir(parents=True)
        yield staging
        if out.is_dir():
            out.rmdir()
        os.rename(staging, out)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())[:120]
        raise SparkError(f"cannot write {out}: {reason}; make room or choose another folder") from error
    finally:
        shutil.rmtree(staging, ignore_errors=True)


@contextmanager
def staged_file(out: Path) -> Iterator[Path]:
    """A name to write a file under, that gets the name `out` when the block ends without an error, and else disappears.

    Args:
        out: The file in the end; must not exist.

    Raises:
        SparkError: `out` exists, or cannot be written, e.g. because the disk is full.
    """
    out = out.expanduser()
    if out.exists() or out.is_symlink():
        raise SparkError(f"{out} exists already and is never overwritten: choose another name")
    staging = out.with_name(f".{out.name}{_SUFFIX}")
    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        yield staging
        os.rename(staging, out)
    except OSError as error:
        reason = error.strerror or " ".join(str(error).split())[:120]
        raise SparkError(f"cannot write {out}: {reason}; make room or choose another name") from error
    finally:
        staging.unlink(missing_ok=True)
