"""Whether the modules that were compiled are what the sources beside them say.

A compiled module is taken instead of the `.py` beside it. Who edits a source and does not compile it would go on
running what the arm ran before, without a sign of it; so the rooms that have such modules refuse that.
"""

from __future__ import annotations

import hashlib
import json
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path

PACKAGE = Path(__file__).parent
RECORD = "compiled.json"  # written by setup.py: SHA-256 of every source of a compiled module


def compiled_modules(package: Path = PACKAGE) -> list[str]:
    """The modules, such as ``control/limiter``, that this interpreter takes compiled."""
    found = {path for suffix in EXTENSION_SUFFIXES for path in package.glob(f"*/*{suffix}")}
    return sorted(f"{path.parent.name}/{path.name.split('.')[0]}" for path in found)


def refuse_stale(package: Path = PACKAGE) -> None:
    """Call before the first compiled module is imported.

    Raises:
        ImportError: A source has changed since it was compiled, or nobody knows.
    """
    modules = compiled_modules(package)
    if not modules:
        return
    try:
        record = json.loads((package / RECORD).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        record = {}
    for module in modules:
        for source in (f"{module}.py", f"{module}.pxd"):
            path = package / source
            # An installation without the source has nothing that could differ.
            if path.is_file() and record.get(source) != hashlib.sha256(path.read_bytes()).hexdigest():
                raise ImportError(
                    f"{path} is not what its compiled module was made from: compile it with 'pip install -e .' (or any "
                    f"make target), or run it uncompiled after 'rm {package}/*/*.so'"
                )
