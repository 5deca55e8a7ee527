"""Evaluation through ROS: the running graph in real time, watched and steered over its topics and services only.

Nothing here knows how the graph works inside; a simulated arm that answers to `topics.SIM_RESET` is all it takes.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from sensor_msgs.msg import Image, TimeReference
from std_msgs.msg import String

from spark_ros import topics
from spark_ros.bringup.supervisor import Bringup
from spark_ros.bundle.load import Bundle
from spark_ros.contracts import SparkError
from spark_ros.control.modes import Mode
from spark_ros.data.cdr_messages import decode_frame
from spark_ros.evaluation.progress import progress_bar
from spark_ros.evaluation.results import SUCCESS, TIME_IS_UP, EpisodeLog, EpisodeResult
from spark_ros.evaluation.video import ENCORE_S, Film
from spark_ros.nodes import qos
from spark_ros.nodes.demo_client import DemoClient
from spark_ros.nodes.stamps import stamp_ns
from spark_ros.sim.registry import make_task

LATENCY_OF = "capture of a frame to the first command that follows from it, through ROS"

# A new scene must have come through cameras, encoder and policy before the policy gets the arm: what it knows before
# that is the last scene. Five frames at 10 Hz.
_NEW_SCENE_S = 0.5
_POLL_S = 0.02
_DISCOVERY_S = 10.0  # usually 0.1 s, sometimes an announcement period of 3 s


def evaluate(
    bundle: Bundle,
    seeds: Sequence[int],
    log: EpisodeLog,
    task: str = "lift",
    videos: Path | None = None,
    log_directory: Path | None = None,
    arguments: Mapping[str, str] | None = None,
    progress: bool = True,
) -> list[EpisodeResult]:
    """Starts the graph on a ROS domain of its own and runs the episodes that `log` does not hold yet.

    Args:
        bundle: Who drives.
        seeds: Of the worlds.
        log: Takes each result as soon as it is known.
        task: Name of the simulated task.
        videos: Folder for one video per episode; None for no videos.
        log_directory: Where the nodes' output goes.
        arguments: More arguments of the manipulation graph.
        progress: Whether to show a progress bar.

    Returns:
        The results of all seeds, in their order.

    Raises:
        SparkError: No ROS, a node refuses or ends, a disk is full.
    """
    missing = [seed for seed in seeds if seed not in log.results]
    if missing:
        graph_arguments = {
            "sim": "true",
            "bundle": str(bundle.folder),
            "robot": bundle.robot.name,
            "task": task,
            "seed": str(missing[0]),
            "domain": "auto",
            **(arguments or {}),
        }
        cameras = tuple(bundle.manifest.cameras) if videos is not None else ()
        with (
            progress_bar("evaluating", len(seeds), len(seeds) - len(missing), progress) as bar,
            Bringup("manipulation", graph_arguments, log_directory=log_directory) as graph,
        ):
            graph.wait_ready()
            os.environ.update(graph.environment)  # this process joins the same domain over the same transport
            with Examiner(graph, make_task(task).max_duration_s, cameras) as examiner:
                examiner.wait_for_graph()
                for seed in missing:
                    log.add(_with_video(examiner, examiner.episode(seed), videos))
                    bar.set_postfix_str(log.tally(), refresh=False)
                    bar.update()
    return [log.results[seed] for seed in seeds]


@dataclass
class _Seen:
    """What was received since the episode began: stamps in ns, images as the bytes that travelled."""

    commands: list[tuple[int, int]] = field(default_factory=list)  # (sent, captured)
    images: list[tuple[str, bytes]] = field(default_factory=list)
    modes: list[str] = field(default_factory=list)


class Examiner(DemoClient):
    """Sets the policy a task and watches it."""

    def __init__(self, graph: Bringup, max_duration_s: float, cameras: Sequence[str] = ()) -> None:
        """Joins the graph.

        Args:
            graph: Running.
            max_duration_s: An episode without success is over after this task time.
            cameras: Whose images to keep for a video.
        """
        self._graph = graph
        self._max_duration_s = max_duration_s
        self._cameras = tuple(cameras)
        self._seen = _Seen()
        super().__init__(graph.domain_id, "evaluation")
        self._node.create_subscription(TimeReference, topics.GATEWAY_TRACE, self._on_trace, qos.STREAM)
        for camera in cameras:
            self._node.create_subscription(
                Image, topics.camera_image(camera), self._keeper(camera), qos.RECORDING, raw=True
            )

    def __enter__(self) -> Examiner:
        return self

    def wait_for_graph(self) -> None:
        """Returns once simulator and gateway have been heard of.

        Raises:
            SparkError: It does not, or a node ended.
        """
        deadline = time.monotonic() + _DISCOVERY_S
        while not (self.sim_state and self.mode):
            self._graph.check()
            if time.monotonic() > deadline:
                raise SparkError(
                    f"nothing arrives on {topics.SIM_STATE} or {topics.GATEWAY_MODE} for {_DISCOVERY_S:.0f} s: the "
                    f"nodes' output is in {self._graph.log_directory}"
                )
            time.sleep(_POLL_S)

    def episode(self, seed: int) -> EpisodeResult:
        """One episode; it ends with success, when its time is up, or when the gateway stops the policy.

        Raises:
            SparkError: A node refuses or ended.
        """
        self.disengage()
        self.reset_world(seed)
        time.sleep(_NEW_SCENE_S)
        self._seen = _Seen()
        begin, begin_s = time.monotonic(), float(self.sim_state["time_s"])
        self.insist(topics.GATEWAY_ENGAGE_POLICY)
        ending = self._watch(begin_s)
        wall_s, task_s = time.monotonic() - begin, float(self.sim_state["time_s"]) - begin_s
        commands = list(self._seen.commands)
        if self._cameras and ending == SUCCESS:
            time.sleep(ENCORE_S)
        self.disengage()
        sent = [sent for sent, _ in commands]
        return EpisodeResult(
            seed,
            ending == SUCCESS,
            round(task_s, 3),
            ending,
            round(task_s / wall_s, 3),
            tuple(round((sent - captured) * 1e-6, 2) for sent, captured in commands),
            tuple(round((b - a) * 1e-6, 2) for a, b in pairwise(sent)),
        )

    def film(self) -> Film:
        """What the cameras saw in the last episode."""
        film = Film(self._cameras)
        frames = [decode_frame(cdr, camera) for camera, cdr in self._seen.images]
        for frame in sorted(frames, key=lambda frame: frame.stamp_ns):
            film.add(frame)
        self._seen.images = []
        return film

    def _watch(self, begin_s: float) -> str:
        """Waits for the end; why it came."""
        while True:
            time.sleep(_POLL_S)
            self._graph.check()
            if self.sim_state["success"]:
                return SUCCESS
            if self.sim_state["time_s"] - begin_s >= self._max_duration_s:
                return TIME_IS_UP
            if Mode.POLICY.value in self._seen.modes[:-1]:
                # Asked to hold, a gateway that holds already says why it does.
                return self.trigger(topics.GATEWAY_HOLD).partition(": ")[2] or f"the gateway went to {self.mode}"

    def _on_mode(self, message: String) -> None:
        super()._on_mode(message)
        self._seen.modes.append(message.data)

    def _on_trace(self, message: TimeReference) -> None:
        self._seen.commands.append((stamp_ns(message.header.stamp), stamp_ns(message.time_ref)))

    def _keeper(self, camera: str) -> Callable[[bytes], None]:
        def keep(cdr: bytes) -> None:
            self._seen.images.append((camera, cdr))

        return keep


def _with_video(examiner: Examiner, result: EpisodeResult, videos: Path | None) -> EpisodeResult:
    name = f"seed_{result.seed}.mp4"
    if videos is None or not examiner.film().write(videos / name):
        return result
    return EpisodeResult(**{**vars(result), "video": name})
