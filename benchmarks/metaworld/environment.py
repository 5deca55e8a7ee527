"""MetaWorld's own Python environment, in the cache: it pins a MuJoCo that is not ours.

python -m benchmarks.metaworld.environment
"""

from __future__ import annotations

from pathlib import Path

from benchmarks.common import entry
from benchmarks.own_environment import OwnEnvironment, clean_variables

__all__ = ["VERSION", "clean_variables", "ensure", "folder", "is_created"]

VERSION = "3.1.1"
REQUIREMENTS = (
    f"metaworld=={VERSION}",
    "mujoco==3.3.0",  # what this MetaWorld pins; another one is another physics
    "gymnasium==1.4.0",
    "packaging",  # gymnasium's MuJoCo environments import it without asking for it
    'numpy==2.4.6; python_version >= "3.11"',
    'numpy==2.2.6; python_version < "3.11"',
)
_METAWORLD = OwnEnvironment("MetaWorld", f"metaworld-{VERSION}", REQUIREMENTS)


def folder() -> Path:
    """Where the environment is, or will be."""
    return _METAWORLD.folder


def is_created() -> bool:
    """Whether it is whole and holds what this version of the program asks for."""
    return _METAWORLD.is_created()


def ensure() -> Path:
    """The environment's interpreter; creates the environment if there is none, which takes minutes and says so.

    Raises:
        SparkError: It cannot be created.
    """
    return _METAWORLD.ensure()


def _main() -> None:
    print(f"MetaWorld's interpreter is {ensure()}")


if __name__ == "__main__":
    entry(_main)
