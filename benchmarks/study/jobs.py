"""What a worker of the study does: make data, post-train an encoder, or run a cell."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.study.arms import ARMS, DOMAIN, VIDEOS, find_arm, weights_sha256
from benchmarks.study.cells import Cell
from benchmarks.study.suite import Suite
from spark_ros.contracts import SparkError


@dataclass(frozen=True)
class Settings:
    """What all jobs of a study share.

    Attributes:
        work: Folder for demonstrations, encoders, tokens and policies.
        quick: Do everything, but so little of it that the results mean nothing.
    """

    work: Path
    quick: bool = False


@dataclass(frozen=True)
class DataJob:
    """Demonstrations of a task."""

    suite: str
    task: str
    demos: int

    def __str__(self) -> str:
        return f"demonstrations of {self.suite}/{self.task}"


@dataclass(frozen=True)
class FilmJob:
    """Video of a task, for post-training."""

    suite: str
    task: str

    def __str__(self) -> str:
        return f"video of {self.suite}/{self.task}"


@dataclass(frozen=True)
class EncoderJob:
    """Post-training of one encoder."""

    encoder: str

    def __str__(self) -> str:
        return f"post-training of {self.encoder}"


@dataclass(frozen=True)
class CellJob:
    """Episodes of one policy under some shifts."""

    cell: Cell
    shifts: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.cell}, {len(self.shifts)} shift{'s' if len(self.shifts) > 1 else ''}"


Job = DataJob | FilmJob | EncoderJob | CellJob


def make_suites(settings: Settings) -> dict[str, Suite]:
    """Every suite by name; making one is cheap."""
    from benchmarks.study.fr3_shift import Fr3Shift
    from benchmarks.study.metaworld5 import MetaWorld5

    suites: list[Suite] = [Fr3Shift(settings.work, settings.quick), MetaWorld5(settings.work, settings.quick)]
    return {suite.name: suite for suite in suites}


def needs(job: Job, suites: Mapping[str, Suite], settings: Settings) -> list[Job]:
    """What must be done before a job, in order; nothing if it can start."""
    if isinstance(job, DataJob | FilmJob):
        return []
    if isinstance(job, EncoderJob):
        video = _video_of(job.encoder, suites)
        return [FilmJob(video.name, task) for task in video.tasks if not video.filmed(task)]
    wanted: list[Job] = []
    suite, arm = suites[job.cell.suite], find_arm(job.cell.arm)
    if not suite.prepared(job.cell.task, job.cell.demos):
        wanted.append(DataJob(suite.name, job.cell.task, job.cell.demos))
    if weights_sha256(arm, settings.work) is None:
        encoder = EncoderJob(arm.encoder)
        wanted += [*needs(encoder, suites, settings), encoder]
    return wanted


def perform(job: Job, suites: Mapping[str, Suite], settings: Settings) -> Any:
    """Does a job.

    Returns:
        For a cell what its suite returns, else None.

    Raises:
        SparkError: It cannot be done.
    """
    if isinstance(job, DataJob):
        return suites[job.suite].prepare(job.task, job.demos)
    if isinstance(job, FilmJob):
        return suites[job.suite].film(job.task)
    if isinstance(job, EncoderJob):
        from benchmarks.study.post_training import post_train

        arm = next(arm for arm in ARMS.values() if arm.encoder == job.encoder)
        return post_train(arm, _video_of(job.encoder, suites), settings)
    return suites[job.cell.suite].run(job.cell, find_arm(job.cell.arm), job.shifts)


def _video_of(encoder: str, suites: Mapping[str, Suite]) -> Suite:
    video = encoder.rpartition("@")[2]
    if DOMAIN.get(video) not in suites:
        raise SparkError(f"encoder {encoder!r} names no video: expected <arm>@ one of {', '.join(VIDEOS)}")
    return suites[DOMAIN[video]]
