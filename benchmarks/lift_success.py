"""How often a bundle lifts the cube: `spark-ros eval` in process on two ranges of scenes, and through ROS.

    python -m benchmarks.lift_success [--robot fr3] [--bundle models/fr3_lift] [--quick] [--json] [--save]

In process 50 scenes from seed 0 and 50 from seed 5000, through ROS the first 20 of the first. None of them occurs among
demonstrations. The result is kept as <name of the bundle>_eval.json. A run that was interrupted goes on.
"""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import ROOT, Rows, entry, finish, make_parser, parse, spread
from spark_ros.contracts import SparkError

RUNS = {
    "in process": "--episodes 50 --seed 0",
    "in process, other scenes": "--episodes 50 --seed 5000",
    "through ROS": "--through-ros --episodes 20 --seed 0",
}
QUICK_RUNS = {"in process": "--episodes 5 --seed 0"}


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, "5 scenes in process")
    parser.add_argument("--robot", default="fr3", help="the arm that the bundle must drive (default: %(default)s)")
    parser.add_argument("--bundle", help="(default: models/<robot>_lift)")
    options = parse(parser)
    options.bundle = options.bundle or f"models/{options.robot}_lift"
    name = f"{Path(options.bundle).name}_eval"
    runs = QUICK_RUNS if options.quick else RUNS
    setup = {"bundle": options.bundle, "robot": options.robot}
    rows = Rows(name, {**setup, "runs": runs})
    found = {
        run: rows.get(run, partial(evaluate, options.bundle, f"{a} --robot {options.robot}")) for run, a in runs.items()
    }
    measured: dict[str, Any] = {**setup, "runs": found}
    if "through ROS" in found:
        rates = [found[run]["success_rate"] for run in ("through ROS", "in process")]
        measured["through_ros_over_in_process"] = round(rates[0] / rates[1], 3) if rates[1] else None
    finish(options, name, measured, _show, ros="through ROS" in found)
    rows.done()


def evaluate(bundle: str, arguments: str) -> dict[str, Any]:
    """What `spark-ros eval --json` prints, with the command.

    Raises:
        SparkError: It refuses; its own sentence is on stderr.
    """
    words = ["eval", "--bundle", bundle, *shlex.split(arguments)]
    folder = ROOT / "out" / "benchmarks" / "lift_success" / "_".join(shlex.split(arguments)).replace("--", "")
    program = [sys.executable, "-m", "spark_ros.cli", *words, "--json", "--out", str(folder)]
    finished = subprocess.run(program, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    if finished.returncode != 0:
        raise SparkError(f"spark-ros {shlex.join(words)} ended with exit status {finished.returncode}")
    return {"command": f"spark-ros {shlex.join(words)} --json", **json.loads(finished.stdout.splitlines()[-1])}


def _show(measured: Mapping[str, Any]) -> None:
    for run, row in measured["runs"].items():
        low, high = row["wilson95"]
        rate = f"{row['success_rate']:.0%} of {row['episodes']} (95% interval {low:.0%} to {high:.0%})"
        print(f"{run:25} {rate:45} latency {spread(row['latency_ms'], 1)} ms: {row['latency_of']}")
        if row["loop"]:
            print(
                f"{'':25} {row['loop']['rate_hz']:.2f} chunks per second, interval {spread(row['loop']['interval_ms'])}"
            )


if __name__ == "__main__":
    entry(main)
