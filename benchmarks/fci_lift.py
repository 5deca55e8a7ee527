"""How often the shipped bundle lifts the cube where the arm is moved over libfranka, as by the node `fci_arm`.

    python -m benchmarks.fci_lift [--episodes 20] [--ros-episodes 10] [--quick] [--json] [--save]

The robot answers libfranka with the servers of franky-sim, in front of the scenes of `make demo`. In step: gateway,
policy and robot share one simulated clock, so the machine's load does not matter. Through ROS: the whole graph in real
time, in which the robot needs most of a processor core and waits up to 5 ms for a command that is late; how much of
real time it kept up with is part of the result.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict
from typing import Any

from benchmarks.common import ROOT, Rows, entry, finish, make_parser, parse, percentiles, spread
from benchmarks.fci.lockstep_world import LibfrankaWorld
from benchmarks.fci.world_node import READY
from spark_ros.bringup.domain import claim_domain
from spark_ros.bringup.environment import child_environment
from spark_ros.bringup.supervisor import Bringup
from spark_ros.bundle.load import load_bundle
from spark_ros.contracts import SparkError
from spark_ros.control.config import GatewayConfig
from spark_ros.evaluation.cell import Cell
from spark_ros.evaluation.lockstep import run_episode
from spark_ros.evaluation.pilots import bundle_pilot
from spark_ros.evaluation.results import SUCCESS, EpisodeResult
from spark_ros.evaluation.statistics import wilson95
from spark_ros.evaluation.through_ros import Examiner
from spark_ros.fci.connection import load_franky
from spark_ros.fci.pace import pace
from spark_ros.shares import bundle_directory
from spark_ros.sim.registry import make_task

TASK = "lift"
HOST = "127.0.0.21"  # loopback
START_S = 60.0
LOGS = ROOT / "out" / "benchmarks" / "fci_lift"


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, "1 episode in step")
    parser.add_argument("--bundle", default="models/fr3_lift", help="(default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=20, help="in step (default: %(default)s)")
    parser.add_argument("--ros-episodes", type=int, default=10, help="through ROS (default: %(default)s)")
    options = parse(parser)
    load_franky()  # before anything else takes time
    in_step, through_ros = (1, 0) if options.quick else (options.episodes, options.ros_episodes)
    rows = Rows("fci_lift", {"bundle": options.bundle})
    runs = {}
    if in_step:
        runs["in step"] = describe(lift_in_step(options.bundle, range(in_step), rows))
    if through_ros:
        runs["through ROS"] = describe(lift_through_ros(options.bundle, range(through_ros), rows))
    finish(options, "fci_lift", {"bundle": options.bundle, "runs": runs}, show, ros=bool(through_ros))
    rows.done()


def lift_in_step(bundle: str, seeds: range, rows: Rows) -> list[EpisodeResult]:
    """One episode for each seed, on a simulated clock."""
    pilot = bundle_pilot(bundle_directory(bundle))
    world = LibfrankaWorld(TASK, pilot.cameras, HOST)
    try:
        cell = Cell(world, GatewayConfig(**pace(world.spec.limits)))
        return [_row(rows, "in step", seed, lambda s=seed: run_episode(cell, pilot, s)) for seed in seeds]
    finally:
        world.close()


def lift_through_ros(bundle: str, seeds: range, rows: Rows) -> list[EpisodeResult]:
    """One episode for each seed, in real time.

    Raises:
        SparkError: A process does not start or ends.
    """
    folder = bundle_directory(bundle)
    cameras = tuple(load_bundle(folder).manifest.cameras)
    LOGS.mkdir(parents=True, exist_ok=True)
    claim = claim_domain("auto")
    domain = claim.domain_id
    with robot(domain, seeds[0], cameras):
        claim.release()  # the graph claims it
        arguments = {"arm": "fci", "robot_ip": HOST, "realtime": "ignore", "bundle": str(folder)}
        local = {"ROS_AUTOMATIC_DISCOVERY_RANGE": "LOCALHOST"}
        with Bringup("manipulation", arguments, local, domain=domain, log_directory=LOGS) as graph:
            graph.wait_ready()
            os.environ.update(graph.environment)
            with Examiner(graph, make_task(TASK).max_duration_s) as examiner:
                examiner.wait_for_graph()
                return [_row(rows, "through ROS", seed, lambda s=seed: examiner.episode(s)) for seed in seeds]


@contextmanager
def robot(domain: int, seed: int, cameras: tuple[str, ...]) -> Iterator[None]:
    """The robot's process, as long as the block lasts.

    Raises:
        SparkError: It does not start.
    """
    log = LOGS / "world.log"
    command = [sys.executable, "-m", "benchmarks.fci.world_node", "--host", HOST, "--task", TASK, "--seed", str(seed)]
    with log.open("w") as output:
        process = subprocess.Popen(
            [*command, "--cameras", *cameras],
            cwd=ROOT,
            env=child_environment(domain_id=domain, local_only=True),
            stdout=output,
            stderr=subprocess.STDOUT,
        )
    try:
        deadline = time.monotonic() + START_S
        while READY not in log.read_text(encoding="utf-8"):
            if process.poll() is not None or time.monotonic() > deadline:
                raise SparkError(f"the simulated robot did not start: see {log.relative_to(ROOT)}")
            time.sleep(0.1)
        yield
    finally:
        _end(process)


def describe(results: list[EpisodeResult]) -> dict[str, Any]:
    """What the episodes say, JSON-able."""
    successes = sum(result.success for result in results)
    return {
        "episodes": len(results),
        "successes": successes,
        "success_rate": successes / len(results),
        "wilson95": [round(bound, 4) for bound in wilson95(successes, len(results))],
        "endings": {str(result.seed): result.ending for result in results},
        "of_real_time": percentiles(result.speed for result in results),
        "latency_ms": percentiles(value for result in results for value in result.latency_ms),
    }


def show(measured: Mapping[str, Any]) -> None:
    """Prints it."""
    for name, run in measured["runs"].items():
        low, high = run["wilson95"]
        print(f"{name}: {run['successes']} of {run['episodes']} lifted (95% interval {low:.0%} to {high:.0%})")
        print(f"  latency {spread(run['latency_ms'], 1)} ms, robot at {spread(run['of_real_time'])} of real time")
        for seed, ending in run["endings"].items():
            if ending != SUCCESS:
                print(f"  seed {seed}: {ending}")


def _row(rows: Rows, run: str, seed: int, episode: Callable[[], EpisodeResult]) -> EpisodeResult:
    result = EpisodeResult(**rows.get(f"{run}, seed {seed}", lambda: asdict(episode())))
    print(f"{run}, seed {seed}: {result.ending} after {result.duration_s:.1f} s", flush=True)
    return result


def _end(process: subprocess.Popen[bytes]) -> None:
    for number, patience_s in ((signal.SIGINT, 8.0), (signal.SIGKILL, 5.0)):
        if process.poll() is None:
            process.send_signal(number)
        try:
            process.wait(patience_s)
            return
        except subprocess.TimeoutExpired:
            continue


if __name__ == "__main__":
    entry(main)
