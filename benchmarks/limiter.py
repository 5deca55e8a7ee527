"""Whether anything gets past the limiter: a million unkind steps, judged by a check that shares nothing with it.

    python -m benchmarks.limiter [--robot NAME ...] [--steps N] [--seed 0] [--quick] [--json] [--save]

- Streams of targets straight into the limiter (`limits/streams.py`): jumps, alternating extremes, velocities that lie,
  fast waves, races into position limits and their velocity taper, tool poses anywhere, twists along walls and into
  singularities, NaN, infinity and wrong lengths; starts anywhere, also at and beyond limits; time that stands still,
  goes back or leaps.
- An adversary in front of a whole gateway (`limits/adversary.py`): chunks with wrong shapes, names, orders, stamps,
  joint states that jump or are broken, clocks that jump, requests at any time.

Every arm that has a description takes part, with its full and with lowered scales. A step is one command; a violation
is a step beyond a limit, by kind (`limits/check.py`). The tool's speed may be 5% and its place 5 mm beyond what is
aimed at. Times are of a step of the limiter, from joint target to setpoint, without the inverse kinematics before it;
those of the processor leave out what other programs took meanwhile. Smooth targets are timed apart. The same streams,
fewer of them, then run through the limiter as it is where nothing was compiled, in a process of its own.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.common import ROOT, entry, finish, make_parser, parse, percentiles, ratios, spread
from benchmarks.limits.adversary import Adversary
from benchmarks.limits.check import Verdict, add, judge
from benchmarks.limits.streams import Stream
from spark_ros.compiled import compiled_modules
from spark_ros.contracts import ActionKind, SparkError
from spark_ros.control.config import GatewayConfig
from spark_ros.control.executor import Target
from spark_ros.control.limiter import Limiter
from spark_ros.control.motion import Motion
from spark_ros.robots.spec import RobotSpec, load_robot, robot_names

STEPS, QUICK_STEPS = 1_000_000, 60_000
UNCOMPILED_SHARE = 50  # of the steps, one in so many
SMOOTH_STEPS = 2000
STREAM_STEPS, ADVERSARY_STEPS = 400, 4000
ADVERSARY_SHARE = 0.3  # of the steps
SCALES = ((1.0, 1.0), (1.0, 1.0), (0.1, 1.0), (1.0, 0.2), (0.1, 0.2))  # acceleration, velocity


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, f"{QUICK_STEPS} steps")
    parser.add_argument("--robot", nargs="+", default=robot_names(), help="names or paths (default: every one known)")
    parser.add_argument("--steps", type=int, default=STEPS, help="of all arms together (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the streams (default: %(default)s)")
    options = parse(parser)
    steps = QUICK_STEPS if options.quick else options.steps

    timed, sources = Times(), Times()
    by_robot: dict[str, dict[str, Any]] = {}
    for name in options.robot:
        share = steps // len(options.robot) + 1
        with timed.steps():
            by_robot[name] = _drive(load_robot(name), share, options.seed)
        sources.add(_uncompiled(name, share // UNCOMPILED_SHARE, options.seed))
    smooth = Times()
    with smooth.steps():
        for name in options.robot:
            _drive_smoothly(load_robot(name))
    step_us, uncompiled_us = percentiles(timed.wall_us, 1), percentiles(sources.wall_us, 1)
    measured = {
        "violations": sum(row["violations"] for row in by_robot.values()),
        "steps": sum(row["steps"] for row in by_robot.values()),
        "step_us": step_us,
        "step_busy_us": percentiles(timed.busy_us, 1),
        "smooth_step_us": percentiles(smooth.wall_us, 1),
        "smooth_step_busy_us": percentiles(smooth.busy_us, 1),
        "compiled": compiled_modules(),
        "uncompiled_step_us": uncompiled_us,
        "uncompiled_step_busy_us": percentiles(sources.busy_us, 1),
        "uncompiled_over_compiled": ratios(uncompiled_us, step_us),
        "seed": options.seed,
        "robots": by_robot,
    }
    finish(options, "limiter", measured, _show)


class Times:
    """What steps of a `Limiter` took.

    Attributes:
        wall_us: On the wall.
        busy_us: Of the processor.
    """

    def __init__(self) -> None:
        """None yet."""
        self.wall_us: list[float] = []
        self.busy_us: list[float] = []

    def add(self, other: Times) -> None:
        """Takes over what another one has."""
        self.wall_us += other.wall_us
        self.busy_us += other.busy_us

    @contextmanager
    def steps(self) -> Iterator[None]:
        """Within it, every step counts."""
        track = Limiter.track

        def timed(*arguments: Any) -> Any:
            begin, busy = time.perf_counter(), time.thread_time()
            try:
                return track(*arguments)
            finally:
                self.busy_us.append(1e6 * (time.thread_time() - busy))
                self.wall_us.append(1e6 * (time.perf_counter() - begin))

        Limiter.track = timed  # type: ignore[method-assign]
        try:
            yield
        finally:
            Limiter.track = track  # type: ignore[method-assign]


def time_streams(name: str, steps: int, seed: int) -> Times:
    """What the first so many steps of an arm take."""
    times = Times()
    with times.steps():
        _drive(load_robot(name), steps, seed)
    return times


def _uncompiled(name: str, steps: int, seed: int) -> Times:
    """The same of the sources as they are, in a process of its own."""
    code = (
        "import json; from benchmarks.limits.uncompiled import prefer_sources; prefer_sources(); "
        "from benchmarks.limiter import time_streams; "
        f"times = time_streams({name!r}, {steps}, {seed}); print(json.dumps([times.wall_us, times.busy_us]))"
    )
    ran = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    if ran.returncode != 0:
        raise SparkError(f"the uncompiled limiter failed: {ran.stderr[-2000:]}")
    times = Times()
    times.wall_us, times.busy_us = json.loads(ran.stdout)
    return times


def _drive(spec: RobotSpec, steps: int, seed: int) -> dict[str, Any]:
    """Steps of one arm until there are enough; streams and adversaries in turns, every one with a seed of its own."""
    verdicts: list[Verdict] = []
    by_source = {"streams": 0, "adversary": 0}
    run = 0
    while sum(by_source.values()) < steps:
        rng = np.random.default_rng([seed, run])
        acceleration, velocity = SCALES[run % len(SCALES)]
        config = GatewayConfig(acceleration_scale=acceleration, velocity_scale=velocity)
        run += 1
        if by_source["adversary"] < ADVERSARY_SHARE * sum(by_source.values()):
            source, runs = "adversary", Adversary(spec, config, rng).run(ADVERSARY_STEPS)
        else:
            source, runs = "streams", [Stream(spec, config, rng).run(STREAM_STEPS)]
        by_source[source] += sum(len(told.position) for told in runs)
        verdicts += [judge(told, spec) for told in runs]
    verdict = add(verdicts)
    return {
        "violations": sum(verdict.violations.values()),
        "steps": sum(by_source.values()),
        "steps_by_source": by_source,
        "violations_by_kind": verdict.violations,
        "largest": verdict.largest,
    }


def _drive_smoothly(spec: RobotSpec) -> None:
    """Every joint to and fro by 0.2 rad, each at its own phase: what an arm does at work."""
    config = GatewayConfig()
    motion, phase = Motion(spec, config), np.arange(spec.home.size)
    motion.start(spec.home, 0.0)
    for step in range(SMOOTH_STEPS):
        angle = 1.3 * step * config.period_s + phase
        target = Target(ActionKind.JOINT_POSITION, spec.home + 0.2 * np.sin(angle), 0.26 * np.cos(angle), 0.0)
        motion.follow(target, config.period_s)


def _show(measured: Mapping[str, Any]) -> None:
    print(f"{measured['violations']} violations in {measured['steps']} steps; largest use of a limit (workspace: m):")
    for name, row in measured["robots"].items():
        print(f"  {name}: {row['violations']} in {row['steps']} steps")
        for kind, count in row["violations_by_kind"].items():
            largest = row["largest"].get(kind)
            print(f"    {kind:38} {count:6} {'' if largest is None else f'{largest:.6g}':>12}")
    for kind, label in (("", "unkind"), ("smooth_", "smooth"), ("uncompiled_", "uncompiled, unkind")):
        wall, busy = (spread(measured[f"{kind}step{name}_us"], 0) for name in ("", "_busy"))
        print(
            f"a step of the limiter, {label} targets: {wall} us on the wall, {busy} of the processor (p50 / p95 / p99)"
        )


if __name__ == "__main__":
    entry(main)
