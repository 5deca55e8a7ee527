"""From subscriptions to the disk without either waiting for the other."""

from __future__ import annotations

import threading
from collections import Counter
from collections.abc import Mapping
from queue import Full, Queue

from spark_ros.contracts import SparkError
from spark_ros.data.cdr import has_header, header_stamp_ns
from spark_ros.data.episode_writer import EpisodeWriter

Entry = tuple[str, str, bytes, int]  # topic, type, CDR bytes, time of reception in ns


class EpisodeQueue:
    """An episode being written by a thread of its own.

    Args:
        writer: The episode's file.
        capacity: Messages that may wait for the disk; the next one is dropped and counted.

    Attributes:
        writer: The episode's file; not to be touched before `finish`.
        dropped: Messages lost because the disk did not keep up, by topic.
    """

    def __init__(self, writer: EpisodeWriter, capacity: int) -> None:
        self.writer = writer
        self.dropped: Counter[str] = Counter()
        self._queue: Queue[Entry | None] = Queue(capacity)
        self._error: SparkError | None = None
        self._thread = threading.Thread(target=self._write, name="episode writer", daemon=True)
        self._thread.start()

    def offer(self, topic: str, message_type: str, cdr: bytes, received_ns: int) -> None:
        """Take a message without waiting."""
        try:
            self._queue.put_nowait((topic, message_type, cdr, received_ns))
        except Full:
            self.dropped[topic] += 1

    @property
    def counts(self) -> Mapping[str, int]:
        """Messages written so far, by topic."""
        return self.writer.counts

    @property
    def waiting(self) -> int:
        """Messages that wait for the disk."""
        return self._queue.qsize()

    @property
    def error(self) -> SparkError | None:
        """Why nothing is written any more."""
        return self._error

    def finish(self) -> None:
        """Write what waits; afterwards the writer is free to be closed or discarded.

        Raises:
            SparkError: Something could not be written.
        """
        self._queue.put(None)
        self._thread.join()
        if self._error is not None:
            raise self._error

    def _write(self) -> None:
        while (entry := self._queue.get()) is not None:
            topic, message_type, cdr, received_ns = entry
            if self._error is not None:
                self.dropped[topic] += 1
                continue
            try:
                published_ns = header_stamp_ns(cdr) if has_header(message_type) else received_ns
                self.writer.write(topic, message_type, cdr, received_ns, published_ns)
            except SparkError as error:
                self._error = error
            except Exception as error:  # the thread must live on: `finish` waits for it
                self._error = SparkError(f"a message of {topic} was not recorded ({type(error).__name__}: {error})")
