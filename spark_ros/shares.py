"""Where the package's launch/, config/, models/ and calibration/ lie on this machine.

They move: beside the code in a source checkout (and under `colcon build --symlink-install`), under
``<prefix>/share/spark_ros`` once installed by colcon, apt or pip. The copy nearest to the running code wins,
so a parameter file always belongs to the version of the node that reads it.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from spark_ros.contracts import SparkError

PACKAGE = "spark_ros"
BUNDLE_SUFFIX = ".tar"  # of a bundle packed into one file


def share_directory() -> Path:
    """The folder that holds package.xml, launch/ and config/.

    Raises:
        SparkError: None of the places where an installation puts it has it.
    """
    looked = []
    for candidate in _candidates():
        if (candidate / "package.xml").is_file() and (candidate / "config").is_dir():
            return candidate
        looked.append(str(candidate))
    raise SparkError(
        f"the share folder of {PACKAGE} is in none of {', '.join(looked)}; "
        "install the package again (pip install . or colcon build), or source the workspace it was built in"
    )


def config_file(name: str) -> Path:
    """A file of config/ by name, e.g. ``gateway.yaml``.

    Raises:
        SparkError: There is no such file.
    """
    folder = share_directory() / "config"
    path = folder / name
    if not path.is_file():
        raise SparkError(f"no {name} in {folder}; it is part of the package, so install {PACKAGE} again")
    return path


def bundle_directory(name_or_path: str) -> Path:
    """A bundle by path, or by the name of a folder in models/.

    Returns:
        The bundle's folder; or the archive, where the path is that of a packed bundle. `bundle.load` opens either.

    Raises:
        SparkError: Neither the path nor a bundle of that name exists.
    """
    given = Path(name_or_path).expanduser()
    share = share_directory()
    for candidate in (given, share / given, share / "models" / given):
        if candidate.is_dir() or (candidate.is_file() and candidate.suffix == BUNDLE_SUFFIX):
            return candidate.resolve()
    models = share / "models"
    names = sorted(p.name for p in models.iterdir() if p.is_dir()) if models.is_dir() else []
    raise SparkError(
        f"no bundle '{name_or_path}': it is neither a folder, nor a packed {BUNDLE_SUFFIX}, nor one of the bundles "
        f"in {models} ({', '.join(names) or 'none there'}); give a path, or make one with `spark-ros export`"
    )


def _candidates() -> Iterator[Path]:
    package = Path(__file__).resolve().parent
    yield package.parent  # a source checkout
    for parent in package.parents:  # <prefix>/lib/pythonX.Y/site-packages/spark_ros
        yield parent / "share" / PACKAGE
    for prefix in os.environ.get("AMENT_PREFIX_PATH", "").split(os.pathsep):
        if prefix:
            yield Path(prefix) / "share" / PACKAGE
    yield Path(sys.prefix) / "share" / PACKAGE


def cache_dir() -> Path:
    """`$XDG_CACHE_HOME/spark_ros`, by default `~/.cache/spark_ros`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "spark_ros"
