"""Starts a graph as child processes and answers for them: ready, dead, stopped. No ROS needed in this process."""

from __future__ import annotations

import importlib.util
import os
import signal
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from functools import partial
from pathlib import Path

from spark_ros.bringup.command_line import ros_arguments
from spark_ros.bringup.console import Console
from spark_ros.bringup.domain import claim_domain
from spark_ros.bringup.environment import child_environment
from spark_ros.bringup.graph import Stage
from spark_ros.bringup.graphs import graph
from spark_ros.bringup.process import NodeProcess, describe_exit
from spark_ros.contracts import SparkError

READY_TIMEOUT_S = 60.0  # a cold machine loads two ONNX graphs and compiles nothing; usually it takes 5 s
_STOPPING = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
INTERRUPT_S, TERMINATE_S = 8.0, 3.0  # patience after SIGINT, then after SIGTERM; SIGKILL follows


class Bringup:
    """A running graph, to be used as a context manager: its nodes end with the block, however that is left.

    Attributes:
        domain_id: The ROS domain the nodes are on.
        environment: What they were started with; a client in this process needs the same values.
        log_directory: One file of output per node, ``<node>.log``.
    """

    def __init__(
        self,
        graph_name: str,
        arguments: Mapping[str, str] | None = None,
        environment: Mapping[str, str] | None = None,
        *,
        domain: str | int | None = None,
        log_directory: str | Path | None = None,
        on_line: Callable[[str, str], None] | None = None,
    ) -> None:
        """Check everything that can be checked, claim the domain, start the nodes.

        Args:
            graph_name: ``manipulation``, ``teleop`` or ``sim``.
            arguments: Values for the graph's arguments, as a user would type them.
            environment: Extra environment variables for the nodes.
            domain: Short for the argument of that name: a ROS domain, or ``auto`` for one on which nothing runs.
            log_directory: Where the logs go; a new folder beside ROS's own logs by default.
            on_line: Called with a node's name and each line it prints, from several threads.

        Raises:
            SparkError: Bad arguments, or the domain already has a graph of ours.
        """
        if importlib.util.find_spec("rclpy") is None:
            raise SparkError(
                "this Python has no ROS 2 (no module rclpy): source an installation (. /opt/ros/jazzy/setup.bash), or "
                "install the wheels (pip install 'spark_ros[ros]')"
            )
        from spark_ros.nodes.lifecycle_manager import READY  # here, because it imports rclpy

        self._ready_line = READY
        description = graph(graph_name)
        chosen = {} if domain is None else {"domain": str(domain)}
        settings = description.settings({**(arguments or {}), **chosen})
        nodes = description.nodes(settings)
        self._claim = claim_domain(settings["domain"], environment)
        self.domain_id = self._claim.domain_id
        joined = partial(
            child_environment, environment, domain_id=self.domain_id, local_only=settings.get("sim", "true") == "true"
        )
        self.environment = joined()
        self.log_directory = _log_directory(graph_name) if log_directory is None else Path(log_directory)
        try:
            self.log_directory.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            self._claim.release()
            raise SparkError(
                f"cannot write logs to {self.log_directory} ({error.strerror}); set ROS_LOG_DIR"
            ) from error
        self._stages = {node.name: node.stage for node in nodes}
        self._spare = {node.name for node in nodes if not node.essential}
        self._gone: set[str] = set()
        self._ready = threading.Event()
        if Stage.MANAGER not in self._stages.values():
            self._ready.set()  # nothing to wait for but topics, which whoever needs them waits for
        self._on_line = on_line or (lambda name, line: None)
        self._lifeline, self._hold = os.pipe()  # the nodes follow the reading end, see bringup.child
        self._processes: list[NodeProcess] = []
        self._stopped = False
        try:
            for node in nodes:
                self._processes.append(
                    NodeProcess(
                        node.name,
                        node.module,
                        ros_arguments(node),
                        joined(transport=node.transport),
                        self.log_directory / f"{node.name}.log",
                        self._lifeline,
                        self._heard,
                    )
                )
        except BaseException:
            self.stop()
            raise

    @property
    def exit_codes(self) -> dict[str, int | None]:
        """Exit status by node; None while it runs, negative for the signal that ended it."""
        return {process.name: process.exit_code for process in self._processes}

    @property
    def process_ids(self) -> dict[str, int]:
        """Process id by node, as long as it runs; the measuring of memory and processor time needs it."""
        return {process.name: process.pid for process in self._processes if process.exit_code is None}

    def check(self) -> None:
        """Every node that the graph needs still runs.

        Raises:
            SparkError: One has ended; the sentence is the last error it printed.
        """
        for process in self._processes:
            if process.exit_code is not None and not self._stopped:
                process.wait(1.0)  # for its last lines
                if process.name in self._spare:
                    self._spare.discard(process.name)
                    self._gone.add(process.name)
                    self._on_line(process.name, f"[ERROR] {process.name} ended; the graph goes on without it")
                if process.name in self._gone:
                    continue
                raise SparkError(
                    f"{process.name} ended ({describe_exit(process.exit_code)}): {process.last_error()} "
                    f"(its whole output: {process.log})"
                )

    def wait_ready(self, timeout_s: float = READY_TIMEOUT_S) -> None:
        """Return once every managed node is active.

        Raises:
            SparkError: A node ended or refused, or it took longer.
        """
        deadline = time.monotonic() + timeout_s
        while not self._ready.wait(0.05):
            self.check()
            if time.monotonic() > deadline:
                raise SparkError(
                    f"the graph was not ready within {timeout_s:.0f} s; the outputs in {self.log_directory} say "
                    "which node was still starting"
                )

    def stop(self) -> dict[str, int | None]:
        """End every node and say with which status; safe to call again.

        In order: the manager takes the nodes down, the nodes end, and the arm's side goes last, so that the gateway
        can bring the arm to rest.
        """
        if not self._stopped:
            self._stopped = True
            for stage in (Stage.MANAGER, Stage.NODE, Stage.PLANT):
                self._end([process for process in self._processes if self._stages[process.name] is stage])
            os.close(self._hold)
            os.close(self._lifeline)
            self._claim.release()
        return self.exit_codes

    def __enter__(self) -> Bringup:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def _heard(self, name: str, line: str) -> None:
        if self._stages[name] is Stage.MANAGER and self._ready_line in line:
            self._ready.set()
        self._on_line(name, line)

    def _end(self, processes: Sequence[NodeProcess]) -> None:
        for number, patience_s in ((signal.SIGINT, INTERRUPT_S), (signal.SIGTERM, TERMINATE_S), (signal.SIGKILL, 5.0)):
            for process in processes:
                process.signal(number)
            deadline = time.monotonic() + patience_s
            processes = [p for p in processes if not p.wait(max(0.0, deadline - time.monotonic()))]
            if not processes:
                return


