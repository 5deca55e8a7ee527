"""Replays a recorded episode on the simulated arm, through the gateway, in process."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from spark_ros.contracts import SparkError
from spark_ros.control.modes import Mode
from spark_ros.data.episode_reader import Episode
from spark_ros.data.replay import PERIOD_S, Replay
from spark_ros.evaluation.cell import Cell
from spark_ros.sim.registry import TASKS
from spark_ros.sim.world import World


@dataclass(frozen=True)
class Replayed:
    """How a replay went.

    Attributes:
        success: Whether the task was done.
        ending: Why the gateway stopped it; empty if it went to its end.
        seconds: Simulated time.
        rms_rad: Distance between the arm and where the recorded one was, over all joints and all of the recording.
        largest_rad: The largest.
    """

    success: bool
    ending: str
    seconds: float
    rms_rad: float
    largest_rad: float


def task_of(instruction: str) -> str:
    """Name of the simulated task that is described so.

    Raises:
        SparkError: There is none.
    """
    for name, make in TASKS.items():
        if make().instruction == instruction:
            return name
    raise SparkError(
        f"no simulated task is described as {instruction!r}: name one with --task, of {', '.join(sorted(TASKS))}"
    )


def replay_in_simulator(episode: Episode, task: str = "", speed: float = 1.0) -> Replayed:
    """Replay in the world that belongs to the episode's seed.

    Args:
        episode: The episode.
        task: Name of the task; empty for what the episode says.
        speed: See `data.replay.Replay`.

    Raises:
        SparkError: No simulation of the arm or the task, or no setpoints to replay.
    """
    metadata = episode.metadata
    world = World(task or task_of(metadata.task), metadata.robot, (), render=False)
    try:
        return _replay(Cell(world), episode, Replay(episode, world.spec, speed), metadata.seed or 0, speed)
    finally:
        world.close()


def _replay(cell: Cell, episode: Episode, replay: Replay, seed: int, speed: float) -> Replayed:
    cell.reset(seed)
    names = cell.world.spec.joint_names
    told_s = (episode.joints.stamps_ns - episode.setpoints.stamps_ns[0]) * 1e-9
    recorded, distances = episode.joints.columns(names), []
    begun, success, ending, every, stamp = False, False, "", cell.every(1.0 / PERIOD_S), 0
    while not (begun and replay.done(stamp)):
        sensed = cell.sense()
        stamp = sensed.stamp_ns
        if cell.gateway.mode is Mode.IDLE:
            outcome = cell.gateway.engage(Mode.POLICY, cell.now)
            if not outcome.ok:
                raise SparkError(f"the gateway did not engage: {outcome.message}")
            replay.begin(sensed.joints)
            begun = True
        if sensed.tick % every == 0:
            cell.gateway.on_chunk(replay.chunk(stamp), cell.now)
        cell.act()
        if not cell.gateway.mode.is_active:
            ending = cell.gateway.reason
            break
        success = success or cell.world.success()
        elapsed = replay.elapsed_s(stamp) * speed
        if told_s[0] <= elapsed <= told_s[-1]:
            there = np.array([np.interp(elapsed, told_s, column) for column in recorded.T])
            distances.append(np.abs(sensed.joints.select(names).position - there))
    apart = np.array(distances) if distances else np.zeros((1, len(names)))
    return Replayed(success, ending, round(cell.world.time_s, 2), float(np.sqrt((apart**2).mean())), float(apart.max()))
