"""A bundle as one file: a plain tar archive, the same bytes for the same bundle.

Not compressed: weights hardly shrink, compressors differ from machine to machine, and what is not compressed cannot
claim more than is there. Any tar program can list and unpack it. The reader takes only what the writer makes: plain
files with plain names, each once, `bundle.yaml` first, and nothing that the manifest does not list.
"""

from __future__ import annotations

import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from spark_ros.bundle.damage import Damage
from spark_ros.bundle.files import verify_files
from spark_ros.bundle.manifest import MANIFEST_FILE, Manifest, inside_the_folder, parse_manifest
from spark_ros.bundle.strict_yaml import MAX_CHARACTERS
from spark_ros.contracts import SparkError
from spark_ros.data.file_hash import file_sha256
from spark_ros.shares import cache_dir

MAX_FILE_BYTES = 2 * 2**30  # where protocol buffers, and with them ONNX graphs, end
MAX_FILES = 64
KEPT_UNPACKED = 8  # bundles in the cache; the one used longest ago makes room
_BLOCK = tarfile.BLOCKSIZE


@dataclass(frozen=True)
class _Entry:
    """A file of an archive: its name, where its bytes begin and how many there are."""

    name: str
    begin: int
    size: int


def pack(folder: Path, archive: Path) -> Manifest:
    """Write a bundle's folder into one file; an archive that is already there is replaced.

    Raises:
        SparkError: The folder holds no sound bundle, or the archive cannot be written.
    """
    manifest = verify_files(folder)
    part = archive.with_name(f".{archive.name}.{os.getpid()}.part")
    try:
        archive.parent.mkdir(parents=True, exist_ok=True)
        with part.open("wb") as stream, tarfile.open(fileobj=stream, mode="w", format=tarfile.USTAR_FORMAT) as target:
            for name in (MANIFEST_FILE, *sorted(manifest.files)):
                with (folder / name).open("rb") as source:
                    entry = tarfile.TarInfo(name)  # no owner, no time: what differs between machines stays out
                    entry.size, entry.mode = os.fstat(source.fileno()).st_size, 0o644
                    target.addfile(entry, source)
        os.replace(part, archive)
    except OSError as error:
        raise SparkError(f"cannot write {archive} ({error.strerror}): make room or pack elsewhere") from error
    finally:
        part.unlink(missing_ok=True)
    return manifest


def unpack(archive: Path, folder: Path) -> Manifest:
    """Write an archive's files into a new folder, which appears whole and checked or not at all.

    Raises:
        SparkError: The archive is damaged or holds something else than a bundle, or the folder is already there or
            cannot be written.
    """
    if folder.is_file() or (folder.is_dir() and any(folder.iterdir())):
        raise SparkError(f"{folder} is already there: unpack to a new folder")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{folder.name}.") as workshop:
            inner = Path(workshop) / "bundle"
            inner.mkdir()
            _extract(archive, inner)
            manifest = verify_files(inner)
            os.replace(inner, folder)
    except Damage as error:
        raise SparkError(f"{archive} {error}; have it packed again by `spark-ros bundle pack`") from error
    except OSError as error:
        raise SparkError(f"cannot unpack {archive} to {folder} ({error.strerror or error})") from error
    return manifest


def unpacked(archive: Path) -> tuple[Path, Manifest]:
    """An archive's folder in the cache, unpacked at the first use, and its manifest.

    Raises:
        SparkError: As for `unpack`.
    """
    try:
        folder = cache_dir() / "bundles" / file_sha256(archive)
    except OSError as error:
        raise SparkError(f"{archive} cannot be read ({error.strerror}): check its permissions") from error
    if folder.is_dir():
        try:
            manifest = verify_files(folder)
            if manifest == _manifest_of(archive):
                os.utime(folder)  # used now
                return folder, manifest
        except SparkError:
            pass
        shutil.rmtree(folder, ignore_errors=True)  # somebody changed the cache; the archive is the original
    try:
        manifest = unpack(archive, folder)
        _make_room(folder)
        return folder, manifest
    except SparkError:
        if folder.is_dir():  # the other node of the same graph was faster
            return folder, verify_files(folder)
        raise


def _make_room(newest: Path) -> None:
    """Leave the bundles that were used last in the cache."""
    try:
        others = [folder for folder in newest.parent.iterdir() if folder != newest and not folder.name.startswith(".")]
        others.sort(key=lambda folder: folder.stat().st_mtime)
    except OSError:  # another process makes room as well
        return
    for folder in others[: max(0, len(others) + 1 - KEPT_UNPACKED)]:
        shutil.rmtree(folder, ignore_errors=True)


