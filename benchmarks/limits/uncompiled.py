"""Runs the sources of what is compiled as they are, in this process; call before anything of ours is imported."""

from __future__ import annotations

import sys
from importlib.machinery import EXTENSION_SUFFIXES, ExtensionFileLoader, FileFinder, SourceFileLoader


def prefer_sources() -> None:
    """From now on, of a source and a compiled module of the same name the source is imported."""
    assert not any(name.startswith(("spark_ros.robots", "spark_ros.control")) for name in sys.modules), "too late"
    loaders = (SourceFileLoader, [".py"]), (ExtensionFileLoader, EXTENSION_SUFFIXES)
    sys.path_hooks.insert(0, FileFinder.path_hook(*loaders))
    sys.path_importer_cache.clear()
