"""Two ways to fill a folder with demonstrations: a scripted operator alone, or a person at the keys."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from contextlib import nullcontext, suppress
from dataclasses import dataclass

from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.control.modes import Mode
from spark_ros.data.dataset_folder import DemoFolder, EpisodeEntry
from spark_ros.nodes.demo_client import DemoClient
from spark_ros.nodes.terminal import Keys
from spark_ros.sim.experts.base import GO_ON_S

POLL_S = 0.02

Report = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """What a session is to record.

    Attributes:
        folder: Where the recorder puts the episodes.
        instruction: The task in words; the folder may hold other tasks besides.
        episodes: How many successful ones of this task the folder is to hold in the end.
        operator: Who drives the arm, as episodes carry it.
        first_seed: Seed of the first simulated scene; the next ones follow. None without a simulator.
        timeout_s: A simulated episode that takes longer has failed.
        failures: So many failed episodes in a row end the session.
        engage: The gateway's service that each episode begins with: teleoperation, or a policy to be corrected.
    """

    folder: DemoFolder
    instruction: str
    episodes: int
    operator: str
    first_seed: int | None
    timeout_s: float
    failures: int = 5
    engage: str = topics.GATEWAY_ENGAGE_TELEOP

    def recorded(self) -> list[EpisodeEntry]:
        """The finished episodes of this task that show it done; failures worth keeping come on top."""
        return [entry for entry in self._entries() if entry.success]

    def seeds(self) -> Iterator[int | None]:
        """The scenes to record, without those the folder has."""
        if self.first_seed is None:
            return itertools.repeat(None)
        have = {entry.seed for entry in self._entries()}
        return (seed for seed in itertools.count(self.first_seed) if seed not in have)

    def _entries(self) -> list[EpisodeEntry]:
        if not self.folder.path.is_dir():
            return []
        return [entry for entry in self.folder.episodes() if entry.task == self.instruction]


class Episode:
    """One recording under way; `keep` or `discard` ends it, and leaving the block otherwise discards it.

    Args:
        client: The session's hands.
        plan: What is recorded.
        seed: Scene of the simulator to begin with, if there is one.
    """

    def __init__(self, client: DemoClient, plan: Plan, seed: int | None) -> None:
        self._client, self._plan = client, plan
        self._recording = False
        client.disengage()  # first: a command of the last episode would pull the arm of the new one away
        if seed is not None:
            client.reset_world(seed)
        about = {"task": plan.instruction, "operator": plan.operator, "seed": -1 if seed is None else seed}
        client.set_parameters("recorder", about)

    def __enter__(self) -> Episode:
        try:
            self._recording = True  # Ctrl-C while the recorder answers must not leave it recording
            try:
                self._client.insist(topics.RECORDER_START)
            except SparkError:
                self._recording = False  # it refused; if it records, then for somebody else
                raise
            self._client.insist(self._plan.engage)
        except BaseException as error:
            self.__exit__(type(error))
            raise
        return self

    def __exit__(self, error: type[BaseException] | None, *_: object) -> None:
        # After Ctrl-C or a node's end some of this may have happened already or be impossible; why the block was left
        # matters more than that.
        with suppress(SparkError) if error is not None else nullcontext():
            if self._recording:
                self.discard()
        with suppress(SparkError) if error is not None else nullcontext():
            self._client.disengage()

    def keep(self, success: bool = True) -> str:
        """Finish it, as a success or as a failure worth keeping; what the recorder says."""
        self._client.set_parameters("recorder", {"success": success})
        message = self._client.trigger(topics.RECORDER_KEEP)
        self._recording = False
        return message

    def discard(self) -> str:
        """Forget it; what the recorder says."""
        self._recording = False
        return self._client.trigger(topics.RECORDER_DISCARD)

    def succeeded(self, timeout_s: float) -> str:
        """Wait for success in the simulator; empty when it came, else why it did not."""
        deadline, end = time.monotonic() + timeout_s, math.inf
        while time.monotonic() < end:
            if self._client.mode != Mode.TELEOP.value:
                return f"the gateway left teleoperation ({self._client.mode})"
            if end == math.inf and self._client.sim_state.get("success"):
                end = time.monotonic() + GO_ON_S
            elif end == math.inf and time.monotonic() > deadline:
                return f"no success within {timeout_s:.0f} s"
            time.sleep(POLL_S)
        return ""


def record_by_itself(client: DemoClient, plan: Plan, advance: Report, say: Report) -> None:
    """The scripted operator records episode after episode, keeping the successful ones.

    Args:
        client: The session's hands.
        plan: What to record.
        advance: Called with the recorder's words for each kept episode.
        say: Called with everything else worth knowing.

    Raises:
        SparkError: A node refuses or is gone, or too many episodes failed in a row.
    """
    missing, failed = plan.episodes - len(plan.recorded()), 0
    for seed in plan.seeds():
        if missing <= 0:
            return
        with Episode(client, plan, seed) as episode:
            reason = episode.succeeded(plan.timeout_s)
            if reason:
                failed += 1
                say(f"seed {seed}: {reason}; {episode.discard()}")
            else:
                missing, failed = missing - 1, 0
                advance(f"seed {seed}: {episode.keep()}")
        if failed >= plan.failures:
            raise SparkError(
                f"{failed} episodes in a row failed, the last one because of: {reason}; look at the operator and the "
                "simulator before recording on"
            )


def record_with_keys(client: DemoClient, plan: Plan, keys: Keys, advance: Report, say: Report) -> None:
    """A person decides: single keys begin, keep, discard and repeat episodes.

    Args:
        client: The session's hands.
        plan: What to record.
        keys: The terminal.
        advance: Called with the recorder's words for each kept episode.
        say: Called with prompts and answers.

    Raises:
        SparkError: A node is gone.
    """
    missing, seeds = plan.episodes - len(plan.recorded()), plan.seeds()
    seed, again = next(seeds), False
    while missing > 0:
        if not again:
            scene = "" if seed is None else f" (seed {seed})"
            say(f"next episode{scene}: put the scene in order, then s: start, q: quit")
            if _choice(keys, "sq") == "q":
                return
        again = False
        try:
            with Episode(client, plan, seed) as episode:
                say("recording; k: keep, f: keep as a failure, d: discard, r: discard, record again, q: discard, quit")
                key = _choice(keys, "kfdrq")
                if key == "k":
                    advance(episode.keep())
                    missing, seed = missing - 1, next(seeds)
                    continue
                if key == "f":
                    say(episode.keep(success=False))
                    seed = next(seeds)
                    continue
                say(episode.discard())
                if key == "q":
                    return
                again = key == "r"
        except (
            SparkError
        ) as error:  # a stream is missing, the arm is not at rest: say so, and let the person put it right
            say(str(error))
            client.require(simulator=plan.first_seed is not None)


def _choice(keys: Keys, allowed: str) -> str:
    while True:
        try:
            typed = [key.lower() for key in keys.read(0.2)]
        except EOFError as error:
            raise SparkError("the terminal has gone: the session ends, finished episodes are kept") from error
        for key in typed:
            if key in allowed:
                return key
