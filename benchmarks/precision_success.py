"""Whether a precision of the encoder costs success: the same scenes for each, driven one after the other.

    python -m benchmarks.precision_success [--run out/train-demo/run] [--scenes 50] [--shifted 10]
                                           [--forms 'onnxruntime fp32' ...] [--quick] [--json] [--save]

One training run is exported in every precision, so each has passed its parity gate; then every scene is driven by
all of them, in process and in simulated time, so that how fast one is plays no part. Differences are to float32 in ONNX
Runtime, paired by scene. Two exact forms of float32 lie as far apart as chance in a closed loop puts them: the second
one, in OpenVINO, says how far that is.

A form is offered where it loses at most 2 points among the usual scenes, and where the shifted scenes do not show that
it loses more: the upper end of the 95% interval is not below -2 points. A run that was interrupted goes on.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.common import Rows, entry, finish, make_parser, parse
from benchmarks.shifted_lift import IMAGE_SIZE
from benchmarks.speed.exports import RUN, open_run
from benchmarks.study.statistics import bootstrap
from spark_ros.contracts import SparkError
from spark_ros.evaluation.cell import Cell
from spark_ros.evaluation.lockstep import run_episode
from spark_ros.evaluation.pilots import Pilot, bundle_pilot
from spark_ros.evaluation.seeds import evaluation_seeds
from spark_ros.evaluation.statistics import wilson95
from spark_ros.runtime.session import SessionOptions
from spark_ros.sim.shifts import SHIFTS
from spark_ros.sim.world import World

FIRST_SEED = 70_000  # scenes that no other program here uses
NOMINAL = "nominal"
TOLERATED = 0.02  # of success
_PLAIN, _OPENVINO = SessionOptions(), SessionOptions(provider="openvino")
_HALF = SessionOptions(provider="openvino", half=True)
FORMS: dict[str, tuple[str, SessionOptions]] = {
    "onnxruntime fp32": ("fp32", _PLAIN),
    "openvino fp32": ("fp32", _OPENVINO),
    "openvino bf16": ("bf16", _HALF),
    "onnxruntime int8": ("int8", _PLAIN),
    "onnxruntime int8-static": ("int8-static", _PLAIN),
    "openvino int8-static": ("int8-static", _OPENVINO),
    "openvino int8-static bf16": ("int8-static", _HALF),
}
"""By name: the precision it is exported in, and what runs it. The first one is what the others are compared to."""


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, "one usual and one shifted scene")
    parser.add_argument("--run", default=RUN, help="the training run (default: %(default)s)")
    parser.add_argument("--demos", help="its demonstrations, if they have moved")
    parser.add_argument("--scenes", type=int, default=50, help="usual ones (default: %(default)s)")
    parser.add_argument("--shifted", type=int, default=10, help="scenes of each shift (default: %(default)s)")
    parser.add_argument("--forms", nargs="+", default=list(FORMS), help="some, the one to compare with first")
    options = parse(parser)
    if unknown := [name for name in options.forms if name not in FORMS]:
        raise SparkError(f"--forms {unknown[0]!r} is unknown: choose from {', '.join(map(repr, FORMS))}")
    forms = {name: FORMS[name] for name in options.forms}
    if options.scenes < 1 or options.shifted < 0:
        raise SparkError("--scenes must be at least 1 and --shifted at least 0")
    scenes, shifted = (1, 1) if options.quick else (options.scenes, options.shifted)
    shifts = [shift for shift in SHIFTS if shift != NOMINAL][: 1 if options.quick else None]
    with tempfile.TemporaryDirectory() as folder:
        precisions = dict.fromkeys(precision for precision, _ in forms.values())
        bundles = open_run(options.run, options.demos).export(precisions, Path(folder))
        pilots = {name: bundle_pilot(bundles[precision].folder, how) for name, (precision, how) in forms.items()}
    hashes = {precision: bundle.manifest.encoder_sha256[:12] for precision, bundle in bundles.items()}
    rows = Rows("precision_success", {"encoders": hashes})
    found = drive(pilots, {NOMINAL: scenes, **dict.fromkeys(shifts, shifted)}, rows)
    measured = {"scenes": scenes, "shifted_scenes": shifted, "encoders": hashes, "forms": summarise(found)}
    finish(options, "precision_success", measured, _show)
    rows.done()


def drive(pilots: Mapping[str, Pilot], counts: Mapping[str, int], rows: Rows) -> dict[str, dict[str, list[bool]]]:
    """Success by form and shift, in the order of the scenes."""
    found: dict[str, dict[str, list[bool]]] = {name: {shift: [] for shift in counts} for name in pilots}
    some = next(iter(pilots.values()))
    for shift, count in counts.items():
        world = World("lift", some.robot.name, some.cameras, IMAGE_SIZE, shift=shift)
        cell = Cell(world)
        for seed in evaluation_seeds(FIRST_SEED, count):
            for name, pilot in pilots.items():
                success = rows.get(f"{name} {shift} {seed}", partial(_succeeds, cell, pilot, seed))
                found[name][shift].append(success)
        world.close()
    return found


def _succeeds(cell: Cell, pilot: Pilot, seed: int) -> bool:
    return run_episode(cell, pilot, seed).success


def summarise(found: Mapping[str, Mapping[str, Sequence[bool]]]) -> dict[str, Any]:
    """By form: successes, differences to the first form with their intervals, and whether it is offered."""
    reference = next(iter(found.values()))
    forms: dict[str, Any] = {}
    for name, by_shift in found.items():
        usual, _ = _difference([by_shift[NOMINAL]], [reference[NOMINAL]])
        shifts = [shift for shift in by_shift if shift != NOMINAL]
        shifted, (low, high) = _difference([by_shift[s] for s in shifts], [reference[s] for s in shifts])
        forms[name] = {
            "nominal": sum(by_shift[NOMINAL]),
            "nominal_wilson95": [round(b, 4) for b in wilson95(sum(by_shift[NOMINAL]), len(by_shift[NOMINAL]))],
            "nominal_difference": round(usual, 4),
            "by_shift": {shift: sum(by_shift[shift]) for shift in shifts},
            "shifted": sum(sum(by_shift[shift]) for shift in shifts),
            "shifted_difference": round(shifted, 4),
            "shifted_difference_ci95": [round(low, 4), round(high, 4)],
            "offered": usual >= -TOLERATED and high >= -TOLERATED,
        }
    return forms


def _difference(ours: Sequence[Sequence[bool]], theirs: Sequence[Sequence[bool]]) -> tuple[float, tuple[float, float]]:
    """Mean difference and its 95% interval, all shifts of a scene drawn together."""
    if not ours or not ours[0]:
        return 0.0, (0.0, 0.0)
    per_scene = (np.array(ours, np.float64) - np.array(theirs, np.float64)).mean(axis=0)
    return bootstrap({("", 0): per_scene.tolist()})


def _show(measured: Mapping[str, Any]) -> None:
    scenes, shifted = measured["scenes"], measured["shifted_scenes"]
    print(f"{'form':28} {f'of {scenes} usual':>14} {'shifted':>8} {'difference under shift (95%)':>32}  offered")
    for name, row in measured["forms"].items():
        low, high = row["shifted_difference_ci95"]
        difference = f"{row['shifted_difference']:+.1%} ({low:+.1%} to {high:+.1%})"
        total = f"{row['shifted']}/{shifted * len(row['by_shift'])}"
        print(f"{name:28} {row['nominal']:14} {total:>8} {difference:>32}  {'yes' if row['offered'] else 'NO'}")


if __name__ == "__main__":
    entry(main)
