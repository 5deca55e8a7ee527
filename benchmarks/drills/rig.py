"""The graph under drill: a graph of the product as it is, each node a process that can be killed.

Between the simulator and the graph stand two relays in place of the drivers of cameras and arm, so that these can fail
without the arm; beside it run an operator and an observer (`relay`, `operator`, `observer`). What the policy says
passes through the drills themselves (`scene`): the gateway obeys one policy, and a spoilt chunk must be that one's.
"""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from benchmarks.drills.clock import DrillClock
from spark_ros import topics
from spark_ros.bringup.command_line import ros_arguments
from spark_ros.bringup.domain import claim_domain
from spark_ros.bringup.environment import Transport, child_environment
from spark_ros.bringup.graph import GraphNode
from spark_ros.bringup.graphs import graph
from spark_ros.bringup.process import NodeProcess, describe_exit
from spark_ros.contracts import SparkError
from spark_ros.nodes.lifecycle_manager import READY
from spark_ros.robots.spec import load_robot

CAMERAS, ARM_DRIVER, OPERATOR, OBSERVER = "camera_driver", "arm_driver", "operator", "observer"
_CLOCK = "benchmarks.drills.clock"
TRUE_JOINTS = "/sim/joint_states"
POLICY_CHUNKS = f"/sim{topics.EE_CHUNK}"  # what the policy says; the drills pass it on, and spoil it on demand
GOODBYE_S = 15.0
READY_S, END_S = 60.0, 60.0  # a killed process may wait long for a processor to end on


@dataclass(frozen=True)
class Part:
    """How a process of the rig is started.

    Attributes:
        name: Of the process.
        module: Whose `main` it runs.
        arguments: Its command line.
        transport: As `GraphNode.transport`.
    """

    name: str
    module: str
    arguments: tuple[str, ...]
    transport: Transport = Transport.SMALL_SEGMENT


