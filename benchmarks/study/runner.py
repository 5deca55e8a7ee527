"""Runs cells in worker processes, each with one thread, and keeps every result the moment it is known.

A worker ends with the program, however that ends: it waits on a pipe whose other end dies with its parent.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from multiprocessing.connection import Connection, wait
from typing import Any

from benchmarks.study.arms import find_arm, weights_sha256
from benchmarks.study.cells import Cell, missing
from benchmarks.study.jobs import CellJob, Job, Settings, make_suites, needs, perform
from benchmarks.study.rows import Row, RowFile, done
from benchmarks.study.suite import Suite
from spark_ros.contracts import SparkError

Make = Callable[[Settings], dict[str, Suite]]

_THREAD_VARIABLES = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")


class Runner:
    """Works through a plan.

    Args:
        settings: Shared by all jobs.
        rows: Where results are kept; what is there already is not run again.
        commit: Of the program, written into every row.
        say: Prints a line.
        make: Makes the suites, here and in every worker.
    """

    def __init__(
        self,
        settings: Settings,
        rows: RowFile,
        commit: str,
        say: Callable[[str], None] = print,
        make: Make = make_suites,
    ) -> None:
        self._settings, self._rows, self._commit, self._say = settings, rows, commit, say
        self._make = make
        self._suites = make(settings)
        self._failed: set[Job] = set()

    def run(self, cells: Sequence[Cell], jobs: int, end: float) -> bool:
        """Runs what is missing.

        Args:
            cells: In order of priority.
            jobs: Worker processes.
            end: `time.monotonic()` after which nothing new is begun.

        Returns:
            Whether everything is known now.
        """
        pending = [job for cell in cells if (job := self.missing(cell)) is not None]
        self._say(f"{len(cells) - len(pending)} of {len(cells)} cells are known, {len(pending)} to run")
        workers = [_Worker(self._settings, self._make) for _ in range(min(jobs, len(pending)))]
        try:
            while True:
                for worker in workers:
                    if worker.job is None and time.monotonic() < end:
                        chosen = self._choose(pending, {other.job for other in workers if other.job is not None})
                        if chosen is not None:
                            worker.start(chosen)
                busy = {worker.pipe: worker for worker in workers if worker.job is not None}
                if not busy:
                    break
                for pipe in wait(list(busy)):
                    self._finish(busy[pipe], pending, len(cells))  # type: ignore[index]
        finally:
            for worker in workers:
                worker.close()
        if pending and time.monotonic() >= end:
            self._say(f"the time is over with {len(pending)} cells to run; the same command goes on")
        return not pending

    def missing(self, cell: Cell) -> CellJob | None:
        """What of a cell is yet to be run."""
        suite = self._suites[cell.suite]
        sha256 = weights_sha256(find_arm(cell.arm), self._settings.work)
        known = {} if sha256 is None else done(self._rows.read(), suite.name, suite.protocol, cell.arm, sha256)
        shifts = missing(cell, known, suite.shifts)
        return CellJob(cell, tuple(shifts)) if shifts else None

    def _choose(self, pending: Sequence[CellJob], running: set[Job]) -> Job | None:
        """The first job that can start now: a cell, or what a cell waits for."""
        for job in pending:
            if job in running or job in self._failed:
                continue
            try:
                wanted = needs(job, self._suites, self._settings)
            except SparkError as error:
                self._fail(job, str(error))
                continue
            if any(need in self._failed for need in wanted):
                continue
            if not wanted:
                return job
            if (first := wanted[0]) not in running:
                return first
        return None

    def _finish(self, worker: _Worker, pending: list[CellJob], total: int) -> None:
        job, seconds = worker.job, time.monotonic() - worker.begin
        assert job is not None
        kind, answer = worker.finish()
        if kind == "failed":
            return self._fail(job, answer)
        if isinstance(job, CellJob):
            self._keep(job, seconds, *answer)
            pending.remove(job)
            tally = ", ".join(f"{shift} {sum(values)}/{len(values)}" for shift, values in answer[0].items())
            self._say(f"[{total - len(pending)}/{total}] {job.cell}: {tally} ({seconds:.0f} s)")
        else:
            self._say(f"done: {job} ({seconds:.0f} s)")

    def _fail(self, job: Job, reason: str) -> None:
        self._failed.add(job)
        self._say(f"failed: {job}: {reason}")

    def _keep(self, job: CellJob, seconds: float, found: dict[str, list[bool]], extra: dict[str, Any]) -> None:
        cell = job.cell
        created = datetime.now(timezone.utc).isoformat(timespec="seconds")
        sha256 = weights_sha256(find_arm(cell.arm), self._settings.work) or ""
        self._rows.append(
            Row(
                suite=cell.suite,
                protocol=self._suites[cell.suite].protocol,
                task=cell.task,
                arm=cell.arm,
                demos=cell.demos,
                seed=cell.seed,
                checkpoint=cell.checkpoint,
                shift=shift,
                first=cell.first,
                success=tuple(success),
                encoder_sha256=sha256,
                commit=self._commit,
                created=created,
                seconds=round(seconds / len(found), 1),
                extra=extra,
            )
            for shift, success in found.items()
        )


class _Worker:
    """A process that does one job after the other."""

    def __init__(self, settings: Settings, make: Make) -> None:
        self.job: Job | None = None
        self.begin = 0.0
        self._arguments = (settings, make)
        self._start_process()

    def start(self, job: Job) -> None:
        """Gives it a job."""
        self.job, self.begin = job, time.monotonic()
        self.pipe.send(job)

    def finish(self) -> tuple[str, Any]:
        """Takes what came of its job; a worker that died is replaced."""
        self.job = None
        try:
            return self.pipe.recv()
        except EOFError:
            self._process.join()
            code = self._process.exitcode
            self._start_process()
            return "failed", f"its process ended with exit status {code}; is there enough memory?"

    def close(self) -> None:
        """Ends it, in the middle of its work if need be."""
        self._process.terminate()
        self._process.join()
        self.pipe.close()

    def _start_process(self) -> None:
        for name in _THREAD_VARIABLES:  # read when the child imports its libraries
            os.environ[name] = "1"
        context = multiprocessing.get_context("spawn")
        self.pipe, theirs = context.Pipe()
        self._process = context.Process(target=_work, args=(theirs, *self._arguments), daemon=True)
        self._process.start()
        theirs.close()


def _work(pipe: Connection, settings: Settings, make: Make) -> None:
    """The worker's life."""
    import torch

    signal.signal(signal.SIGINT, signal.SIG_IGN)  # the parent decides
    torch.set_num_threads(1)
    suites = make(settings)
    while True:
        try:
            job = pipe.recv()
            try:
                answer: tuple[str, Any] = ("done", perform(job, suites, settings))
            except SparkError as error:
                answer = ("failed", str(error))
            pipe.send(answer)
        except (EOFError, OSError):  # the parent is gone
            return
