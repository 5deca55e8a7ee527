"""Whether the drift score of a bundle tells foreign images from usual ones, in the simulated lift task.

    python -m benchmarks.drift [--bundle fr3_lift] [--episodes 20] [--shifted 5] [--quick] [--json] [--save]

The bundle's policy drives in scenes that neither it nor its drift statistics have seen. An alarm is what makes the
gateway hold with drift_limit 1: as many observations in a row above 1 as the statistics were made for.

- nominal: how many episodes raise one. The statistics promise a rate for demonstrations; here the policy drives.
- faults: the same frames with something wrong from the middle of the episode on (a lens cap on one camera, the two
  cameras swapped, the lights off); in how many episodes the alarm comes in time, and after how many observations.
- shifts: the policy drives in scenes that differ from those of the training as `spark-ros eval --shift` has them; how
  many episodes raise an alarm, of those that end well and of those that fail. No faults, so no number is right.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from benchmarks.common import Rows, entry, finish, make_parser, parse, percentiles
from spark_ros.bundle.drift import DriftStatistics
from spark_ros.bundle.load import load_bundle
from spark_ros.contracts import Frame, ImageArray, SparkError, StateFeatures
from spark_ros.evaluation.cell import Cell
from spark_ros.evaluation.lockstep import run_episode
from spark_ros.evaluation.pilots import Encode, Pilot, bundle_pilot
from spark_ros.evaluation.seeds import evaluation_seeds
from spark_ros.evaluation.statistics import wilson95
from spark_ros.runtime.drift import DriftMonitor
from spark_ros.shares import bundle_directory
from spark_ros.sim.shifts import SHIFTS
from spark_ros.sim.world import World

FIRST_SEED = 40_000  # scenes that no other program here uses
IMAGE_SIZE = 128  # of the simulated cameras, as in config/sim_arm.yaml
FAULTY = 8  # observations under a fault; an alarm that takes longer comes too late
DARK, NOISE = 0.06, 3.0  # what an exposure of indoor light leaves when it is off; sensor noise in 8-bit levels

Fault = Callable[[Mapping[str, ImageArray], np.random.Generator], Mapping[str, ImageArray]]
"""What the cameras show instead, by camera; those that it leaves out show what they should."""


def _noisy(image: np.ndarray, rng: np.random.Generator) -> ImageArray:
    return np.clip(image + rng.normal(0.0, NOISE, image.shape) + 0.5, 0, 255).astype(np.uint8)


def _capped(camera: str) -> Fault:
    return lambda images, rng: {camera: _noisy(np.zeros_like(images[camera]), rng)}


def _swapped(images: Mapping[str, ImageArray], rng: np.random.Generator) -> Mapping[str, ImageArray]:
    return dict(zip(images, reversed(images.values()), strict=True))


def _dark(images: Mapping[str, ImageArray], rng: np.random.Generator) -> Mapping[str, ImageArray]:
    return {camera: _noisy(DARK * image, rng) for camera, image in images.items()}


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, "two episodes, no shifts")
    parser.add_argument("--bundle", default="fr3_lift", help="a folder in models/, or a path (default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=20, help="nominal ones (default: %(default)s)")
    parser.add_argument("--shifted", type=int, default=5, help="episodes of each shift (default: %(default)s)")
    options = parse(parser)
    episodes, shifted = (2, 0) if options.quick else (options.episodes, options.shifted)
    bundle = load_bundle(bundle_directory(options.bundle))
    statistics = bundle.drift()
    if statistics is None:
        raise SparkError(f"bundle {bundle.manifest.id} has no drift statistics: add them with `spark-ros bundle drift`")
    pilot = bundle_pilot(bundle.folder)
    rows = Rows("drift", {"bundle": bundle.manifest.id, "episodes": episodes, "shifted": shifted})
    driver = Driver(pilot, statistics)
    nominal = [
        rows.get(f"nominal {seed}", lambda s=seed: driver.nominal(s)) for seed in evaluation_seeds(FIRST_SEED, episodes)
    ]
    shifts = {
        shift: [
            rows.get(f"{shift} {seed}", lambda s=seed, n=shift: driver.shifted(s, n))
            for seed in evaluation_seeds(FIRST_SEED, shifted)
        ]
        for shift in (SHIFTS if shifted else ())
        if shift != "nominal"
    }
    driver.close()
    measured = {
        "bundle": bundle.manifest.id,
        "promised_false_alarm_rate": round(statistics.false_alarm_rate, 4),
        "held_out_demonstrations": statistics.held_out_episodes,
        "alarm_after": statistics.alarm_after,
        **summarise(nominal, shifts),
    }
    finish(options, "drift", measured, _show)
    rows.done()


class Driver:
    """Lets a policy drive and scores what it sees."""

    def __init__(self, pilot: Pilot, statistics: DriftStatistics) -> None:
        self._pilot, self._statistics = pilot, statistics
        self._cells: dict[str, Cell] = {}
        self._faults: dict[str, Fault] = {
            **{f"lens cap on {camera}": _capped(camera) for camera in pilot.cameras},
            "lights off": _dark,
        }
        if len(pilot.cameras) > 1:
            self._faults["cameras swapped"] = _swapped

    def nominal(self, seed: int) -> dict[str, Any]:
        """An episode without a shift, and what its frames give with each fault."""
        success, scores, seen = self._episode(seed, "nominal")
        faults = {name: self._alarm_after(seed, seen, fault) for name, fault in self._faults.items()}
        return {"success": success, "scores": scores, "alarm": self._first_alarm(scores) is not None, "faults": faults}

    def shifted(self, seed: int, shift: str) -> dict[str, Any]:
        """An episode under a shift."""
        success, scores, _ = self._episode(seed, shift)
        return {"success": success, "scores": scores, "alarm": self._first_alarm(scores) is not None}

    def close(self) -> None:
        """Frees the graphics."""
        while self._cells:
            self._cells.popitem()[1].world.close()

    def _episode(self, seed: int, shift: str) -> tuple[bool, list[float], list[dict[str, ImageArray]]]:
        """Success, score of every observation, images of every observation."""
        monitor, scores = DriftMonitor(self._statistics), []
        images: dict[str, list[ImageArray]] = {camera: [] for camera in self._pilot.cameras}

        def encode(frame: Frame) -> StateFeatures:
            features = self._pilot.encode(frame)
            images[frame.camera].append(frame.image)
            score = monitor.add(features)
            if score is not None:
                scores.append(round(score, 4))
            return features

        if shift not in self._cells:
            self.close()  # of one shift after the other
            world = World("lift", self._pilot.robot.name, self._pilot.cameras, IMAGE_SIZE, shift=shift)
            self._cells[shift] = Cell(world)
        result = run_episode(self._cells[shift], replace(self._pilot, encode=encode), seed)
        return (
            result.success,
            scores,
            [dict(zip(images, row, strict=True)) for row in zip(*images.values(), strict=False)],
        )

    def _alarm_after(self, seed: int, seen: Sequence[Mapping[str, ImageArray]], fault: Fault) -> int | None:
        """Observations from the fault to the alarm; None if there is none in time."""
        rng = np.random.default_rng(seed)
        begin = len(seen) // 2
        monitor, encode = DriftMonitor(self._statistics), self._pilot.encode
        scores = [
            _observe(monitor, encode, {**images, **fault(images, rng)}) for images in seen[begin : begin + FAULTY]
        ]
        return self._first_alarm(scores)

    def _first_alarm(self, scores: Sequence[float]) -> int | None:
        in_a_row = 0
        for number, score in enumerate(scores, start=1):
            in_a_row = 0 if score <= 1.0 else in_a_row + 1
            if in_a_row >= self._statistics.alarm_after:
                return number
        return None


def _observe(monitor: DriftMonitor, encode: Encode, images: Mapping[str, ImageArray]) -> float:
    scores = [monitor.add(encode(Frame(camera, image, 0))) for camera, image in images.items()]
    return next(score for score in reversed(scores) if score is not None)


def summarise(
    nominal: Sequence[Mapping[str, Any]], shifts: Mapping[str, Sequence[Mapping[str, Any]]]
) -> dict[str, Any]:
    """Rates, delays and scores."""
    alarms = sum(row["alarm"] for row in nominal)
    faults = {}
    for name in nominal[0]["faults"]:
        delays = [row["faults"][name] for row in nominal]
        noticed = [delay for delay in delays if delay is not None]
        faults[name] = {
            "noticed": len(noticed),
            "of": len(delays),
            "after_observations": percentiles(noticed, 1) if noticed else {},
        }
    return {
        "nominal": {
            "episodes": len(nominal),
            "successes": sum(row["success"] for row in nominal),
            "alarms": alarms,
            "alarm_rate_wilson95": [round(bound, 4) for bound in wilson95(alarms, len(nominal))],
            "score": percentiles(score for row in nominal for score in row["scores"]),
        },
        "faults": faults,
        "shifts": {name: _shift(rows) for name, rows in shifts.items()},
    }


def _shift(rows: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    fine, failed = ([row for row in rows if row["success"] is wanted] for wanted in (True, False))
    return {
        "successes": len(fine),
        "failures": len(failed),
        "alarms_of_successes": sum(row["alarm"] for row in fine),
        "alarms_of_failures": sum(row["alarm"] for row in failed),
        "score": percentiles(score for row in rows for score in row["scores"]),
    }


def _show(measured: Mapping[str, Any]) -> None:
    row = measured["nominal"]
    low, high = row["alarm_rate_wilson95"]
    print(
        f"nominal: {row['alarms']} of {row['episodes']} episodes raise an alarm (95% interval {low:.0%} to {high:.0%}; "
        f"promised for demonstrations: {measured['promised_false_alarm_rate']:.1%}); score "
        f"p50 {row['score']['p50']:.2f}, p99 {row['score']['p99']:.2f}"
    )
    for name, fault in measured["faults"].items():
        after = f"after {fault['after_observations']['p50']:.0f} observations" if fault["noticed"] else ""
        print(f"{name:20} noticed in {fault['noticed']} of {fault['of']} {after}")
    for name, shift in measured["shifts"].items():
        print(
            f"shift {name:14} alarms in {shift['alarms_of_successes']} of {shift['successes']} episodes that ended "
            f"well and {shift['alarms_of_failures']} of {shift['failures']} that failed; score p50 "
            f"{shift['score']['p50']:.2f}"
        )


if __name__ == "__main__":
    entry(main)
