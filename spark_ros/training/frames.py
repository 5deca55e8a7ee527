"""Decoded frames at the size that training needs, on disk: read in microseconds, never all in memory.

A clip becomes one .npy file, named by a hash of everything that determines it; it appears whole or not at all. Rows are
read with `pread` and not mapped, because the pages of a map count as the process's memory and a long run would seem to
swallow the data set.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
from tqdm import tqdm

from spark_ros.contracts import ImageArray, SparkError
from spark_ros.data.clips import Clip
from spark_ros.data.preprocess import ImagePreprocess

LAYOUT = 3  # raise when the meaning of a file's content changes
RESERVE_BYTES = 500_000_000  # left free on the disk
MOST_WRITERS = 8  # clips decoded side by side


class FrameStore:
    """Square frames of clips, never larger than the camera's own.

    Args:
        clips: The clips.
        preprocess: Camera image to the stored square.
        folder: Where files are kept; None decodes every frame when it is asked for and keeps nothing.
        stop: Asked now and then; True ends the work with what is finished.

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
        self._clips, self._preprocess, self._stop = clips, preprocess, stop
        self._paths = None if folder is None else [self._path(folder, clip) for clip in clips]
        self._stored: dict[int, _Stored] = {}
        if self._paths is not None:
            self._fill(self._paths)

    def frame(self, clip: int, index: int) -> ImageArray:
        """(Q, Q, 3) uint8, frame `index` of clip number `clip`; Q is the store's size, or the camera's if less.

        Raises:
            SparkError: It cannot be decoded, or its file has gone.
        """
        if self._paths is None:
            return self._square(self._clips[clip].image(index))
        path = self._paths[clip]
        try:
            if clip not in self._stored:
                self._stored[clip] = _look(path, len(self._clips[clip].stamps_s))
            stored = self._stored[clip]
            descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
            try:
                data = os.pread(descriptor, stored.size, stored.offset + index * stored.size)
            finally:
                os.close(descriptor)
            return np.frombuffer(data, np.uint8).reshape(stored.side, stored.side, 3)
        except (OSError, ValueError) as error:
            raise SparkError(
                f"{path} has gone or is damaged ({error}): delete it if it is there, start again"
            ) from error

    def _square(self, image: ImageArray) -> ImageArray:
        side = min(*image.shape[:2], self._preprocess.size)
        return ImagePreprocess(side, self._preprocess.crop)(image)

    def _path(self, folder: Path, clip: Clip) -> Path:
        content = [LAYOUT, clip.fingerprint, len(clip.stamps_s), self._preprocess.size, self._preprocess.crop]
        return folder / f"{hashlib.sha256(json.dumps(content).encode()).hexdigest()[:32]}.npy"

    def _fill(self, paths: Sequence[Path]) -> None:
        missing = [(clip, path) for clip, path in zip(self._clips, paths, strict=True) if not path.exists()]
        if not missing:
            return
        folder, count = paths[0].parent, sum(len(clip.stamps_s) for clip, _ in missing)
        needed = count * 3 * self._preprocess.size**2
        try:
            folder.mkdir(parents=True, exist_ok=True)
            free = shutil.disk_usage(folder).free
        except OSError as error:
            raise SparkError(f"cannot keep frames in {folder}: {error.strerror}; set cache_dir") from error
        if needed + RESERVE_BYTES > free:
            raise SparkError(
                f"{folder} has {free / 1e9:.1f} GB free, {count} frames may need {needed / 1e9:.1f} GB: make room, set "
                "cache_dir, or set data.frames=decode, which keeps nothing and reads more slowly"
            )
        with tqdm(total=count, desc="decoding", unit="frame") as progress:
            pool = ThreadPoolExecutor(min(MOST_WRITERS, os.cpu_count() or 1))
            try:
                for written in pool.map(lambda entry: self._write(*entry), missing):
                    progress.update(written)
            finally:
                pool.shutdown(cancel_futures=True)

    def _write(self, clip: Clip, path: Path) -> int:
        """Write a clip's file unless another process does; the number of its frames."""
        part = path.with_name(f"{path.name}.part")
        try:
            with _alone(part, path) as file:
                if file is not None and not self._stop():
                    self._write_frames(clip, file)
                    file.flush()
                    os.replace(part, path)
        except OSError as error:
            raise SparkError(f"cannot write {path}: {error.strerror}; make room or set cache_dir") from error
        return len(clip.stamps_s)

    def _write_frames(self, clip: Clip, file: BinaryIO) -> None:
        for index, image in enumerate(clip.images()):
            square = self._square(image)
            if index == 0:
                shape, side = (len(clip.stamps_s), *square.shape), square.shape[0]
                header = {"descr": "|u1", "fortran_order": False, "shape": shape}
                np.lib.format.write_array_header_1_0(file, header)
            if square.shape[0] != side:
                raise SparkError(
                    f"{clip.name} {clip.camera}: frame {index} has another size than the first; record it again or "
                    "leave it out"
                )
            file.write(square.tobytes())


class _Stored(NamedTuple):
    """Of a file: where its frames begin, their side in pixels, and the bytes of one."""

    offset: int
    side: int
    size: int


def _look(path: Path, count: int) -> _Stored:
    """What a file holds.

    Raises:
        OSError: It cannot be read.
        ValueError: It does not hold `count` frames.
    """
    mapped = np.load(path, mmap_mode="r")
    side = mapped.shape[1]
    if mapped.shape != (count, side, side, 3) or mapped.dtype != np.uint8:
        raise ValueError(f"it holds {mapped.dtype} {mapped.shape}")
    return _Stored(mapped.offset, side, 3 * side * side)


@contextmanager
def _alone(part: Path, path: Path) -> Iterator[BinaryIO | None]:
    """`part`, empty and locked; None if, once it is ours, another process has finished `path`.

    The lock dies with its process, so that what a killed one left is taken over.
    """
    while True:
        with part.open("ab") as file:
            fcntl.flock(file, fcntl.LOCK_EX)
            ours = part.exists() and os.path.samestat(os.fstat(file.fileno()), part.stat())
            if path.exists():
                if ours:
                    part.unlink()
                yield None
                return
            if ours:
                file.truncate(0)
                try:
                    yield file
                finally:
                    if not path.exists():
                        part.unlink(missing_ok=True)
                return
        # Whoever had the lock before gave up and removed the file: try again with another.
