"""Bundles side by side where the scene differs from that of training: the same scenes for each, one after the other.

    python -m benchmarks.shifted_lift --bundles NEW OLD [--task lift] [--episodes 10] [--quick] [--json] [--save]

Runs in process. Every scene is driven by every bundle under every shift before the next scene begins, so an interrupted
run compares equally many episodes; the same command goes on. Differences are paired by scene: the interval is a
bootstrap over scenes, with all shifts of a scene drawn together. The result is kept as shifted_<task>.json.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common import Rows, entry, finish, make_parser, parse
from benchmarks.study.statistics import bootstrap
from spark_ros.contracts import SparkError
from spark_ros.evaluation.cell import Cell
from spark_ros.evaluation.lockstep import run_episode
from spark_ros.evaluation.pilots import Pilot, bundle_pilot
from spark_ros.evaluation.seeds import evaluation_seeds
from spark_ros.evaluation.statistics import wilson95
from spark_ros.runtime.session import SessionOptions
from spark_ros.shares import bundle_directory
from spark_ros.sim.shifts import SHIFTS
from spark_ros.sim.world import World

IMAGE_SIZE = 128  # of the simulated cameras, as in config/sim_arm.yaml


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, "one scene, two shifts")
    parser.add_argument(
        "--bundles",
        nargs="+",
        default=["fr3_lift"],
        help="names in models/ or paths; the first is compared to the others",
    )
    parser.add_argument("--task", default="lift", help="(default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=10, help="scenes (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=1, help="of every session (default: %(default)s)")
    options = parse(parser)
    if options.episodes < 1 or options.threads < 1:
        raise SparkError("--episodes and --threads must be at least 1")
    shifts = list(SHIFTS)[:2] if options.quick else list(SHIFTS)
    seeds = evaluation_seeds(0, 1 if options.quick else options.episodes)
    pilots = [bundle_pilot(bundle_directory(name), SessionOptions(threads=options.threads)) for name in options.bundles]
    rows = Rows(f"shifted_{options.task}", {"pilots": [pilot.id for pilot in pilots], "shifts": shifts})
    measured = summarise(options.bundles, pilots, shifts, run(pilots, options.task, shifts, seeds, rows))
    finish(options, f"shifted_{options.task}", {"task": options.task, "scenes": len(seeds), **measured}, _show)
    rows.done()


def run(
    pilots: Sequence[Pilot], task: str, shifts: Sequence[str], seeds: Sequence[int], rows: Rows
) -> dict[tuple[str, str], list[bool]]:
    """Success by (pilot, shift), in the order of the seeds."""
    found: dict[tuple[str, str], list[bool]] = {(pilot.id, shift): [] for pilot in pilots for shift in shifts}
    cells: dict[str, Cell] = {}
    try:
        for seed in seeds:
            for shift in shifts:
                for pilot in pilots:
                    key = f"{pilot.id} {shift} {seed}"
                    if key not in rows.known and shift not in cells:
                        cells[shift] = Cell(World(task, pilot.robot.name, pilot.cameras, IMAGE_SIZE, shift=shift))
                    found[pilot.id, shift].append(rows.get(key, partial(_drive, cells, shift, pilot, seed)))
    finally:
        for cell in cells.values():
            cell.world.close()
    return found


def _drive(cells: Mapping[str, Cell], shift: str, pilot: Pilot, seed: int) -> bool:
    return run_episode(cells[shift], pilot, seed).success


def summarise(
    names: Sequence[str], pilots: Sequence[Pilot], shifts: Sequence[str], found: Mapping[tuple[str, str], list[bool]]
) -> dict[str, Any]:
    """Rates of each bundle, and how much better the first one is than each other."""
    bundles: dict[str, Any] = {}
    tables = []
    for name, pilot in zip(names, pilots, strict=True):
        table = np.array([found[pilot.id, shift] for shift in shifts], np.float64)  # (shifts, scenes)
        tables.append(table)
        shifted = table[1:]
        bundles[pilot.id] = {
            "path": name,
            "by_shift": {shift: int(row.sum()) for shift, row in zip(shifts, table, strict=True)},
            "shifted": round(float(shifted.mean()), 4),
            "shifted_wilson95": [round(bound, 4) for bound in wilson95(int(shifted.sum()), shifted.size)],
            "nominal": round(float(table[0].mean()), 4),
        }
    differences = {}
    for pilot, table in zip(pilots[1:], tables[1:], strict=True):
        per_scene = (tables[0] - table)[1:].mean(axis=0)
        mean, (low, high) = bootstrap({("", 0): per_scene.tolist()})
        differences[pilot.id] = {
            "difference": round(mean, 4),
            "ci95": [round(low, 4), round(high, 4)],
        }
    return {"bundles": bundles, "first_minus": differences}


def _show(measured: Mapping[str, Any]) -> None:
    scenes = measured["scenes"]
    for name, bundle in measured["bundles"].items():
        counts = ", ".join(f"{shift} {count}" for shift, count in bundle["by_shift"].items())
        low, high = bundle["shifted_wilson95"]
        print(f"{name:30} shifted {bundle['shifted']:.1%} ({low:.1%}-{high:.1%}); of {scenes} each: {counts}")
    for name, found in measured["first_minus"].items():
        low, high = found["ci95"]
        print(f"the first minus {name}: {found['difference']:+.1%} ({low:+.1%} to {high:+.1%}) under shift")


if __name__ == "__main__":
    entry(main)
