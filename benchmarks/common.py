"""What the programs here have in common: their options, percentiles, resumable rows, and results worth keeping.

A result is one JSON object: what the program measured, with the command, the commit and the machine it was measured on.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterable, Mapping
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from spark_ros.contracts import SparkError
from spark_ros.evaluation.environment import describe_environment
from spark_ros.evaluation.statistics import percentiles as exact_percentiles

ROOT = Path(__file__).resolve().parents[1]
RESULTS = ROOT / "benchmarks" / "results"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")
_MEASURED = ("spark_ros", "benchmarks", "config", "models", "setup.py", "pyproject.toml")  # what a result depends on


def entry(main: Callable[[], None]) -> None:
    """Calls `main`; a refusal and Ctrl-C end the program with one sentence."""
    try:
        main()
    except SparkError as error:
        sys.exit(f"error: {error}")
    except KeyboardInterrupt:
        sys.exit("interrupted; finished parts of a long run are kept, the same command goes on")


def make_parser(description: str | None, quick: str) -> argparse.ArgumentParser:
    """A parser with the options that every program here has.

    Args:
        description: The program's docstring.
        quick: What ``--quick`` does less of, in a few words.
    """
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help=f"under a minute: {quick}")
    parser.add_argument("--json", action="store_true", help="print the result as one JSON object in the last line")
    parser.add_argument("--save", action="store_true", help="keep the result in benchmarks/results/")
    return parser


def parse(parser: argparse.ArgumentParser) -> argparse.Namespace:
    """The options; a quick run is refused as one to keep. From now on the work of other programs is watched."""
    options = parser.parse_args()
    options.commit = commit()  # now: by the end of a long run a working tree may have moved on
    options.begin = (time.monotonic(), _busy_s())
    if options.save and options.quick:
        parser.error("a kept result is quoted by others: leave out --quick, or --save")
    return options


def finish(
    options: argparse.Namespace,
    name: str,
    measured: Mapping[str, Any],
    show: Callable[[Mapping[str, Any]], None],
    ros: bool = False,
) -> None:
    """Shows what was measured, keeps it and prints it as the options say.

    Args:
        options: From `parse`.
        name: Of the file in `RESULTS`.
        measured: JSON-able.
        show: Prints it for a person.
        ros: Whether ROS took part.
    """
    seconds, others_s = (now - then for now, then in zip((time.monotonic(), _busy_s()), options.begin, strict=True))
    record = {
        "benchmark": name,
        "command": command(),
        "commit": options.commit,
        "created": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "quick": options.quick,
        "seconds": round(seconds, 1),
        "cores_busy_with_other_programs": round(max(0.0, others_s) / seconds, 2),
        "environment": describe_environment(ros),
        **measured,
    }
    show(measured)
    print(f"meanwhile other programs kept {record['cores_busy_with_other_programs']:.2f} cores busy")
    if options.save:
        RESULTS.mkdir(exist_ok=True)
        path = RESULTS / f"{name}.json"
        part = path.with_suffix(".part")
        part.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")
        os.replace(part, path)
        print(f"kept in {path.relative_to(ROOT)}")
    if options.json:
        print(json.dumps(record))


def command() -> str:
    """What repeats this run, typed in the repository's root."""
    spec = sys.modules["__main__"].__spec__
    program = f"benchmarks.{Path(sys.argv[0]).stem}" if spec is None else spec.name
    return " ".join(["python -m", program, *sys.argv[1:]])


def commit() -> str:
    """The commit that runs, marked where what it measures was changed since."""
    head = _git("rev-parse", "--short=12", "HEAD")
    if head is None:
        return "unknown"
    changed = _git("status", "--porcelain", "--untracked-files=no", "--", *_MEASURED, ":!benchmarks/results")
    return f"{head} with changes" if changed else head


def percentiles(values: Iterable[float], digits: int = 3) -> dict[str, float]:
    """``p50``, ``p95``, ``p99`` and ``max`` in the unit of the values."""
    return {name: round(value, digits) for name, value in (exact_percentiles(values) or {}).items()}


def ratios(numerator: Mapping[str, float], denominator: Mapping[str, float]) -> dict[str, float]:
    """One distribution over the other, percentile by percentile; a percentile that is 0 has no ratio."""
    return {
        name: round(numerator[name] / denominator[name], 3)
        for name in ("p50", "p95", "p99")
        if name in numerator and denominator.get(name)
    }


def spread(values: Mapping[str, float] | None, digits: int = 2) -> str:
    """``p50 / p95 / p99`` for a table."""
    return "none" if not values else " / ".join(f"{values[name]:.{digits}f}" for name in ("p50", "p95", "p99"))


class Rows:
    """Finished parts of a long run, a line each; the same command goes on after the last one.

    Attributes:
        known: Parts that are there already, by key.
    """

    def __init__(self, name: str, setup: Mapping[str, Any]) -> None:
        """Opens ``out/benchmarks/<name>.jsonl``, or begins it anew where it belongs to another setup or commit."""
        self._path = ROOT / "out" / "benchmarks" / f"{name}.jsonl"
        self.known: dict[str, Any] = {}
        header = json.loads(json.dumps({**setup, "commit": commit()}))
        # Not a line until its end is there: what was being written when the program was killed does not count.
        lines = self._path.read_text(encoding="utf-8").split("\n")[:-1] if self._path.exists() else []
        if lines and json.loads(lines[0]) == header:
            for line in lines[1:]:
                self.known.update(json.loads(line))
        self._path.parent.mkdir(parents=True, exist_ok=True)
        whole = [header, *({key: row} for key, row in self.known.items())]
        self._path.write_text("".join(json.dumps(line) + "\n" for line in whole), encoding="utf-8")

    def get(self, key: str, measure: Callable[[], Any]) -> Any:
        """The part of this key, measured if it is not known."""
        if key not in self.known:
            row = measure()
            with self._path.open("a", encoding="utf-8") as stream:
                stream.write(json.dumps({key: row}) + "\n")
                stream.flush()
                os.fsync(stream.fileno())
            self.known[key] = row
        return self.known[key]

    def done(self) -> None:
        """The run is over: the next one measures everything afresh."""
        self._path.unlink()


def _busy_s() -> float:
    """Seconds that the machine's cores have spent on programs other than this one and its ended children."""
    user, nice, system, _, _, interrupts, soft, stolen = map(
        int, Path("/proc/stat").read_text(encoding="utf-8").split("\n", 1)[0].split()[1:9]
    )
    own = os.times()
    ours_s = own.user + own.system + own.children_user + own.children_system
    return (user + nice + system + interrupts + soft + stolen) / _TICKS_PER_S - ours_s


def _git(*arguments: str) -> str | None:
    try:
        answer = subprocess.run(["git", "-C", str(ROOT), *arguments], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return answer.stdout.strip()
