"""LeRobot's own Python environment, in the cache: it asks for other versions of torch and PyAV than we have.

    python -m benchmarks.lerobot.environment

0.4.4 is the newest that runs on Python 3.11, which the CPU build of torch is for. It is installed without what it asks
for beside its datasets: that would bring CUDA, simulators and drivers of robots. torchcodec, its decoder, looks for an
FFmpeg of the system; PyAV carries one, which is put in its way.
"""

from __future__ import annotations

import re
from pathlib import Path

from benchmarks.common import entry
from benchmarks.own_environment import OwnEnvironment, clean_variables

VERSION = "0.4.4"
REQUIREMENTS = (
    "torch==2.13.0",  # the build that torchvision 0.28 and torchcodec 0.13 belong to
    "datasets==4.8.5",
    "huggingface-hub==0.36.2",
    "av==15.1.0",  # what this LeRobot asks for; FFmpeg 7, which torchcodec knows
    "draccus==0.10.0",
    "accelerate==1.15.0",
    "numpy==2.2.6",
    "pandas==3.1.1",
    "pyarrow==26.0.1",
    "pillow==13.0.0",
    "einops",
    "jsonlines",
    "deepdiff",
    "termcolor",
    "packaging",
)
WITHOUT_DEPENDENCIES = (f"lerobot=={VERSION}", "torchvision==0.28.0", "torchcodec==0.13.0")
_HASHED = re.compile(r"^(lib\w+)-[0-9a-f]+\.so\.(\d+).*$")


def _lend_ffmpeg(folder: Path) -> None:
    """Links to PyAV's FFmpeg under the names by which programs look for one, and under its own for one another."""
    ours = folder / "ffmpeg"
    ours.mkdir()
    for library in folder.glob("lib/python*/site-packages/av.libs/*"):
        for name in {library.name, _HASHED.sub(r"\1.so.\2", library.name)}:
            if not (ours / name).exists():
                (ours / name).symlink_to(library)


LEROBOT = OwnEnvironment("LeRobot", f"lerobot-{VERSION}", REQUIREMENTS, WITHOUT_DEPENDENCIES, _lend_ffmpeg)


def variables() -> dict[str, str]:
    """The environment variables for a program in it; it shall not ask a hub for anything."""
    offline = {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "HF_HOME": str(LEROBOT.folder / "home")}
    return {**clean_variables(), **offline, "LD_LIBRARY_PATH": str(LEROBOT.folder / "ffmpeg")}


def _main() -> None:
    print(f"LeRobot's interpreter is {LEROBOT.ensure()}")


if __name__ == "__main__":
    entry(_main)
