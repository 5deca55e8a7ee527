"""Merging and splitting folders of demonstrations. Episodes are copied as they are; nothing is changed where they lie.

The same folders and numbers give the same result, whenever and wherever.
"""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

from tqdm import tqdm

from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder, EpisodeEntry
from spark_ros.data.episode_reader import read_cameras
from spark_ros.data.file_hash import file_sha256
from spark_ros.data.progress import data_bar
from spark_ros.data.staging import staged_folder


def merge_folders(sources: Sequence[DemoFolder], out: Path, progress: bool = True) -> tuple[int, int]:
    """Copy the episodes of several folders into one, in the order of the folders.

    Args:
        sources: At least two.
        out: The folder; must not exist.
        progress: Whether to show a bar.

    Returns:
        How many episodes were copied, and how many were left out because an equal one is there already.

    Raises:
        SparkError: A folder holds no episode, other cameras or another robot than the first, or a changed file; `out`
            exists, or the disk is full.
    """
    chosen: list[tuple[DemoFolder, EpisodeEntry]] = []
    seen: set[str] = set()
    first: tuple[DemoFolder, tuple[str, ...], str] | None = None
    twins = 0
    for folder in sources:
        entries = folder.episodes()
        if not entries:
            raise SparkError(f"{folder.path} holds no episode: leave it out")
        cameras = tuple(sorted(read_cameras(folder.file(entries[0]))))
        first = first or (folder, cameras, entries[0].robot)
        if cameras != first[1]:
            raise SparkError(
                f"{folder.path} has the cameras {', '.join(cameras) or 'none'}, {first[0].path} has "
                f"{', '.join(first[1]) or 'none'}: merge folders of the same cameras"
            )
        for entry in entries:
            if entry.robot != first[2]:
                raise SparkError(
                    f"{folder.file(entry)} is of robot {entry.robot}, {first[0].path} of {first[2]}: keep one robot "
                    "per folder"
                )
            twins += entry.sha256 in seen
            if entry.sha256 not in seen:
                chosen.append((folder, entry))
            seen.add(entry.sha256)
    with staged_folder(out) as staging, data_bar("copying", len(chosen), "episode", progress) as bar:
        _copy(chosen, staging, bar)
    return len(chosen), twins


def split_folder(
    source: DemoFolder, out: Path, shares: Mapping[str, float], seed: int = 0, progress: bool = True
) -> dict[str, int]:
    """Copy the episodes of a folder into several, by chance.

    Which part an episode goes to depends on its content and the seed, not on its name or place in the folder.

    Args:
        source: The folder.
        out: Gets a folder for each part; must not exist.
        shares: Of each part, by name; they are scaled to make one.
        seed: Another one, another split.
        progress: Whether to show a bar.

    Returns:
        Number of episodes by part.

    Raises:
        SparkError: A part would be empty, a name is no plain name, a share is not positive, a file has changed; `out`
            exists, or the disk is full.
    """
    entries = source.episodes()
    for name, share in shares.items():
        if Path(name).name != name or name in (".", "..") or not share > 0.0:
            raise SparkError(f"part {name!r} with share {share:g} is not possible: expected a plain name and a number")
    counts = _counts(len(entries), shares)
    if empty := [name for name, count in counts.items() if not count]:
        raise SparkError(
            f"{len(entries)} episodes of {source.path} leave none for {', '.join(empty)}: give it a larger share, or "
            "record more"
        )
    order = sorted(entries, key=lambda entry: hashlib.sha256(f"{seed}/{entry.sha256}".encode()).hexdigest())
    with staged_folder(out) as staging, data_bar("copying", len(entries), "episode", progress) as bar:
        for name, count in counts.items():
            part = {entry.file for entry in order[:count]}
            order = order[count:]
            _copy([(source, entry) for entry in entries if entry.file in part], staging / name, bar)
    return counts


def _counts(total: int, shares: Mapping[str, float]) -> dict[str, int]:
    """Whole numbers that add up to `total`; what rounding down leaves goes to the largest remainders."""
    exact = {name: total * share / sum(shares.values()) for name, share in shares.items()}
    counts = {name: int(number) for name, number in exact.items()}
    by_remainder = sorted(shares, key=lambda name: (counts[name] - exact[name], list(shares).index(name)))
    for name in by_remainder[: total - sum(counts.values())]:
        counts[name] += 1
    return counts


def _copy(chosen: Sequence[tuple[DemoFolder, EpisodeEntry]], out: Path, bar: tqdm) -> None:
    with DemoFolder(out).recording() as target:
        for number, (folder, entry) in enumerate(chosen, start=1):
            copy = target.path / f"episode_{number:06d}.mcap"
            shutil.copyfile(folder.file(entry), copy)
            if file_sha256(copy) != entry.sha256:
                folder.read(entry)  # says which file has changed
                raise SparkError(f"{folder.file(entry)} could not be copied rightly: check the disk of {out}")
            copy.chmod(0o444)  # as the recorder leaves it
            target.add(copy)
            bar.update()
