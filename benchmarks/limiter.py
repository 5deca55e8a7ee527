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
those of the processor leave out what other programs took meanwhile. Smooth targets are timed apart.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

import numpy as np

from benchmarks.common import entry, finish, make_parser, parse, percentiles, spread
from benchmarks.limits.adversary import Adversary
from benchmarks.limits.check import Verdict, add, judge
from benchmarks.limits.streams import Stream
from spark_ros.contracts import ActionKind
from spark_ros.control.config import GatewayConfig
from spark_ros.control.executor import Target
from spark_ros.control.limiter import Limiter
from spark_ros.control.motion import Motion
from spark_ros.robots.spec import RobotSpec, load_robot, robot_names

STEPS, QUICK_STEPS = 1_000_000, 60_000
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

    step_us: list[float] = []
    busy_us: list[float] = []
    by_robot: dict[str, dict[str, Any]] = {}
    with _timed(step_us, busy_us):
        for name in options.robot:
            by_robot[name] = _drive(load_robot(name), steps // len(options.robot) + 1, options.seed)
    smooth_us: list[float] = []
    smooth_busy_us: list[float] = []
    with _timed(smooth_us, smooth_busy_us):
        for name in options.robot:
            _drive_smoothly(load_robot(name))
    measured = {
        "violations": sum(row["violations"] for row in by_robot.values()),
        "steps": sum(row["steps"] for row in by_robot.values()),
        "step_us": percentiles(step_us, 1),
        "step_busy_us": percentiles(busy_us, 1),
        "smooth_step_us": percentiles(smooth_us, 1),
        "smooth_step_busy_us": percentiles(smooth_busy_us, 1),
        "seed": options.seed,
        "robots": by_robot,
    }
    finish(options, "limiter", measured, _show)


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


@contextmanager
def _timed(step_us: list[float], busy_us: list[float]) -> Iterator[None]:
    """Within it, every step of a `Limiter` adds what it took, on the wall and of the processor."""
    track = Limiter.track

    def timed(*arguments: Any) -> Any:
        begin, busy = time.perf_counter(), time.thread_time()
        try:
            return track(*arguments)
        finally:
            busy_us.append(1e6 * (time.thread_time() - busy))
            step_us.append(1e6 * (time.perf_counter() - begin))

    Limiter.track = timed  # type: ignore[method-assign]
    try:
        yield
    finally:
        Limiter.track = track  # type: ignore[method-assign]


def _show(measured: Mapping[str, Any]) -> None:
    print(f"{measured['violations']} violations in {measured['steps']} steps; largest use of a limit (workspace: m):")
    for name, row in measured["robots"].items():
        print(f"  {name}: {row['violations']} in {row['steps']} steps")
        for kind, count in row["violations_by_kind"].items():
            largest = row["largest"].get(kind)
            print(f"    {kind:38} {count:6} {'' if largest is None else f'{largest:.6g}':>12}")
    for kind, label in (("", "unkind"), ("smooth_", "smooth")):
        wall, busy = (spread(measured[f"{kind}step{name}_us"], 0) for name in ("", "_busy"))
        print(
            f"a step of the limiter, {label} targets: {wall} us on the wall, {busy} of the processor (p50 / p95 / p99)"
        )


if __name__ == "__main__":
    entry(main)
