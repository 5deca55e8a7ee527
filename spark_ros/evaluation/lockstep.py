"""Evaluation in process: policy, gateway and simulated arm on one simulated clock, faster than real time.

Computing a chunk takes time during which a real arm moves on. Here that time is a constant of the simulated clock and
not the time this machine takes, so results do not depend on how busy the machine is, and repeat exactly.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Sequence
from pathlib import Path

from spark_ros.contracts import ActionChunk, SparkError, StateFeatures
from spark_ros.control.modes import Mode
from spark_ros.data.align import ObservationAligner
from spark_ros.evaluation.cell import Cell, Sensed
from spark_ros.evaluation.pilots import Pilot
from spark_ros.evaluation.progress import progress_bar
from spark_ros.evaluation.results import SUCCESS, TIME_IS_UP, EpisodeLog, EpisodeResult
from spark_ros.evaluation.video import ENCORE_S, Film
from spark_ros.sim.world import World

# Capture to the first command along the chunk, as measured through ROS on two cores: drawing two pictures, encoding
# them, the policy, three hops of the middleware.
CHUNK_DELAY_S = 0.06
LATENCY_OF = "encoding one observation and computing its chunk, on this machine"
_EARLY = 0.25  # an observation that is this part of a period early still counts as the next one, as in the policy node


def evaluate(
    pilot: Pilot,
    seeds: Sequence[int],
    log: EpisodeLog,
    task: str = "lift",
    chunk_delay_s: float = CHUNK_DELAY_S,
    image_size: int = 128,
    videos: Path | None = None,
    progress: bool = True,
    shift: str = "nominal",
) -> list[EpisodeResult]:
    """Runs the episodes that `log` does not hold yet.

    Args:
        pilot: Who drives.
        seeds: Of the worlds.
        log: Takes each result as soon as it is known.
        task: Name of the task.
        chunk_delay_s: From the capture of a frame until the gateway has the chunk that follows from it.
        image_size: Of the cameras, pixels.
        videos: Folder for one video per episode; None for no videos.
        progress: Whether to show a progress bar.
        shift: Domain shift of the worlds, a name in `sim.shifts.SHIFTS`.

    Returns:
        The results of all seeds, in their order.

    Raises:
        SparkError: No graphics libraries, an unknown task or shift, a camera that the world lacks, a full disk.
    """
    world = World(task, pilot.robot.name, pilot.cameras, image_size, shift=shift)
    try:
        cell = Cell(world)
        missing = [seed for seed in seeds if seed not in log.results]
        with progress_bar("evaluating", len(seeds), len(seeds) - len(missing), progress) as bar:
            for seed in missing:
                log.add(_episode(cell, pilot, seed, chunk_delay_s, videos))
                bar.set_postfix_str(log.tally(), refresh=False)
                bar.update()
    finally:
        world.close()
    return [log.results[seed] for seed in seeds]


def _episode(cell: Cell, pilot: Pilot, seed: int, chunk_delay_s: float, videos: Path | None) -> EpisodeResult:
    film = Film(pilot.cameras) if videos is not None else None
    result = run_episode(cell, pilot, seed, chunk_delay_s, film)
    name = f"seed_{seed}.mp4"
    if film is None or videos is None or not film.write(videos / name):
        return result
    return EpisodeResult(**{**vars(result), "video": name})


def run_episode(
    cell: Cell, pilot: Pilot, seed: int, chunk_delay_s: float = CHUNK_DELAY_S, film: Film | None = None
) -> EpisodeResult:
    """One episode; it ends with success, when its time is up, or when the gateway stops the policy.

    Args:
        cell: Where; its world must have the pilot's cameras.
        pilot: Who drives.
        seed: Of the world.
        chunk_delay_s: See `evaluate`.
        film: Collects the frames.
    """
    begin = time.monotonic()
    cell.reset(seed)
    world, thinker = cell.world, Thinker(pilot, chunk_delay_s)
    ending = ""
    while not ending:
        ending = _advance(cell, thinker, film)
        if world.success():
            ending = SUCCESS
        elif world.time_s >= world.task.max_duration_s:
            ending = ending or TIME_IS_UP
    duration_s, latency_ms = world.time_s, tuple(thinker.latency_ms)
    speed = duration_s / (time.monotonic() - begin)
    if film is not None and world.success():
        while world.time_s < duration_s + ENCORE_S and not _advance(cell, thinker, film):
            pass
    return EpisodeResult(seed, world.success(), round(duration_s, 3), ending, round(speed, 3), latency_ms)


def _advance(cell: Cell, thinker: Thinker, film: Film | None) -> str:
    """One control period; why the policy cannot go on, empty if it can."""
    sensed = cell.sense()
    if film is not None:
        for frame in sensed.frames:
            film.add(frame)
    gateway = cell.gateway
    if gateway.mode is Mode.IDLE:
        outcome = gateway.engage(Mode.POLICY, cell.now)
        if not outcome.ok:
            return outcome.message
    try:
        for chunk in thinker.think(sensed):
            gateway.on_chunk(chunk, cell.now)
    except SparkError as error:
        return str(error)
    cell.act()
    return "" if gateway.mode.is_active else gateway.reason


class Thinker:
    """The perception and policy nodes of one episode, on the simulated clock."""

    def __init__(self, pilot: Pilot, chunk_delay_s: float) -> None:
        self._pilot = pilot
        self._delay_ns = round(chunk_delay_s * 1e9)
        self._shortest_ns = round((1.0 - _EARLY) / pilot.rate_hz * 1e9)
        joints = (*pilot.robot.joint_names, *pilot.robot.gripper.joint_names)
        self._aligner: ObservationAligner[StateFeatures] = ObservationAligner(pilot.cameras, joints)
        self._last_ns: int | None = None
        self._coming: deque[tuple[int, ActionChunk]] = deque()
        self.latency_ms: list[float] = []

    def think(self, sensed: Sensed) -> list[ActionChunk]:
        """Takes in what was sensed; returns the chunks that are ready by now.

        Raises:
            SparkError: The encoder or the policy refuses, e.g. because of values that are not finite.
        """
        begin = time.perf_counter()
        observations = []
        for frame in sensed.frames:
            features = self._pilot.encode(frame)
            observations += self._aligner.add_frame_or_features(frame.camera, features, frame.stamp_ns)
        observations += self._aligner.add_joints(sensed.joints)
        if observations:
            newest = observations[-1]
            if self._last_ns is None or newest.stamp_ns - self._last_ns >= self._shortest_ns:
                self._last_ns = newest.stamp_ns
                chunk = self._pilot.act(newest.items, newest.joints)
                self._coming.append((newest.stamp_ns + self._delay_ns, chunk))
                self.latency_ms.append(round((time.perf_counter() - begin) * 1e3, 2))
        ready = []
        while self._coming and self._coming[0][0] <= sensed.stamp_ns:
            ready.append(self._coming.popleft()[1])
        return ready
