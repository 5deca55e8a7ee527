"""One episode of an expert on the way real demonstrations take: through the gateway, in lockstep."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from spark_ros.contracts import TeleopInput
from spark_ros.control.gateway import Gateway, GatewayConfig
from spark_ros.control.modes import Mode
from spark_ros.sim.registry import make_expert
from spark_ros.sim.world import World

TICKS_PER_INPUT = 5  # gateway at 100 Hz, operator at 20 Hz


@dataclass
class Episode:
    success: bool = False
    duration_s: float = 0.0
    inputs: list[TeleopInput] = field(default_factory=list)
    joints: list[np.ndarray] = field(default_factory=list)


def run_expert(world: World, expert_seed: int = 0, perturb: bool = False) -> Episode:
    """Drives the world on from its present state until success or the task's end."""
    gateway = Gateway(world.spec, GatewayConfig())
    expert = make_expert(world.task.name, world, expert_seed, perturb)
    episode = Episode()
    gateway.on_joint_state(world.joint_state(_ns(world)), world.time_s)
    assert gateway.engage(Mode.TELEOP, world.time_s).ok
    tick = 0
    while world.time_s < world.task.max_duration_s and not world.success():
        now, stamp = world.time_s, _ns(world)
        if tick % TICKS_PER_INPUT == 0:
            episode.inputs.append(expert.act(stamp))
            gateway.on_teleop(episode.inputs[-1], now)
        command = gateway.tick(now, stamp)
        assert command is not None
        world.command(command.position, command.gripper_width)
        world.step(0.01)
        joints = world.joint_state(_ns(world))
        gateway.on_joint_state(joints, world.time_s)
        episode.joints.append(joints.position)
        tick += 1
    assert gateway.mode is Mode.TELEOP, gateway.reason
    episode.success, episode.duration_s = world.success(), world.time_s
    return episode


def _ns(world: World) -> int:
    return round(world.time_s * 1e9)
