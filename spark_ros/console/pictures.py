"""Live pictures for any number of viewers: each is packed once, and only if somebody wants to see it.

A viewer asks for the next picture when it has shown the last one, so that a slow one sees fewer and never old ones.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import Executor
from contextlib import contextmanager

import cv2
import numpy as np

from spark_ros.console.session import Session
from spark_ros.contracts import SparkError
from spark_ros.data.cdr_messages import decode_frame

POLL_S = 0.02
SILENT_S = 1.0  # a camera that has sent nothing for so long is said to be silent
QUALITY = 75  # of JPEG: for looking, not for learning


class LivePictures:
    """The cameras of a session, for viewers of one event loop.

    Args:
        session: Where the pictures come from.
        pool: Where they are packed.
        period_s: Least time between two pictures of a camera.
        width: Pictures wider than that are made smaller, in pixels.
    """

    def __init__(self, session: Session, pool: Executor, period_s: float = 0.1, width: int = 640) -> None:
        self._session, self._pool, self._period_s, self._width = session, pool, period_s, width
        self._viewers: Counter[str] = Counter()
        self._packed: dict[str, tuple[int, bytes, float]] = {}  # number, JPEG, when
        self._locks: dict[str, asyncio.Lock] = {}

    @contextmanager
    def watching(self, camera: str) -> Iterator[None]:
        """Somebody looks while the block runs."""
        self._viewers[camera] += 1
        self._session.watch(set(self._viewers))
        try:
            yield
        finally:
            self._viewers[camera] -= 1
            if not self._viewers[camera]:
                del self._viewers[camera]
                self._packed.pop(camera, None)
                self._locks.pop(camera, None)
            self._session.watch(set(self._viewers))

    async def next(self, camera: str, after: int) -> tuple[int, bytes] | None:
        """The next picture: its number and its JPEG bytes; None if none came for a while.

        Args:
            camera: Name of a camera that is being watched.
            after: Number of the picture that the viewer has.

        Raises:
            SparkError: The camera sends something that is no picture.
        """
        deadline = time.monotonic() + SILENT_S
        while time.monotonic() < deadline:
            async with self._locks.setdefault(camera, asyncio.Lock()):
                number, jpeg, when = self._packed.get(camera, (0, b"", float("-inf")))
                newest = self._session.picture(camera)
                if newest is not None and newest[0] != number and time.monotonic() - when >= self._period_s:
                    number, cdr = newest
                    when = time.monotonic()
                    loop = asyncio.get_running_loop()
                    jpeg = await loop.run_in_executor(self._pool, live_jpeg, cdr, camera, self._width)
                    self._packed[camera] = number, jpeg, when
            if jpeg and number != after:
                return number, jpeg
            await asyncio.sleep(POLL_S)
        return None


def live_jpeg(cdr: bytes, camera: str, width: int) -> bytes:
    """A `sensor_msgs/Image` as JPEG of at most this width.

    Raises:
        SparkError: It is no colour image.
    """
    return to_jpeg(decode_frame(cdr, camera).image, width)


def to_jpeg(image: np.ndarray, width: int) -> bytes:
    """(H, W, 3) uint8 RGB as JPEG of at most this width.

    Raises:
        SparkError: It cannot be packed.
    """
    height = image.shape[0] * width // max(image.shape[1], 1)
    if image.shape[1] > width and height > 0:
        image = cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA)
    done, data = cv2.imencode(".jpg", cv2.cvtColor(image, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, QUALITY])
    if not done:
        raise SparkError(f"a picture of {image.shape[1]}x{image.shape[0]} could not be packed as JPEG")
    return data.tobytes()
