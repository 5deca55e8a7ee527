"""A folder of demonstrations: episode files, and an index that says which of them count.

    demos/
      index.json              what counts: file, SHA-256, task, success, seed, frames, duration
      episode_000001.mcap     one finished episode each
      episode_000002.mcap.part  being recorded, or left by a recorder that was killed
      .lock                   held by the one recorder at work

An episode is listed after its file is durable and read-only, and the index is replaced atomically: at any moment it is
whole and every file it lists is whole.
"""

from __future__ import annotations

import fcntl
import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from pathlib import Path

from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.data.episode_reader import Episode, read_episode
from spark_ros.data.episode_writer import PART_SUFFIX, EpisodeWriter, recover_episode, sync_directory
from spark_ros.data.file_hash import file_sha256

INDEX_FILE, INDEX_VERSION = "index.json", 2
_READABLE = (1, 2)  # 1 knew no note and no flags
_EPISODE_FILE = re.compile(r"episode_(\d{6,})\.mcap(?:\.part)?")


@dataclass(frozen=True)
class EpisodeEntry:
    """One line of the index.

    Attributes:
        file: Name of the episode's file within the folder.
        sha256: Hash of the file.
        frames: Frames of its longest camera stream.
        duration_s: Time from first to last joint state or frame.
        task: The task's text.
        robot: Name of the robot.
        success: Whether the task was accomplished; None if the recording does not say.
        seed: Seed of the simulated world, if any.
        note: What the operator had to say about it.
        flags: What was wrong with the recording, a sentence each; empty for a good one.
    """

    file: str
    sha256: str
    frames: int
    duration_s: float
    task: str
    robot: str
    success: bool | None
    seed: int | None
    note: str = ""
    flags: Sequence[str] = ()


