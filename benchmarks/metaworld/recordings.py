"""Where recordings of the MetaWorld tasks are kept, and how a folder says the way in which they were made."""

from __future__ import annotations

import fcntl
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.metaworld.tasks import IMAGE_SIZE, RECORDING, TASKS
from spark_ros.contracts import SparkError
from spark_ros.shares import cache_dir


def recording_folder(kind: str, task: str) -> Path:
    """The folder of a task's recordings of one kind, ``demos`` or ``video``, in the cache.

    Raises:
        SparkError: There is no such task.
    """
    if task not in TASKS:
        raise SparkError(f"there is no MetaWorld task {task!r} here: expected one of {', '.join(TASKS)}")
    return cache_dir() / "metaworld5" / kind / task


@contextmanager
def open_recordings(kind: str, task: str) -> Iterator[Path]:
    """The same folder, made if need be and marked with how its contents are recorded, for this process alone.

    Raises:
        SparkError: There is no such task, or the folder holds what was recorded in another way.
    """
    folder = recording_folder(kind, task)
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / ".lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # another program may want the same recordings: let it find them made
        about = {"recording": RECORDING, "image_size": IMAGE_SIZE, "horizon": TASKS[task].horizon}
        path = folder / "about.json"
        if not path.exists():
            path.write_text(json.dumps(about) + "\n", encoding="utf-8")
        elif json.loads(path.read_text(encoding="utf-8")) != about:
            raise SparkError(f"{folder} was recorded with another camera or horizon: delete it, or set XDG_CACHE_HOME")
        yield folder
