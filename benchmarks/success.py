"""Does post-training help a robot? The same small policy on every encoder, closed loop, the same scenes for all.

    python -m benchmarks.success [--suite fr3-shift metaworld5] [--arms A ...] [--tasks T ...] [--minutes M] [--jobs J]
    python -m benchmarks.success --summary [--json] [--docs] [--save]

Runs what is missing in an order that compares all arms at any time, appends every batch of episodes to
benchmarks/results/success_rows.jsonl, and stops by itself when the minutes are over; the same command goes on, today or
another day. Demonstrations, post-trained encoders, tokens and policies are made on the way and kept in --work.
--summary prints what the kept rows say; --docs writes it into docs/results.md. A quick run keeps its rows to itself.
"""

from __future__ import annotations

import argparse
import json
import signal
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common import RESULTS, ROOT, entry, finish, make_parser, parse
from benchmarks.study.arms import ARMS, find_arm
from benchmarks.study.cells import SuitePlan, batches, plan
from benchmarks.study.jobs import Settings, make_suites
from benchmarks.study.rows import RowFile, current
from benchmarks.study.runner import Runner
from benchmarks.study.suite import Suite
from benchmarks.study.summary import summarise
from spark_ros.contracts import SparkError

ROWS = RESULTS / "success_rows.jsonl"
QUICK_ARMS = ("proprio", "vanilla-9")


def main() -> None:
    """Runs or summarises."""
    options = _options()
    settings = Settings(ROOT / "out" / "study" if options.work is None else Path(options.work).resolve())
    if options.quick:
        with tempfile.TemporaryDirectory() as folder:
            settings = Settings(Path(folder), quick=True)
            rows = RowFile(Path(folder) / "rows.jsonl")
            _run(options, settings, rows)
            _report(options, rows, settings)
        return
    rows = RowFile(ROWS)
    if not options.summary:
        _run(options, settings, rows)
    _report(options, rows, settings)


def _run(options: argparse.Namespace, settings: Settings, rows: RowFile) -> None:
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that the workers are ended too
    suites = make_suites(settings)
    names = (options.suite or list(suites))[: 1 if options.quick else None]
    plans = [_plan(options, _suite(suites, name)) for name in names]
    end = time.monotonic() + 60.0 * options.minutes
    Runner(settings, rows, options.commit).run(plan(plans), options.jobs, end)


def _plan(options: argparse.Namespace, suite: Suite) -> SuitePlan:
    if options.quick:
        return SuitePlan(suite.name, suite.tasks[:1], options.arms or QUICK_ARMS, (2,), (0,), ((0, 1),))
    if unknown := set(options.tasks or ()) - set(suite.tasks):
        known = ", ".join(suite.tasks)
        if len(options.suite or ()) == 1:
            raise SparkError(f"{suite.name} has no task {', '.join(sorted(unknown))}: use some of {known}")
    tasks = [task for task in suite.tasks if not options.tasks or task in options.tasks]
    return SuitePlan(
        suite.name,
        tasks,
        options.arms or suite.arms,
        options.demos or suite.demos,
        range(options.seeds),
        batches(options.episodes or suite.episodes, suite.batch),
        options.best_episodes,
    )


def _report(options: argparse.Namespace, rows: RowFile, settings: Settings) -> None:
    protocols = {name: suite.protocol for name, suite in make_suites(settings).items()}
    kept = rows.read()
    usable = current(kept, protocols)
    summary = summarise(usable)
    if options.docs:
        from benchmarks.study.results_page import write_results

        write_results(summary, usable)
    if options.save:
        left_out = len(kept) - len(usable)
        measured = {"rows": len(usable), "rows_left_out": left_out, "suites": summary}
        finish(argparse.Namespace(**{**vars(options), "json": False}), "success", measured, lambda _: _show(summary))
    else:
        _show(summary)
    if options.json:
        print(json.dumps(summary))


def _show(summary: Mapping[str, Any]) -> None:
    for suite, arms in summary.items():
        print(f"\n{suite:28} {'success':>8} {'95% interval':>15} {'episodes':>9}   against the foundation model")
        for name, arm in arms.items():
            low, high = arm["ci95"]
            against = ""
            if "difference_to_vanilla" in arm:
                below, above = arm["difference_ci95"]
                against = (
                    f"{arm['difference_to_vanilla']:+.1%} ({below:+.1%} to {above:+.1%}) against {arm['reference']}"
                )
            print(f"{name:28} {arm['success']:8.1%} {low:7.1%}-{high:7.1%} {arm['episodes']:9}   {against}")


def _suite(suites: Mapping[str, Suite], name: str) -> Suite:
    if name not in suites:
        raise SparkError(f"suite {name!r} is unknown: use one of {', '.join(suites)}")
    return suites[name]


def _options() -> argparse.Namespace:
    parser = make_parser(__doc__, "two arms, a task, two demonstrations, an episode per shift")
    parser.add_argument("--suite", nargs="+", help="suites (default: all)")
    parser.add_argument("--arms", nargs="+", help=f"arms in order of priority; known: {', '.join(ARMS)}")
    parser.add_argument("--tasks", nargs="+", help="tasks (default: all of the suite)")
    parser.add_argument("--demos", nargs="+", type=int, help="numbers of demonstrations (default: the suite's)")
    parser.add_argument("--seeds", type=int, default=1, help="trainings of every policy (default: %(default)s)")
    parser.add_argument("--episodes", type=int, help="per policy and shift (default: the suite's)")
    parser.add_argument(
        "--best-episodes", type=int, default=0, help="of the best checkpoint too (default: %(default)s)"
    )
    parser.add_argument(
        "--minutes", type=float, default=1e6, help="begin nothing new after so many (default: no limit)"
    )
    parser.add_argument("--jobs", type=int, default=2, help="worker processes of one thread (default: %(default)s)")
    parser.add_argument("--work", help="folder for what is made on the way (default: out/study)")
    parser.add_argument("--summary", action="store_true", help="run nothing, print what the kept rows say")
    parser.add_argument("--docs", action="store_true", help="write tables and plots into docs/results.md")
    options = parse(parser)
    for name in options.arms or ():
        find_arm(name)
    if options.jobs < 1 or options.seeds < 1:
        raise SparkError("--jobs and --seeds must be at least 1")
    return options


if __name__ == "__main__":
    entry(main)
