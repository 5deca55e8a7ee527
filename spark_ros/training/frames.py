"""Decoded frames at the size that training needs, on disk: read in microseconds, never all in memory.

A clip becomes one file of raw pixels, named by a hash of everything that determines it. Rows are read with `pread` and
not mapped, because the pages of a map count as the process's memory and a long run would seem to swallow the data set.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from tqdm import tqdm

from spark_ros.contracts import ImageArray, SparkError
from spark_ros.data.clips import Clip
from spark_ros.data.preprocess import ImagePreprocess

LAYOUT = 1  # raise when the meaning of a file's content changes
RESERVE_BYTES = 500_000_000  # left free on the disk


class FrameStore:
    """Square frames of clips.

    Args:
        clips: The clips.
        preprocess: Camera image to the stored square.
        folder: Where files are kept; None decodes every frame when it is asked for and keeps nothing.
        stop: Asked before every clip; True ends the work with what is finished.

    Raises:
        SparkError: A frame cannot be decoded, or there is no room.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        preprocess: ImagePreprocess,
        folder: Path | None,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        self._clips, self._preprocess = clips, preprocess
        self._shape = (preprocess.size, preprocess.size, 3)
        self._paths = None if folder is None else [self._path(folder, clip) for clip in clips]
        if self._paths is not None:
            self._fill(self._paths, stop)

    def frame(self, clip: int, index: int) -> ImageArray:
        """(S, S, 3) uint8, frame `index` of clip number `clip`."""
        if self._paths is None:
            return self._preprocess(self._clips[clip].image(index))
        size = int(np.prod(self._shape))
        descriptor = os.open(self._paths[clip], os.O_RDONLY | os.O_CLOEXEC)
        try:
            data = os.pread(descriptor, size, index * size)
        finally:
            os.close(descriptor)
        return np.frombuffer(data, np.uint8).reshape(self._shape)

    def _path(self, folder: Path, clip: Clip) -> Path:
        content = [LAYOUT, clip.fingerprint, self._preprocess.size, self._preprocess.crop]
        return folder / f"{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]}.rgb"

    def _fill(self, paths: Sequence[Path], stop: Callable[[], bool]) -> None:
        missing = [(clip, path) for clip, path in zip(self._clips, paths, strict=True) if not path.exists()]
        if not missing:
            return
        folder = paths[0].parent
        count = sum(len(clip.stamps_s) for clip, _ in missing)
        needed = count * int(np.prod(self._shape))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise SparkError(f"cannot keep frames in {folder}: {error.strerror}; set cache_dir") from error
        if needed + RESERVE_BYTES > free:
            raise SparkError(
                f"{folder} has {free / 1e9:.1f} GB free, {count} frames need {needed / 1e9:.1f} GB: make room, set "
                "cache_dir, or set data.frames=decode, which keeps nothing and reads more slowly"
            )
        with tqdm(total=count, desc="decoding", unit="frame") as progress:
            for clip, path in missing:
                if stop():
                    return
                self._write(clip, path)
                progress.update(len(clip.stamps_s))

    def _write(self, clip: Clip, path: Path) -> None:
        temporary = path.with_name(f"{path.name}.{os.getpid()}.part")  # several processes may fill one folder
        try:
            with temporary.open("wb") as file:
                for index in range(len(clip.stamps_s)):  # rising order is the fastest to decode
                    file.write(self._preprocess(clip.image(index)).tobytes())
            os.replace(temporary, path)
        except OSError as error:
            raise SparkError(f"cannot write {path}: {error.strerror}; make room or set cache_dir") from error
        finally:
            temporary.unlink(missing_ok=True)
