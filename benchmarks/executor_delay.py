"""How chunks are followed when they come late: the newest alone, temporal ensembling, or blended by a soft mask.

    python -m benchmarks.executor_delay [--bundle models/fr3_lift] [--episodes 20] [--seed 0] [--delays 0 100 200 300]
        [--quick] [--json] [--save]

A bundle drives the simulated arm in process. Its chunks reach the gateway the delay after the frame they follow from
was captured, on the simulated clock; a policy computes one chunk at a time, so that beyond 100 ms they also come more
rarely. Every way of following them meets the same scenes. The commands' joint acceleration and jerk are differences of
the positions that the gateway sends at 100 Hz; their peaks are often those that its limiter permits, whatever comes in.
A run that was interrupted goes on.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import numpy as np

from benchmarks.common import Rows, entry, finish, make_parser, parse
from spark_ros.contracts import Command, FloatArray
from spark_ros.control.config import GatewayConfig
from spark_ros.evaluation.cell import Cell
from spark_ros.evaluation.lockstep import run_episode
from spark_ros.evaluation.pilots import Pilot, bundle_pilot
from spark_ros.evaluation.seeds import evaluation_seeds
from spark_ros.evaluation.statistics import wilson95
from spark_ros.shares import bundle_directory
from spark_ros.sim.world import World

NEWEST, ENSEMBLE, BLEND = "newest chunk", "temporal ensemble", "soft mask"
WAYS = (NEWEST, ENSEMBLE, BLEND)
ENSEMBLE_M = 0.01  # ACT, arXiv:2304.13705, section IV-C
SMOOTHNESS = ("peak_acceleration", "rms_acceleration", "peak_jerk", "rms_jerk")


class WatchedCell(Cell):
    """Keeps what the gateway commands.

    Attributes:
        commands: (J,) rad each, one a control period, since the last `reset`.
    """

    def reset(self, seed: int) -> None:
        """See `Cell`."""
        super().reset(seed)
        self.commands: list[FloatArray] = []

    def act(self) -> Command | None:
        """See `Cell`."""
        command = super().act()
        if command is not None:
            self.commands.append(command.position)
        return command


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, "one scene, the shortest and the longest delay")
    parser.add_argument("--bundle", default="models/fr3_lift", help="(default: %(default)s)")
    parser.add_argument("--task", default="lift", help="(default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=20, help="scenes, consecutive (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first scene (default: %(default)s)")
    parser.add_argument(
        "--delays", type=int, nargs="+", default=[0, 100, 200, 300], metavar="MS", help="(default: all)"
    )
    options = parse(parser)
    delays = [min(options.delays), max(options.delays)] if options.quick else options.delays
    seeds = evaluation_seeds(options.seed, 1 if options.quick else options.episodes)

    pilot = bundle_pilot(bundle_directory(options.bundle))
    setup = {
        "bundle": pilot.id,
        "task": options.task,
        "seed": options.seed,
        "episodes": len(seeds),
        "delays_ms": delays,
        "ensemble_m": ENSEMBLE_M,
    }
    rows = Rows("executor_delay", setup)
    world = World(options.task, pilot.robot.name, pilot.cameras)
    found: dict[tuple[int, str], list[dict[str, Any]]] = {(delay, way): [] for delay in delays for way in WAYS}
    for seed in seeds:
        for delay, way in found:
            row = rows.get(f"{delay} ms, {way}, {seed}", partial(run_one, world, pilot, seed, delay * 1e-3, way))
            found[delay, way].append(row)
    world.close()
    cells = [{"delay_ms": d, "way": w, **summary(found[d, w], found[d, NEWEST])} for d, w in found]
    finish(options, "executor_delay", {**setup, "cells": cells}, _show)
    rows.done()


def run_one(world: World, pilot: Pilot, seed: int, delay_s: float, way: str) -> dict[str, Any]:
    """One episode: whether it succeeded, why it ended, and how rough the commands were."""
    interval_s = max(1.0 / pilot.rate_hz, delay_s)
    config = {
        NEWEST: GatewayConfig(),
        ENSEMBLE: GatewayConfig(temporal_ensemble=ENSEMBLE_M),
        BLEND: GatewayConfig(blend_execution_s=interval_s),
    }[way]
    cell = WatchedCell(world, config)
    result = run_episode(cell, replace(pilot, rate_hz=1.0 / interval_s), seed, delay_s)
    smooth = roughness(np.array(cell.commands), config.period_s)
    return {"success": result.success, "duration_s": result.duration_s, "ending": result.ending, **smooth}


def roughness(positions: FloatArray, period_s: float) -> dict[str, float]:
    """Largest and quadratic mean over time of the joint that is worst, from positions (T, J), rad, at even times.

    Returns:
        Accelerations in rad/s^2, jerks in rad/s^3.
    """
    found = {}
    for name, order in (("acceleration", 2), ("jerk", 3)):
        values = np.abs(np.diff(positions, order, axis=0)) / period_s**order
        found[f"peak_{name}"] = round(float(values.max()), 3) if len(values) else 0.0
        found[f"rms_{name}"] = round(float(np.sqrt((values**2).mean(axis=0)).max()), 3) if len(values) else 0.0
    return found


def summary(rows: Sequence[Mapping[str, Any]], reference: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Success with its interval, against the reference on the same scenes, and medians over the episodes."""
    successes = [row["success"] for row in rows]
    others = [row["success"] for row in reference]
    low, high = wilson95(sum(successes), len(successes))
    times = [row["duration_s"] for row in rows if row["success"]]
    endings = sorted({row["ending"] for row in rows if not row["success"]})
    return {
        "successes": sum(successes),
        "wilson95": [round(low, 4), round(high, 4)],
        "only_this_succeeds": sum(a and not b for a, b in zip(successes, others, strict=True)),
        "only_newest_succeeds": sum(b and not a for a, b in zip(successes, others, strict=True)),
        "time_to_success_s": round(float(np.median(times)), 2) if times else None,
        **{name: round(float(np.median([row[name] for row in rows])), 2) for name in SMOOTHNESS},
        "failures": endings,
    }


def _show(measured: Mapping[str, Any]) -> None:
    heads = ("delay", "chunks followed by", "success", "s", "rad/s^2 peak", "rms", "rad/s^3 peak", "rms")
    print("{:>7} {:20} {:>9} {:>6} {:>13} {:>7} {:>13} {:>8}".format(*heads))
    for cell in measured["cells"]:
        rate = f"{cell['successes']} of {measured['episodes']}"
        time_s = "" if cell["time_to_success_s"] is None else f"{cell['time_to_success_s']:.2f}"
        acceleration = f"{cell['peak_acceleration']:13.1f} {cell['rms_acceleration']:7.2f}"
        jerk = f"{cell['peak_jerk']:13.0f} {cell['rms_jerk']:8.1f}"
        print(f"{cell['delay_ms']:4d} ms {cell['way']:20} {rate:>9} {time_s:>6} {acceleration} {jerk}")
        for ending in cell["failures"]:
            print(f"{'':28} failed: {ending}")


if __name__ == "__main__":
    entry(main)
