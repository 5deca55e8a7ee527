"""Many episodes of the FR3 side by side, so that one batch of the encoder serves all their cameras.

What happens in an episode is that of `evaluation.lockstep`: the same gateway, aligner, codec and delay on a simulated
clock. Only the encoder waits until every world has its pictures, which costs a fifth of encoding one by one on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from spark_ros.contracts import Frame, ImageArray, SparkError, StateFeatures
from spark_ros.control.modes import Mode
from spark_ros.evaluation.cell import Cell, Sensed
from spark_ros.evaluation.lockstep import CHUNK_DELAY_S, Thinker
from spark_ros.evaluation.pilots import Act, Pilot
from spark_ros.sim.world import World

Encode = Callable[[Sequence[ImageArray]], np.ndarray]  # images of any camera to (N, K, D) float32 tokens


@dataclass(frozen=True)
class Episode:
    """One episode to run.

    Attributes:
        shift: What the scene is changed in.
        seed: Of the world.
    """

    shift: str
    seed: int


class Worlds:
    """Simulated cells by task and shift, built once: compiling one takes as long as an episode.

    Attributes:
        cameras: Of every world.
    """

    def __init__(self, cameras: tuple[str, ...], build: Callable[[str, str], World]) -> None:
        """Worlds come from ``build(task, shift)``."""
        self.cameras = cameras
        self._build = build
        self._task = ""
        self._free: dict[str, list[Cell]] = {}

    def take(self, task: str, shift: str) -> Cell:
        """A cell of this task and shift that nobody else has."""
        if task != self._task:
            self.close()
            self._task = task
        free = self._free.setdefault(shift, [])
        return free.pop() if free else Cell(self._build(task, shift))

    def give(self, shift: str, cell: Cell) -> None:
        """Takes it back."""
        self._free[shift].append(cell)

    def close(self) -> None:
        """Ends all worlds that are not in use."""
        for cells in self._free.values():
            for cell in cells:
                cell.world.close()
        self._free = {}


def roll_out(
    worlds: Worlds, task: str, episodes: Sequence[Episode], act: Act, encode: Encode, rate_hz: float, beside: int = 8
) -> list[bool]:
    """Success of each episode.

    Args:
        worlds: Where.
        task: Of the worlds.
        episodes: In any order; those next to each other run side by side.
        act: Aligned features and joints to a chunk.
        encode: All cameras' pictures of one moment to their tokens.
        rate_hz: How often the policy is asked.
        beside: Episodes at a time.
    """
    success: dict[Episode, bool] = {}
    waiting = list(reversed(episodes))
    running: list[tuple[_Running, list[Frame]]] = []
    while waiting or running:
        while waiting and len(running) < beside:
            one = _Running(worlds, task, waiting.pop(), act, rate_hz)
            running.append((one, one.first()))
        frames = [frame for _, seen in running for frame in seen]
        tokens = iter(encode([frame.image for frame in frames]))
        going_on = []
        for one, seen in running:
            one.remember({frame.camera: StateFeatures(frame.camera, next(tokens), frame.stamp_ns) for frame in seen})
            following = one.next()
            if following is None:
                success[one.episode] = one.success
            else:
                going_on.append((one, following))
        running = going_on
    return [success[episode] for episode in episodes]


class _Running:
    """An episode that stops at every moment at which pictures must be encoded."""

    def __init__(self, worlds: Worlds, task: str, episode: Episode, act: Act, rate_hz: float) -> None:
        self.episode, self.success = episode, False
        self._worlds = worlds
        self._cell = worlds.take(task, episode.shift)
        self._features: dict[str, StateFeatures] = {}
        spec = self._cell.world.spec
        pilot = Pilot("study", {}, spec, worlds.cameras, task, rate_hz, lambda frame: self._features[frame.camera], act)
        self._thinker = Thinker(pilot, CHUNK_DELAY_S)
        self._cell.reset(episode.seed)
        self._moments = self._run()

    def first(self) -> list[Frame]:
        """The first pictures."""
        return next(self._moments)

    def remember(self, features: dict[str, StateFeatures]) -> None:
        """What the encoder made of the last pictures."""
        self._features = features

    def next(self) -> list[Frame] | None:
        """Goes on to the next pictures; None when the episode is over."""
        frames = next(self._moments, None)
        if frames is None:
            self._worlds.give(self.episode.shift, self._cell)
        return frames

    def _run(self) -> Iterator[list[Frame]]:
        world = self._cell.world
        while world.time_s < world.task.max_duration_s:
            sensed = self._cell.sense()
            if sensed.frames:
                yield list(sensed.frames)
            if not self._respond(sensed):
                break
            if world.success():
                break
        self.success = world.success()

    def _respond(self, sensed: Sensed) -> bool:
        """The rest of a control period; False where the gateway stopped the policy."""
        gateway = self._cell.gateway
        if gateway.mode is Mode.IDLE and not gateway.engage(Mode.POLICY, self._cell.now).ok:
            return False
        try:
            for chunk in self._thinker.think(sensed):
                gateway.on_chunk(chunk, self._cell.now)
        except SparkError:  # values that are not finite: the episode is lost, as it would be on the arm
            return False
        self._cell.act()
        return gateway.mode.is_active
