"""Fault drills in the live graph: processes are killed and stalled, messages spoilt, while the arm is in motion.

    python -m benchmarks.faults [--drills NAME ...] [--runs 5] [--bundle fr3_lift] [--quick] [--json] [--save] [--docs]

The graph of `spark-ros up manipulation sim:=true record:=true` runs as it is, on a ROS domain of its own, with an
observer beside it that only listens. In each run the arm is in motion; something breaks; then the documented remedy is
followed to the letter and the arm must move again. docs/safety.md explains the table. A run that was interrupted goes
on.

- noticed: from the fault to the gateway's mode that tells of it. Braking: control periods from there to the command
  from which on the arm was stopped as fast as its limits allow; 2 are permitted. Rest: to the first command at rest.
- acceleration, jerk: the most that the received commands asked of a joint, as a part of its limit.
- back: from the remedy's beginning until the arm moved again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from benchmarks.common import RESULTS, Rows, entry, finish, make_parser, parse
from benchmarks.drills.page import write_page
from benchmarks.drills.runner import Row, run_all
from benchmarks.drills.table import QUICK, Drill, drills
from spark_ros.bundle.load import load_bundle
from spark_ros.contracts import SparkError
from spark_ros.shares import bundle_directory


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, f"{', '.join(QUICK)}, once each")
    parser.add_argument("--drills", nargs="+", metavar="NAME", help="only these, by name or its beginning")
    parser.add_argument("--runs", type=int, default=5, help="of each drill (default: %(default)s)")
    parser.add_argument("--bundle", default="fr3_lift", help="a folder in models/, or a path (default: %(default)s)")
    parser.add_argument("--list", action="store_true", help="say which drills there are, and no more")
    parser.add_argument("--docs", action="store_true", help="write the kept result into docs/safety.md, and no more")
    options = parse(parser)
    if options.docs:
        return write_page(json.loads((RESULTS / "faults.json").read_text(encoding="utf-8")))
    known = drills()
    if options.list:
        return print("\n".join(f"{drill.name:24} {drill.fault}" for drill in known.values()))
    chosen = [known[name] for name in QUICK] if options.quick else select(known, options.drills)
    runs = 1 if options.quick else options.runs
    folder = bundle_directory(options.bundle)
    rows = Rows("faults", {"bundle": load_bundle(folder).manifest.id, "drills": [d.name for d in chosen], "runs": runs})

    def keep(key: str, make: Any) -> Row:
        row: Row = rows.get(key, make)
        print(f"{key:28} {'; '.join(row['complaints']) or 'as it should be'}", flush=True)
        return row

    made = run_all(chosen, runs, str(folder), keep)
    measured = {"runs_per_drill": runs, "drills": {d.name: summarise(d, made) for d in chosen}}
    finish(options, "faults", measured, _show, ros=True)
    rows.done()


def select(known: Mapping[str, Drill], names: Sequence[str] | None) -> list[Drill]:
    """Drills by name or its beginning, in their own order; all for None.

    Raises:
        SparkError: None begins so.
    """
    for name in names or ():
        if not any(drill.startswith(name) for drill in known):
            raise SparkError(f"no drill begins with '{name}': --list says which there are")
    return [drill for name, drill in known.items() if not names or name.startswith(tuple(names))]


def summarise(drill: Drill, rows: Sequence[Row]) -> dict[str, Any]:
    """The runs of one drill: medians and worst cases."""
    own = [row for row in rows if row["drill"] == drill.name]
    return {
        "fault": drill.fault,
        "stops": drill.stops,
        "mode": sorted({row["mode"] for row in own}),
        "noticed_ms": _spread(row["detected_ms"] for row in own),
        "brakes_periods": _spread(row["brakes_periods"] for row in own),
        "rest_ms": _spread(row["rest_ms"] for row in own),
        "velocity": max(row["commands"]["velocity"] for row in own),
        "acceleration": max(row["commands"]["acceleration"] for row in own),
        "jerk": max(row["commands"]["jerk"] for row in own),
        "pause_ms": max(row["commands"]["pause_ms"] for row in own),
        "arm_rest_ms": _spread(row["arm"]["rest_ms"] for row in own),
        "arm_travel_rad": max(row["arm"]["travel_rad"] for row in own),
        "arm_drift_rad": max(row["arm"]["drift_rad"] for row in own),
        "arm_acceleration": max(row["arm"]["acceleration"] for row in own),
        "cut_off_rad_s": max(row["arm"]["cut_off_rad_s"] for row in own),
        "remedy": drill.remedy,
        "recovered": sum(row["recovered"] for row in own),
        "recovery_s": _spread(row["recovery_s"] for row in own) if drill.stops else None,
        "runs": len(own),
        "as_it_should_be": sum(not row["complaints"] for row in own),
        "complaints": sorted({complaint for row in own for complaint in row["complaints"]}),
        "attempts": sum(row["attempts"] for row in own),
    }


def _spread(values: Any) -> dict[str, float] | None:
    known = sorted(value for value in values if value is not None)
    return {"median": known[len(known) // 2], "max": known[-1]} if known else None


def _show(measured: Mapping[str, Any]) -> None:
    print("worst of all runs; braking in periods after the notice; acceleration and jerk as parts of the limits")
    print(
        f"{'drill':24} {'noticed ms':>10} {'braking':>8} {'rest ms':>8} {'accel.':>7} {'jerk':>5} {'back s':>7}   runs"
    )
    for name, row in measured["drills"].items():
        noticed, brakes, rest = (_worst(row[key]) for key in ("noticed_ms", "brakes_periods", "rest_ms"))
        back = _worst(row["recovery_s"])
        print(
            f"{name:24} {noticed:>10} {brakes:>8} {rest:>8} {row['acceleration']:7.2f} {row['jerk']:5.2f} {back:>7}   "
            f"{row['as_it_should_be']} of {row['runs']}"
        )
        for complaint in row["complaints"]:
            print(f"    {complaint}")


def _worst(spread: Mapping[str, float] | None) -> str:
    return f"{spread['max']:.1f}" if spread else "-"


if __name__ == "__main__":
    entry(main)