class Rig:
    """The running processes; a context manager.

    Attributes:
        domain_id: Their ROS domain.
        environment: Of this process, which joins them.
        log_directory: A file of output for each start of each process.
        observed: The observer's file.
        clock: What the nodes stamp by; None where that is the computer's own.
    """

    def __init__(
        self, log_directory: Path, graph_name: str, arguments: Mapping[str, str], own_clock: bool = False
    ) -> None:
        """Starts everything.

        Args:
            log_directory: An empty folder.
            graph_name: ``manipulation`` or ``teleop``.
            arguments: Of that graph.
            own_clock: Whether the nodes stamp by a clock that a drill can set.

        Raises:
            SparkError: Bad arguments, no free ROS domain.
        """
        self.log_directory = log_directory
        self.observed = log_directory / "observed.txt"
        clock_file = log_directory / "clock"
        self.clock = DrillClock(clock_file) if own_clock else None
        description = graph(graph_name)
        settings = description.settings(arguments)
        parts = [*self._of_product(description.nodes(settings)), *self._beside(settings["robot"])]
        if own_clock:
            parts = [
                replace(part, module=_CLOCK, arguments=(str(clock_file), part.module, *part.arguments))
                for part in parts
            ]
        self._parts = {part.name: part for part in parts}
        self._claim = claim_domain("auto")
        self.domain_id = self._claim.domain_id
        self.environment = child_environment({}, domain_id=self.domain_id, local_only=True)
        os.environ.update(self.environment)  # this process joins the same domain over the same transport
        self._lifeline, self._hold = os.pipe()  # see `bringup.child`
        self._processes: dict[str, NodeProcess] = {}
        self._starts = 0
        self._ready = threading.Event()
        try:
            for part in parts:
                self.start(part.name)
        except BaseException:
            self.close()
            raise

    def start(self, name: str) -> None:
        """Starts a process that does not run."""
        part = self._parts[name]
        self._starts += 1
        log = self.log_directory / f"{self._starts:03d}_{name}.log"
        environment = child_environment({}, domain_id=self.domain_id, local_only=True, transport=part.transport)
        self._processes[name] = NodeProcess(
            name, part.module, part.arguments, environment, log, self._lifeline, self._heard
        )

    def signal(self, name: str, number: signal.Signals) -> None:
        """Sends a signal to a process."""
        self._processes[name].signal(number)

    def end(self, name: str, number: signal.Signals) -> None:
        """Sends a signal and waits until the process is gone.

        Raises:
            SparkError: It does not end.
        """
        process = self._processes[name]
        process.signal(number)
        if not process.wait(END_S):
            raise SparkError(f"{name} did not end within {END_S:.0f} s of {number.name}: see {process.log}")

    def gone(self) -> dict[str, str]:
        """Processes that have ended, and how."""
        found = {name: process.exit_code for name, process in self._processes.items()}
        return {name: describe_exit(code) for name, code in found.items() if code is not None}

    def wait_ready(self) -> None:
        """Returns once the lifecycle manager has brought up its nodes.

        Raises:
            SparkError: A process has ended, or it takes too long.
        """
        deadline = time.monotonic() + READY_S
        while not self._ready.wait(0.05):
            for name in self.gone():
                process = self._processes[name]
                process.wait(1.0)
                raise SparkError(f"{name} ended: {process.last_error()} (its whole output: {process.log})")
            if time.monotonic() > deadline:
                raise SparkError(f"the graph was not ready within {READY_S:.0f} s: see {self.log_directory}")

    def close(self) -> None:
        """Ends everything, the simulator last."""
        for process in self._processes.values():
            process.signal(signal.SIGCONT)
        for names in ([n for n in self._processes if n != "sim_arm"], ["sim_arm"]):
            running = [self._processes[name] for name in names if name in self._processes]
            for number in (signal.SIGINT, signal.SIGKILL):
                for process in running:
                    process.signal(number)
                deadline = time.monotonic() + GOODBYE_S
                running = [p for p in running if not p.wait(max(0.0, deadline - time.monotonic()))]
        os.close(self._hold)
        os.close(self._lifeline)
        self._claim.release()

    def __enter__(self) -> Rig:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _heard(self, name: str, line: str) -> None:
        if name == "lifecycle_manager" and READY in line:
            self._ready.set()

    def _of_product(self, nodes: Sequence[GraphNode]) -> list[Part]:
        parts = []
        for node in nodes:
            if node.name == "sim_arm":
                self._cameras: list[str] = list(node.parameters["sim_arm"]["cameras"])
                moved = [topics.JOINT_STATES, *self._camera_topics()]
                node = replace(node, remappings=tuple((topic, _raw(topic)) for topic in moved))
            if node.name == "policy":
                node = replace(node, remappings=((topics.EE_CHUNK, POLICY_CHUNKS),))
            parts.append(Part(node.name, node.module, tuple(ros_arguments(node)), node.transport))
        return parts

    def _beside(self, robot: str) -> list[Part]:
        routes = [
            f"{kind}:{_raw(topic)}={topic}"
            for camera in self._cameras
            for kind, topic in (("Image", topics.camera_image(camera)), ("CameraInfo", topics.camera_info(camera)))
        ]
        joints = f"JointState:{TRUE_JOINTS}={topics.JOINT_STATES}"
        observer = (str(self.observed), load_robot(robot).name, TRUE_JOINTS)
        return [
            Part(CAMERAS, "benchmarks.drills.relay", (CAMERAS, *routes), Transport.LARGE_SEGMENT),
            Part(ARM_DRIVER, "benchmarks.drills.relay", (ARM_DRIVER, joints)),
            Part(OPERATOR, "benchmarks.drills.operator", (robot,)),
            Part(OBSERVER, "benchmarks.drills.observer", observer),
        ]

    def _camera_topics(self) -> list[str]:
        return [t for camera in self._cameras for t in (topics.camera_image(camera), topics.camera_info(camera))]


def _raw(topic: str) -> str:
    return f"/sim{topic}"
