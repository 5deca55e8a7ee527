"""Demonstrations of the scripted expert, recorded in process: simulated time, as fast as the machine can.

The expert takes the operator's place. It moves the arm through the gateway, and every message that the recorder node
would have stored is written, so that training cannot tell these episodes from those of the ROS graph.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from spark_ros import topics
from spark_ros.adapters.registry import make_arm_adapter, make_gripper_adapter
from spark_ros.contracts import Command, SparkError, TeleopInput
from spark_ros.control.modes import Mode
from spark_ros.data.cdr_messages import (
    Message,
    encode_camera_info,
    encode_frame,
    encode_joints,
    encode_joy,
    encode_setpoint,
    encode_text,
    encode_twist,
)
from spark_ros.data.dataset_folder import DemoFolder, EpisodeEntry
from spark_ros.data.episode_writer import EpisodeWriter
from spark_ros.evaluation.cell import Cell, Sensed
from spark_ros.evaluation.driver_messages import encode_outgoing
from spark_ros.evaluation.progress import progress_bar
from spark_ros.evaluation.seeds import FIRST_DEMO
from spark_ros.sim.experts.base import GO_ON_S
from spark_ros.sim.registry import make_expert
from spark_ros.sim.world import World

OPERATOR = "expert"

_TELEOP_HZ = 20.0
_STATE_HZ = 20.0
_MOST_FAILURES = 20  # in a row, after which something is wrong with the task rather than with the seeds


@dataclass(frozen=True)
class DemoOptions:
    """What to record.

    Attributes:
        task: Name of the task.
        robot: Name of the robot.
        cameras: Cameras to record; None for all of the world's.
        image_size: Height and width of their images, pixels.
        perturbed_share: Part (0..1) of the episodes in which the expert strays now and then, on purpose.
        first_seed: Seed of the first episode; the next ones count up from it.
    """

    task: str = "lift"
    robot: str = "fr3"
    cameras: tuple[str, ...] | None = None
    image_size: int = 128
    perturbed_share: float = 0.5
    first_seed: int = FIRST_DEMO


def record_demos(
    folder: str | Path, count: int, options: DemoOptions | None = None, progress: bool = True
) -> list[EpisodeEntry]:
    """Records until the folder holds `count` successful episodes; failures are thrown away.

    An interrupted recording leaves whole episodes only, and the same call goes on with the next seed.

    Args:
        folder: A folder of demonstrations, made if need be.
        count: Episodes in the folder at the end, those that it holds already included.
        options: What to record.
        progress: Whether to show a progress bar.

    Returns:
        The folder's episodes.

    Raises:
        SparkError: Another recorder uses the folder, the disk is full, there are no graphics libraries, the task or
            a camera does not exist, or the expert fails again and again.
    """
    options = options or DemoOptions()
    demos = DemoFolder(folder)
    world = World(options.task, options.robot, options.cameras, options.image_size)
    try:
        with demos.recording(), progress_bar("recording", count, len(demos.episodes()), progress) as bar:
            cell = Cell(world)
            failures = 0
            for seed in _seeds(demos, options.first_seed):
                if len(demos.episodes()) >= count:
                    break
                perturbed = _is_perturbed(seed - options.first_seed, options.perturbed_share)
                entry = record_demo(demos, cell, seed, perturbed)
                failures = 0 if entry else failures + 1
                if failures >= _MOST_FAILURES:
                    raise SparkError(
                        f"the expert failed {failures} times in a row at {options.task}, last at seed {seed}: "
                        "watch an episode of the simulator and correct the task or its expert"
                    )
                bar.update(entry is not None)
        return demos.episodes()
    finally:
        world.close()


def record_demo(demos: DemoFolder, cell: Cell, seed: int, perturbed: bool) -> EpisodeEntry | None:
    """Records one episode into a folder that is being recorded into.

    Returns:
        The episode; None if the expert did not succeed, then nothing is kept.
    """
    world = cell.world
    metadata = {
        "task": world.task.instruction,
        "robot": world.spec.name,
        "operator": OPERATOR,
        "cameras": list(world.camera_names),
        "seed": seed,
        "perturbed": perturbed,
    }
    cell.reset(seed)
    writer = demos.start_episode(metadata)
    try:
        success = _drive(cell, _Tape(writer, cell), perturbed)
        if success:
            return demos.keep(writer, {"success": True, "messages_lost": {}})
        writer.discard()
        return None
    except BaseException:  # Ctrl-C included: only whole episodes stay
        writer.discard()
        raise


def _drive(cell: Cell, tape: _Tape, perturbed: bool) -> bool:
    """Lets the expert do the task once; whether it succeeded."""
    world = cell.world
    expert = make_expert(world.task.name, world, world.seed, perturbed)
    teleop_every, state_every = cell.every(_TELEOP_HZ), cell.every(_STATE_HZ)
    done_s: float | None = None
    tape.mode(cell)
    while world.time_s < world.task.max_duration_s:
        sensed = cell.sense()
        tape.sensed(sensed)
        if cell.gateway.mode is Mode.IDLE:
            outcome = cell.gateway.engage(Mode.TELEOP, cell.now)
            if not outcome.ok:
                raise SparkError(f"the gateway refuses the expert: {outcome.message}")
            tape.mode(cell)
        if sensed.tick % state_every == 0:
            tape.state(cell)
        if sensed.tick % teleop_every == 0:
            teleop = expert.act(sensed.stamp_ns)
            tape.teleop(teleop)
            cell.gateway.on_teleop(teleop, cell.now)
        command = cell.act()
        if command is not None:
            tape.command(command, sensed)
        if not cell.gateway.mode.is_active:
            return False  # the gateway's reason is its own; a demonstration that it had to end is none
        if done_s is None and world.success():
            done_s = world.time_s
        if done_s is not None and world.time_s >= done_s + GO_ON_S:
            return True
    return False


class _Tape:
    """Writes the messages of the ROS graph."""

    def __init__(self, writer: EpisodeWriter, cell: Cell) -> None:
        self._writer = writer
        self._world = cell.world
        self._intrinsics = {name: cell.world.camera_intrinsics(name) for name in cell.world.camera_names}
        self._drivers = (make_arm_adapter(cell.world.spec), make_gripper_adapter(cell.world.spec))

    def sensed(self, sensed: Sensed) -> None:
        """Joint states, images and their calibration."""
        self._write(topics.JOINT_STATES, encode_joints(sensed.joints), sensed.stamp_ns)
        for frame in sensed.frames:
            height, width, _ = frame.image.shape
            info = encode_camera_info(frame.camera, self._intrinsics[frame.camera], height, width, frame.stamp_ns)
            self._write(topics.camera_image(frame.camera), encode_frame(frame), frame.stamp_ns)
            self._write(topics.camera_info(frame.camera), info, frame.stamp_ns)

    def command(self, command: Command, sensed: Sensed) -> None:
        """What the gateway commands, and what the drivers of arm and gripper get of it."""
        spec, stamp_ns = self._world.spec, sensed.stamp_ns
        self._write(topics.GATEWAY_SETPOINT, encode_setpoint(command, spec.gripper, stamp_ns), stamp_ns)
        measured = sensed.joints.select(spec.joint_names).position
        for driver in self._drivers:
            self._write(driver.topic, encode_outgoing(driver.convert(command, measured, stamp_ns)), stamp_ns)

    def teleop(self, teleop: TeleopInput) -> None:
        """The operator's input."""
        spec = self._world.spec
        self._write(topics.TELEOP_JOY, encode_joy(teleop, spec.gripper.max_width), teleop.stamp_ns)
        self._write(topics.TELEOP_TWIST, encode_twist(teleop, spec.base_frame), teleop.stamp_ns)

    def mode(self, cell: Cell) -> None:
        """The gateway's mode."""
        self._write(topics.GATEWAY_MODE, encode_text(cell.gateway.mode.value), cell.stamp_ns)

    def state(self, cell: Cell) -> None:
        """What only the simulator knows."""
        self._write(topics.SIM_STATE, encode_text(json.dumps(describe(cell.world))), cell.stamp_ns)

    def _write(self, topic: str, message: Message, stamp_ns: int) -> None:
        msg_type, cdr = message
        self._writer.write(topic, msg_type, cdr, stamp_ns, stamp_ns)


def describe(world: World, episode: int = 0) -> dict[str, object]:
    """The content of `topics.SIM_STATE`."""
    return {
        "task": world.task.name,
        "seed": world.seed,
        "episode": episode,
        "time_s": world.time_s,
        "success": world.success(),
        **world.task_state(),
    }


def _seeds(demos: DemoFolder, first: int) -> Iterator[int]:
    """The seeds after those that the folder holds."""
    used = [entry.seed for entry in demos.episodes() if entry.seed is not None and entry.seed >= first]
    seed = max(used, default=first - 1)
    while True:
        seed += 1
        yield seed


def _is_perturbed(index: int, share: float) -> bool:
    """Spreads a share of the episodes evenly: with 0.5 every second one."""
    return int((index + 1) * share) > int(index * share)
