"""How good and how fast the simulator is: the scripted expert through the gateway, and the cost of pictures.

    python -m benchmarks.sim_tasks [--task lift] [--robot fr3] [--shift nominal] [--episodes 100] [--seed 0]
        [--image-size 128] [--quick] [--json] [--save]

On every seed the expert drives twice: steadily, and straying on purpose now and then as in every second demonstration.
Success is the task's own rule; the cost is milliseconds on the wall per simulated second, without cameras. A run that
was interrupted goes on.
"""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

from benchmarks.common import Rows, entry, finish, make_parser, parse, percentiles, ratios, spread
from spark_ros.control.gateway import Gateway, GatewayConfig
from spark_ros.control.modes import Mode
from spark_ros.evaluation.statistics import wilson95
from spark_ros.sim.registry import make_expert
from spark_ros.sim.world import World

FORMS = {"steady": False, "straying": True}
QUICK_EPISODES = 5
PICTURES = 200


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, f"{QUICK_EPISODES} episodes of each kind")
    parser.add_argument("--task", default="lift", help="a task of the simulator (default: %(default)s)")
    parser.add_argument("--robot", default="fr3", help="a simulated arm (default: %(default)s)")
    parser.add_argument("--shift", default="nominal", help="a domain shift (default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=100, help="seeds, consecutive (default: %(default)s)")
    parser.add_argument("--seed", type=int, default=0, help="first seed (default: %(default)s)")
    parser.add_argument("--image-size", type=int, default=128, help="side of a picture, pixels (default: %(default)s)")
    options = parse(parser)
    episodes = QUICK_EPISODES if options.quick else options.episodes

    world = World(options.task, options.robot, image_size=options.image_size, shift=options.shift)
    setup = {name: getattr(options, name) for name in ("task", "robot", "shift", "seed", "image_size")}
    setup["episodes"] = episodes
    unusual = [options.robot] * (options.robot != "fr3") + [options.shift] * (options.shift != "nominal")
    name = "_".join(["sim", options.task, *unusual])
    rows = Rows(name, setup)
    runs: dict[str, list[dict[str, Any]]] = {form: [] for form in FORMS}
    for seed in range(options.seed, options.seed + episodes):
        for form, perturb in FORMS.items():
            runs[form].append(rows.get(f"{form} {seed}", partial(run_episode, world, seed, perturb)))
    measured: dict[str, Any] = {**setup, "expert": {form: _summary(results) for form, results in runs.items()}}
    costs = [measured["expert"][form]["cost_ms_per_s"] for form in ("straying", "steady")]
    measured["cost_of_straying_over_steady"] = ratios(*costs)
    measured["picture_ms"] = picture_ms(world)
    world.close()
    finish(options, name, measured, _show)
    rows.done()


def run_episode(world: World, seed: int, perturb: bool) -> dict[str, Any]:
    """One episode: whether and when it succeeded, and how fast it was simulated."""
    begin = time.perf_counter()
    world.reset(seed)
    gateway, expert = Gateway(world.spec, GatewayConfig()), make_expert(world.task.name, world, seed, perturb)
    gateway.on_joint_state(world.joint_state(0), 0.0)
    gateway.engage(Mode.TELEOP, 0.0)
    for tick in range(round(world.task.max_duration_s * 100)):
        now = tick / 100
        stamp = tick * 10_000_000
        if tick % 5 == 0:
            gateway.on_teleop(expert.act(stamp), now)
        command = gateway.tick(now, stamp)
        if command is not None:
            world.command(command.position, command.gripper_width)
        world.step(0.01)
        gateway.on_joint_state(world.joint_state(stamp + 10_000_000), now + 0.01)
        if world.success():
            break
    cost_ms = 1e3 * (time.perf_counter() - begin) / world.time_s
    return {"seed": seed, "success": world.success(), "duration_s": round(world.time_s, 3), "cost": round(cost_ms, 2)}


def picture_ms(world: World) -> dict[str, dict[str, float]]:
    """Milliseconds a picture takes, by camera; the cameras take turns."""
    times: dict[str, list[float]] = {camera: [] for camera in world.camera_names}
    for _ in range(PICTURES):
        for camera, taken in times.items():
            begin = time.perf_counter()
            world.render(camera)
            taken.append(1e3 * (time.perf_counter() - begin))
    return {camera: percentiles(taken) for camera, taken in times.items()}


def _summary(results: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    succeeded = [result for result in results if result["success"]]
    low, high = wilson95(len(succeeded), len(results))
    return {
        "successes": len(succeeded),
        "wilson95": [round(low, 4), round(high, 4)],
        "failed_seeds": [result["seed"] for result in results if not result["success"]],
        "time_to_success_s": percentiles(result["duration_s"] for result in succeeded),
        "cost_ms_per_s": percentiles(result["cost"] for result in results),
    }


def _show(measured: Mapping[str, Any]) -> None:
    print(f"{'expert':10} {'successes':>12} {'time to success s':>22} {'ms per simulated s':>22}   p50 / p95 / p99")
    for form, row in measured["expert"].items():
        count = f"{row['successes']} of {measured['episodes']}"
        print(f"{form:10} {count:>12} {spread(row['time_to_success_s']):>22} {spread(row['cost_ms_per_s'], 1):>22}")
        if row["failed_seeds"]:
            print(f"{'':10} failed seeds: {row['failed_seeds']}")
    for camera, times in measured["picture_ms"].items():
        print(f"a picture of {camera}: {spread(times, 1)} ms")


if __name__ == "__main__":
    entry(main)