def run(
    graph_name: str,
    arguments: Mapping[str, str] | None = None,
    *,
    domain: str | int | None = None,
    log_directory: str | Path | None = None,
    console: Console | None = None,
) -> int:
    """Run a graph in the foreground until Ctrl-C: what ``spark-ros up`` does.

    Returns:
        0 once it was stopped by SIGINT, SIGTERM or SIGHUP and every node ended by itself, else 1.

    Raises:
        SparkError: As `Bringup`, or a node ended or refused.
    """
    console = console or Console()
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in _STOPPING}
    try:
        with Bringup(
            graph_name, arguments, domain=domain, log_directory=log_directory, on_line=console.line
        ) as bringup:
            console.say(
                f"{graph_name} on ROS domain {bringup.domain_id}, logs in {bringup.log_directory}; Ctrl-C ends it"
            )
            while not stop.wait(0.2):
                bringup.check()
            console.say("stopping")
            codes = bringup.stop()
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
    hanging = [name for name, code in codes.items() if code != 0]
    for name in hanging:
        console.say(f"{name} did not end by itself: {describe_exit(codes[name])}")
    return 1 if hanging else 0


def _log_directory(graph_name: str) -> Path:
    """Where ROS itself keeps logs, in a folder per start."""
    home = Path(os.environ.get("ROS_HOME") or Path.home() / ".ros")
    root = Path(os.environ.get("ROS_LOG_DIR") or home / "log")
    return root / f"{datetime.now():%Y-%m-%d-%H-%M-%S}-spark_ros-{graph_name}-{os.getpid()}"
