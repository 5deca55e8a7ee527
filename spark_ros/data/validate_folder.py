"""Validates a folder of demonstrations: every episode by itself, and the episodes against each other."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder, EpisodeEntry
from spark_ros.data.inspect_episode import Finding, Inspection, Severity, inspect_episode
from spark_ros.data.validation_page import Inspected, plot_episode
from spark_ros.robots.spec import load_robot


@dataclass
class _SoFar:
    """What the episodes before were like."""

    cameras: tuple[str, ...] = ()
    sizes: dict[str, tuple[int, ...]] = field(default_factory=dict)
    robot: str = ""
    contents: dict[tuple[tuple[str, ...], ...], str] = field(default_factory=dict)


def validate_folder(folder: DemoFolder, cameras: Sequence[str] = (), plots: bool = True) -> Iterator[Inspected]:
    """Inspect the episodes of a folder one by one.

    Args:
        folder: The demonstrations.
        cameras: Cameras that each must have; empty for all of the first episode.
        plots: Whether to draw them; needs matplotlib.

    Raises:
        SparkError: The folder or its index is missing or damaged. What is wrong with an episode is a finding instead.
    """
    so_far = _SoFar(tuple(cameras))
    for entry in folder.episodes():
        try:
            episode = folder.read(entry)
            so_far.cameras = so_far.cameras or tuple(episode.cameras)
            inspection = inspect_episode(episode, so_far.cameras, load_robot(entry.robot))
            sizes = {name: frames[0].image.shape for name, frames in episode.cameras.items() if len(frames)}
        except SparkError as error:
            text = str(error).removeprefix(f"{folder.path / entry.file}: ")
            yield Inspected(entry, None, [Finding(Severity.BAD, "episode", text)])
            continue
        findings = [*inspection.findings, *_compared(entry, inspection, sizes, so_far)]
        yield Inspected(entry, inspection, findings, plot_episode(episode, findings) if plots else b"")


def _compared(
    entry: EpisodeEntry, inspection: Inspection, sizes: dict[str, tuple[int, ...]], so_far: _SoFar
) -> Iterator[Finding]:
    contents = tuple(inspection.frame_hashes.values())
    twin = so_far.contents.setdefault(contents, entry.file) if any(contents) else entry.file
    if twin != entry.file:
        yield Finding(Severity.BAD, "episode", f"is a duplicate: every frame is that of {twin}")
    so_far.robot = so_far.robot or entry.robot
    if entry.robot != so_far.robot:
        yield Finding(Severity.BAD, "episode", f"is of robot {entry.robot}, the others are of {so_far.robot}")
    for camera, size in sizes.items():
        if so_far.sizes.setdefault(camera, size) != size:
            first = so_far.sizes[camera]
            text = f"has {size[1]}x{size[0]} pixels from camera {camera}, the first has {first[1]}x{first[0]}"
            yield Finding(Severity.ODD, "episode", text)
