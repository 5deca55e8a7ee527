"""From subscriptions to the disk without either waiting for the other."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue

from spark_ros.contracts import SparkError
from spark_ros.data.cdr import has_header, header_stamp_ns
from spark_ros.data.cdr_messages import IMAGE
from spark_ros.data.episode_writer import EpisodeWriter
from spark_ros.data.image_storage import COMPRESSED_SUFFIX, ImageStorage, pack_image

# Together under a second: what is older than that is on the disk, whatever happens to the process or the power.
FLUSH_S = 0.4
SYNC_S = 0.3

Packed = tuple[str, bytes] | None  # type and CDR bytes of a packed image; None where it stays as it is
Entry = tuple[str, str, bytes, int, "Future[Packed] | None"]  # topic, type, CDR bytes, received ns, packed


class ImagePacker:
    """Threads of their own that pack images, shared by all episodes of a recorder.

    Args:
        storage: PNG or JPEG.
        jpeg_quality: 1 to 100.
        threads: How many.
    """

    def __init__(self, storage: ImageStorage, jpeg_quality: int, threads: int) -> None:
        self._storage, self._quality = storage, jpeg_quality
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="image packer")

    def submit(self, cdr: bytes) -> Future[Packed]:
        """Pack an image as soon as a thread is free."""
        return self._pool.submit(pack_image, cdr, self._storage, self._quality)

    def close(self) -> None:
        """End the threads."""
        self._pool.shutdown(cancel_futures=True)


class EpisodeQueue:
    """An episode being written by a thread of its own; another one puts what is written on the disk.

    Args:
        writer: The episode's file.
        capacity_bytes: Bytes that may wait for the disk; a message beyond is dropped and counted.
        packer: Packs its images; None to store them as they are.

    Attributes:
        writer: The episode's file; not to be touched before `finish`.
        counts: Messages taken so far, by topic; some may still wait for the disk.
        dropped: Messages lost because disk or packers did not keep up, by topic.
    """

    def __init__(self, writer: EpisodeWriter, capacity_bytes: int, packer: ImagePacker | None = None) -> None:
        self.writer = writer
        self.counts: Counter[str] = Counter()
        self.dropped: Counter[str] = Counter()
        self._capacity, self._packer = capacity_bytes, packer
        self._queue: SimpleQueue[Entry | None] = SimpleQueue()
        self._lock = threading.Lock()
        self._waiting_bytes = 0
        self._error: SparkError | None = None
        self._done = threading.Event()
        self._writing = threading.Thread(target=self._write, name="episode writer", daemon=True)
        self._syncing = threading.Thread(target=self._sync, name="episode sync", daemon=True)
        self._writing.start()
        self._syncing.start()

    def offer(self, topic: str, message_type: str, cdr: bytes, received_ns: int) -> None:
        """Take a message without waiting."""
        with self._lock:
            if self._error is not None or self._waiting_bytes + len(cdr) > self._capacity:
                self.dropped[topic] += 1
                return
            self._waiting_bytes += len(cdr)
            self.counts[topic] += 1
        packed = self._packer.submit(cdr) if self._packer is not None and message_type == IMAGE else None
        self._queue.put((topic, message_type, cdr, received_ns, packed))

    @property
    def waiting_mb(self) -> float:
        """What waits for packers and disk, MB."""
        return self._waiting_bytes * 1e-6

    @property
    def error(self) -> SparkError | None:
        """Why nothing is written any more."""
        return self._error

    def finish(self) -> None:
        """Write what waits, once; afterwards the writer is free to be closed or discarded.

        Raises:
            SparkError: Something could not be written.
        """
        if self._writing.is_alive():
            self._queue.put(None)
            self._writing.join()
        self._done.set()
        self._syncing.join()
        if self._error is not None:
            raise self._error

    def _write(self) -> None:
        flushed = time.monotonic()
        while True:
            try:
                entry = self._queue.get(timeout=max(0.0, flushed + FLUSH_S - time.monotonic()))
            except Empty:
                entry = ("", "", b"", 0, None)
            if entry is None:
                return
            topic, _, cdr, _, _ = entry
            if topic:
                self._attempt(self._store, *entry)
                with self._lock:
                    self._waiting_bytes -= len(cdr)
            if time.monotonic() - flushed >= FLUSH_S:
                self._attempt(self.writer.flush)
                flushed = time.monotonic()

    def _store(
        self, topic: str, message_type: str, cdr: bytes, received_ns: int, packed: Future[Packed] | None
    ) -> None:
        published_ns = header_stamp_ns(cdr) if has_header(message_type) else received_ns
        if packed is not None and (result := packed.result()) is not None:
            topic, (message_type, cdr) = topic + COMPRESSED_SUFFIX, result
        self.writer.write(topic, message_type, cdr, received_ns, published_ns)

    def _sync(self) -> None:
        while not self._done.wait(SYNC_S):
            self._attempt(self.writer.sync)

    def _attempt(self, action: Callable[..., None], topic: str = "", *arguments: object) -> None:
        """Do it unless something went wrong before; the threads must live on, since `finish` waits for them."""
        if self._error is None:
            try:
                action(*((topic, *arguments) if topic else ()))
                return
            except SparkError as error:
                self._error = error
            except Exception as error:
                what = f"a message of {topic} was not recorded" if topic else "the episode was not saved"
                self._error = SparkError(f"{what} ({type(error).__name__}: {error})")
        if topic:
            self.dropped[topic] += 1