class DemoFolder:
    """A folder of episodes.

    Reading needs no lock. Recording happens inside `recording`:

        with folder.recording():
            writer = folder.start_episode({"task": "lift the cube", "robot": "fr3"})
            ...
            folder.keep(writer, {"success": True})  # or writer.discard()

    Args:
        path: The folder; made when recording starts.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        self._locked = False

    def episodes(self) -> list[EpisodeEntry]:
        """The episodes that count, in order of recording.

        Raises:
            SparkError: The folder or its index is missing, damaged, of a later version, or points out of the folder.
        """
        if not self.path.is_dir():
            raise SparkError(f"there is no folder {self.path}: record demonstrations first, or correct the path")
        if not self._index_path.exists():
            return []
        try:
            index = json.loads(self._index_path.read_text())
            version = index["version"]
            if version not in _READABLE:
                raise SparkError(
                    f"{self._index_path} has version {version}, expected at most {INDEX_VERSION}: update spark_ros"
                )
            entries = [EpisodeEntry(**entry) for entry in index["episodes"]]
        except (ValueError, KeyError, TypeError) as error:
            raise SparkError(
                f"{self._index_path} is damaged ({error}): delete it and run `spark-ros data recover {self.path}`, "
                "which lists what is there"
            ) from error
        for entry in entries:
            self.file(entry)
        return entries

    def file(self, entry: EpisodeEntry) -> Path:
        """The file of an entry.

        Raises:
            SparkError: The entry names a file outside the folder, or one that does not exist.
        """
        path = self.path / entry.file
        if Path(entry.file).name != entry.file or path.is_symlink() or entry.file in ("", ".", ".."):
            raise SparkError(f"{self._index_path} lists {entry.file!r}, expected a plain file name inside the folder")
        if not path.is_file():
            raise SparkError(f"{self._index_path} lists {entry.file}, which is missing: restore it, or {self._anew}")
        return path

    def read(self, entry: EpisodeEntry) -> Episode:
        """Read an episode after checking that its file is the one that was recorded.

        Raises:
            SparkError: The file's hash differs from the index, or it cannot be read.
        """
        path = self.file(entry)
        digest = file_sha256(path)
        if digest != entry.sha256:
            raise SparkError(
                f"{path} has SHA-256 {digest[:12]}..., the index expects {entry.sha256[:12]}...: the file was changed "
                f"after recording; restore it, or delete it and {self._anew}"
            )
        return read_episode(path)

    def unfinished(self) -> list[Path]:
        """Files that do not count: ``.part`` files of killed recorders and finished files that never were listed."""
        listed = {entry.file for entry in self.episodes()}
        return sorted(
            path
            for path in self.path.iterdir()
            if path.name.endswith((".mcap", ".mcap" + PART_SUFFIX)) and path.name not in listed
        )

    @contextmanager
    def recording(self) -> Iterator[DemoFolder]:
        """Be the folder's only recorder while the block runs.

        Raises:
            SparkError: Another recorder is at work, the folder cannot be made, or its index is damaged.
        """
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
        except OSError as error:
            raise SparkError(f"cannot record into {self.path}: {error.strerror}; choose another folder") from error
        try:
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                holder = os.read(descriptor, 32).decode(errors="replace").strip() or "unknown"
                raise SparkError(
                    f"process {holder} is recording into {self.path}: stop it or choose another folder"
                ) from None
            os.truncate(descriptor, 0)
            os.pwrite(descriptor, str(os.getpid()).encode(), 0)
            self._locked = True
            if self._index_path.exists():
                self.episodes()  # a damaged index is refused before an hour of recording, not after
            yield self
        finally:
            # The lock dies with its descriptor, also when the process is killed: no stale lock can block a folder.
            self._locked = False
            os.close(descriptor)

    def start_episode(self, metadata: Mapping[str, object]) -> EpisodeWriter:
        """A writer for the next episode, numbered after every file in the folder, finished or not.

        Raises:
            SparkError: Not inside `recording`, or as `EpisodeWriter`.
        """
        self._need_lock()
        numbers = [int(match[1]) for name in os.listdir(self.path) if (match := _EPISODE_FILE.fullmatch(name))]
        return EpisodeWriter(self.path / f"episode_{max(numbers, default=0) + 1:06d}.mcap", metadata)

    def keep(self, writer: EpisodeWriter, outcome: Mapping[str, object]) -> EpisodeEntry:
        """Close an episode and list it; of the `outcome`, ``success``, ``note`` and ``flags`` go into the index too.

        Takes as long for an hour as for a second: what the index holds was counted and hashed during the writing.

        Raises:
            SparkError: As `EpisodeWriter.close`, or it holds no frames or no joint states; the file is then not listed.
        """
        self._need_lock()
        entries = self.episodes()
        path = writer.close(outcome)
        frames = max((count for topic, count in writer.counts.items() if topics.camera_of(topic)), default=0)
        _check_content(path, frames, writer.counts[topics.JOINT_STATES])
        begin, end = writer.span_ns
        success, seed = outcome.get("success"), writer.metadata.get("seed")
        entry = EpisodeEntry(
            file=path.name,
            sha256=writer.sha256,
            frames=frames,
            duration_s=round((end - begin) * 1e-9, 3),
            task=str(writer.metadata["task"]),
            robot=str(writer.metadata["robot"]),
            success=success if isinstance(success, bool) else None,
            seed=seed if isinstance(seed, int) else None,
            note=str(outcome.get("note", "")),
            flags=_texts(outcome.get("flags")),
        )
        self._write_index([*entries, entry])
        return entry

    def add(self, path: Path) -> EpisodeEntry:
        """List a finished episode file of this folder that is not listed yet.

        Raises:
            SparkError: Not inside `recording`, the file lies elsewhere, is listed already, or holds no frames.
        """
        self._need_lock()
        if path.parent.resolve() != self.path.resolve() or path.is_symlink():
            raise SparkError(f"{path} does not lie in {self.path}: move it there first")
        entries = self.episodes()
        if path.name in {entry.file for entry in entries}:
            raise SparkError(f"{path} is listed in the index already")
        episode = read_episode(path)
        streams = [frames.stamps_ns for frames in episode.cameras.values() if len(frames)]
        _check_content(path, len(streams), len(episode.joints))
        streams.append(episode.joints.stamps_ns)
        begin, end = min(int(stamps.min()) for stamps in streams), max(int(stamps.max()) for stamps in streams)
        entry = EpisodeEntry(
            file=path.name,
            sha256=file_sha256(path),
            frames=max(len(frames) for frames in episode.cameras.values()),
            duration_s=round((end - begin) * 1e-9, 3),
            task=episode.metadata.task,
            robot=episode.metadata.robot,
            success=episode.metadata.success,
            seed=episode.metadata.seed,
            note=episode.metadata.note,
            flags=episode.metadata.flags,
        )
        self._write_index([*entries, entry])
        return entry

    def mark(self, file: str, success: bool | None = None, note: str | None = None) -> EpisodeEntry:
        """Change what the index says of a kept episode. Its file stays as it was recorded; the index is what counts.

        Args:
            file: Its file's name.
            success: Whether it shows the task done; None to leave that.
            note: What there is to say about it; None to leave that.

        Raises:
            SparkError: Not inside `recording`, or no such episode is listed.
        """
        self._need_lock()
        entries = self.episodes()
        index = next((number for number, entry in enumerate(entries) if entry.file == file), None)
        if index is None:
            raise SparkError(f"{self._index_path} lists no episode {file!r}: name one that it lists")
        entry = entries[index]
        entries[index] = replace(
            entry, success=entry.success if success is None else success, note=entry.note if note is None else note
        )
        self._write_index(entries)
        return entries[index]

    def recover(self, part_path: Path) -> EpisodeEntry:
        """Finish and list a ``.part`` file that a killed recorder left, see `episode_writer.recover_episode`.

        Raises:
            SparkError: Not inside `recording`, or as `recover_episode` and `add`.
        """
        self._need_lock()
        return self.add(recover_episode(part_path))

    @property
    def _anew(self) -> str:
        return f"delete {INDEX_FILE} and run `spark-ros data recover {self.path}`, which lists what is there"

    @property
    def _index_path(self) -> Path:
        return self.path / INDEX_FILE

    def _need_lock(self) -> None:
        if not self._locked:
            raise SparkError(f"nothing may be added to {self.path} outside DemoFolder.recording()")

    def _write_index(self, entries: list[EpisodeEntry]) -> None:
        text = json.dumps({"version": INDEX_VERSION, "episodes": [asdict(entry) for entry in entries]}, indent=1)
        temporary = self._index_path.with_name("index.json.new")
        try:
            with temporary.open("w") as stream:
                stream.write(text + "\n")
                stream.flush()
                os.fsync(stream.fileno())
            os.replace(temporary, self._index_path)
            sync_directory(self.path)
        except OSError as error:
            raise SparkError(
                f"cannot write {self._index_path}: {error.strerror}; make room and add it again"
            ) from error


def _check_content(path: Path, frames: int, joints: int) -> None:
    if not frames or not joints:
        lacking = "joint states" if frames else "camera images"
        raise SparkError(f"{path} holds no {lacking}: start the node that sends them and record again")


def _texts(values: object) -> tuple[str, ...]:
    return tuple(map(str, values)) if isinstance(values, (list, tuple)) else ()
