"""How good and how fast the simulator is: the scripted expert's success through the gateway, and the cost of pictures.

    python benchmarks/sim_lift.py [--episodes 100] [--seed 0] [--perturb] [--image-size 128] [--json]

Times are wall time on this machine, the picture's being the 25% quantile, which a busy machine disturbs least.
"""

from __future__ import annotations

import argparse
import json
import time

import numpy as np

from spark_ros.control.gateway import Gateway, GatewayConfig
from spark_ros.control.modes import Mode
from spark_ros.sim.registry import make_expert
from spark_ros.sim.world import World

PICTURES = 60


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--episodes", type=int, default=100, help="episodes, on consecutive seeds")
    parser.add_argument("--seed", type=int, default=0, help="first seed")
    parser.add_argument("--perturb", action="store_true", help="let the expert stray on purpose now and then")
    parser.add_argument("--image-size", type=int, default=128, help="side of a picture in pixels")
    parser.add_argument("--json", action="store_true", help="print one JSON object instead of a table")
    arguments = parser.parse_args()

    world = World(image_size=arguments.image_size)
    begin = time.perf_counter()
    seeds = range(arguments.seed, arguments.seed + arguments.episodes)
    durations = {seed: run_episode(world, seed, arguments.perturb) for seed in seeds}
    wall = (time.perf_counter() - begin) / arguments.episodes
    succeeded = [duration for duration in durations.values() if duration is not None]
    result = {
        "episodes": arguments.episodes,
        "successes": len(succeeded),
        "failed_seeds": [seed for seed, duration in durations.items() if duration is None],
        "mean_duration_s": float(np.mean(succeeded)) if succeeded else None,
        "wall_s_per_episode": wall,
        "picture_ms": {camera: picture_ms(world, camera) for camera in world.camera_names},
    }
    world.close()
    if arguments.json:
        print(json.dumps(result))
    else:
        for key, value in result.items():
            print(f"{key:20} {value}")


def run_episode(world: World, seed: int, perturb: bool) -> float | None:
    """Simulated seconds until success; None if the task's time ran out."""
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
            return world.time_s
    return None


def picture_ms(world: World, camera: str) -> float:
    """Milliseconds a picture takes."""
    times = []
    for _ in range(PICTURES):
        begin = time.perf_counter()
        world.render(camera)
        times.append(time.perf_counter() - begin)
    return float(np.quantile(times, 0.25) * 1e3)


if __name__ == "__main__":
    main()