def _manifest_of(archive: Path) -> Manifest | None:
    """What an archive says of itself; None where it is damaged."""
    try:
        with archive.open("rb") as stream:
            return _check_names(stream, list(_entries(stream, os.fstat(stream.fileno()).st_size)), str(archive))
    except (Damage, OSError):
        return None


def _extract(archive: Path, folder: Path) -> None:
    with archive.open("rb") as stream:
        entries = list(_entries(stream, os.fstat(stream.fileno()).st_size))
        _check_names(stream, entries, str(archive))
        for entry in entries:
            stream.seek(entry.begin)
            with (folder / entry.name).open("xb") as target:
                left = entry.size
                while left > 0:
                    content = stream.read(min(left, 2**20))
                    if not content:
                        raise Damage(f"ends within {entry.name}")
                    target.write(content)
                    left -= len(content)


def _check_names(stream: IO[bytes], entries: list[_Entry], where: str) -> Manifest:
    """The manifest, which comes first; all other names are those that it lists."""
    names = [entry.name for entry in entries]
    if not names or names[0] != MANIFEST_FILE:
        raise Damage(f"is no packed bundle: it begins with {names[0] if names else 'nothing'}, not with a manifest")
    if twice := next((name for i, name in enumerate(names) if name in names[:i]), None):
        raise Damage(f"holds {twice} twice")
    if entries[0].size > MAX_CHARACTERS:
        raise Damage(f"has a manifest of {entries[0].size} bytes, expected at most {MAX_CHARACTERS}")
    stream.seek(entries[0].begin)
    try:
        text = stream.read(entries[0].size).decode("utf-8")
    except UnicodeDecodeError:
        raise Damage(f"holds a {MANIFEST_FILE} that is no UTF-8 text") from None
    manifest = parse_manifest(text, f"{where}:{MANIFEST_FILE}")
    if strangers := set(names[1:]) ^ set(manifest.files):
        name = sorted(strangers)[0]
        raise Damage(f"lacks {name}" if name in manifest.files else f"holds {name}, which its manifest does not list")
    return manifest


def _entries(stream: IO[bytes], length: int) -> Iterator[_Entry]:
    """Walk the headers; nothing is read because of what a header claims."""
    for _ in range(MAX_FILES + 1):
        block = stream.read(_BLOCK)
        if not any(block):
            _check_end(stream, block, length)
            return
        try:
            info = tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
        except (tarfile.HeaderError, ValueError) as error:
            raise Damage(f"is no packed bundle, or damaged ({error})") from None
        name = ascii(info.name[:100])
        if info.type not in (tarfile.REGTYPE, tarfile.AREGTYPE):
            raise Damage(f"holds {name}, which is {_KINDS.get(info.type, 'of an unknown kind')}: expected plain files")
        if info.name != MANIFEST_FILE:
            try:
                inside_the_folder(info.name)
            except ValueError as error:
                raise Damage(f"holds a bad name: {error}") from None
        begin = stream.tell()
        if not 0 <= info.size <= MAX_FILE_BYTES:
            raise Damage(f"claims {info.size / 1e9:.1f} GB for {name}, expected at most {MAX_FILE_BYTES / 1e9:.1f} GB")
        if info.size > length - begin:
            raise Damage(f"claims {info.size} bytes for {name} where {length - begin} are left: it was cut short")
        yield _Entry(info.name, begin, info.size)
        stream.seek(begin + -(-info.size // _BLOCK) * _BLOCK)
    raise Damage(f"holds more than {MAX_FILES} files")


def _check_end(stream: IO[bytes], block: bytes, length: int) -> None:
    rest = length - stream.tell()
    whole = len(block) == _BLOCK and rest % _BLOCK == 0 and _BLOCK <= rest <= tarfile.RECORDSIZE
    if not whole or any(stream.read(rest)):
        raise Damage("does not end as it should: it was cut short, or something was added to it")


_KINDS = {
    tarfile.SYMTYPE: "a link",
    tarfile.LNKTYPE: "a link",
    tarfile.CHRTYPE: "a device",
    tarfile.BLKTYPE: "a device",
    tarfile.FIFOTYPE: "a pipe",
    tarfile.DIRTYPE: "a folder",
}
