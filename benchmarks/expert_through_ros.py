"""How often the scripted expert succeeds through ROS: real nodes as processes, in real time, on a domain of their own.

    python -m benchmarks.expert_through_ros [--robot fr3] [--task lift] [--arm-interface usual] [--episodes 20]
        [--seed 0] [--quick] [--json] [--save]

The teleop graph with its simulated arm: expert, gateway, driver, cameras, recorder. Every episode is recorded and then
thrown away, so that the machine has the work of a recording session. The same task in process, without a clock on the
wall: `benchmarks.sim_tasks`. A run that was interrupted goes on.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping
from contextlib import ExitStack
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import Rows, entry, finish, make_parser, parse, percentiles, spread
from spark_ros.bringup.supervisor import READY_TIMEOUT_S, Bringup
from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.evaluation.seeds import evaluation_seeds
from spark_ros.evaluation.statistics import wilson95
from spark_ros.nodes.demo_client import DemoClient
from spark_ros.nodes.demo_sessions import Episode, Plan
from spark_ros.sim.registry import make_task

QUICK_EPISODES = 2


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, f"{QUICK_EPISODES} episodes")
    parser.add_argument("--robot", default="fr3", help="a simulated arm (default: %(default)s)")
    parser.add_argument("--task", default="lift", help="a task of the simulator (default: %(default)s)")
    parser.add_argument("--arm-interface", default="usual", help="how its driver is commanded (default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=20, help="scenes, consecutive (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="of the first scene (default: %(default)s)")
    options = parse(parser)
    setup = {name: getattr(options, name) for name in ("robot", "task", "arm_interface", "seed")}
    setup["episodes"] = QUICK_EPISODES if options.quick else options.episodes
    unusual = [options.arm_interface] * (options.arm_interface != "usual")
    name = "_".join(["expert_ros", options.task, options.robot, *unusual])
    rows = Rows(name, setup)
    results = run(setup, rows)
    rates = wilson95(sum(row["success"] for row in results), len(results))
    measured = {
        **setup,
        "successes": sum(row["success"] for row in results),
        "wilson95": [round(rate, 4) for rate in rates],
        "time_to_success_s": percentiles(row["duration_s"] for row in results if row["success"]),
        "failures": {str(row["seed"]): row["reason"] for row in results if not row["success"]},
    }
    finish(options, name, measured, _show, ros=True)
    rows.done()


def run(setup: Mapping[str, Any], rows: Rows) -> list[dict[str, Any]]:
    """An entry for each scene; the graph is started if one is missing."""
    seeds = evaluation_seeds(setup["seed"], setup["episodes"])
    if all(str(seed) in rows.known for seed in seeds):
        return [rows.known[str(seed)] for seed in seeds]
    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        client = stack.enter_context(_client(setup, folder, stack))
        plan = Plan(DemoFolder(folder), make_task(setup["task"]).instruction, len(seeds), "expert", None, 0.0)
        return [rows.get(str(seed), partial(_episode, client, plan, seed, setup["task"])) for seed in seeds]


def _client(setup: Mapping[str, Any], folder: Path, stack: ExitStack) -> DemoClient:
    arguments = {name: setup[name] for name in ("robot", "task", "arm_interface")}
    arguments |= {"sim": "true", "operator": "expert", "folder": str(folder), "domain": "auto"}
    graph = stack.enter_context(Bringup("teleop", arguments))
    graph.wait_ready()
    os.environ.update(graph.environment)  # this process joins the same domain over the same transport
    client = DemoClient(graph.domain_id, "expert_through_ros")
    deadline = time.monotonic() + READY_TIMEOUT_S
    while not client.sim_state:  # the manager does not wait for the simulated arm
        graph.check()
        if time.monotonic() > deadline:
            raise SparkError(f"the simulated arm was not there within {READY_TIMEOUT_S:.0f} s: {graph.log_directory}")
        time.sleep(0.1)
    client.require_operator()
    return client


def _episode(client: DemoClient, plan: Plan, seed: int, task: str) -> dict[str, Any]:
    with Episode(client, plan, seed) as episode:
        begin_s = client.sim_state["time_s"]
        reason = episode.succeeded(make_task(task).max_duration_s)
        duration_s = client.sim_state["time_s"] - begin_s
        episode.discard()
    return {"seed": seed, "success": not reason, "reason": reason, "duration_s": round(duration_s, 2)}


def _show(measured: Mapping[str, Any]) -> None:
    low, high = measured["wilson95"]
    print(
        f"{measured['robot']}, {measured['task']}, interface {measured['arm_interface']}: {measured['successes']} of "
        f"{measured['episodes']} ({low:.0%} to {high:.0%}), {spread(measured['time_to_success_s'])} s (p50 / p95 / p99)"
    )
    for seed, reason in measured["failures"].items():
        print(f"seed {seed}: {reason}")


if __name__ == "__main__":
    entry(main)
