"""A world whose arm is moved over libfranka, in step with a simulated clock: results do not depend on the machine.

`spark_ros.evaluation` drives it like any other world. Its commands go the way of `fci_arm` (follower, franky,
libfranka, the FCI's protocol) and come back as what the arm's own controller follows. Time passes a cycle of the FCI
at a time, each of which waits for libfranka's answer, and stands still while a policy thinks.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Sequence

from benchmarks.fci.protocol_world import CYCLE_S, WorldServer
from spark_ros.contracts import FloatArray, SparkError
from spark_ros.fci.arm import FciArm
from spark_ros.fci.connection import Address
from spark_ros.fci.hand import Hand
from spark_ros.fci.link import Link
from spark_ros.sim.world import World

ANSWER_S = 0.05  # a libfranka that does not answer within this has lost the cycle, as on a robot
IDLE_S = 0.001
THRESHOLD = 40.0  # N m, N: of no effect here
HAND_SPEED, HAND_FORCE = 0.1, 40.0  # m/s, N
GAP = 0.2  # rad; all as in config/fci_arm.yaml
STOPPING_CYCLES = 1000


class LibfrankaWorld(World):
    """See the module's text; `close` it."""

    _server: WorldServer | None = None  # until it is built the world is as any other

    def __init__(self, task: str, cameras: Sequence[str], host: str) -> None:
        """Builds the world and connects to it on this address of 127.0.0.0/8.

        Raises:
            SparkError: No such task or camera, or no franky.
        """
        super().__init__(task, "fr3", cameras)
        self._turn = threading.Condition()  # guards the world and how many cycles are left
        self._left = 0
        self._setpoint: tuple[FloatArray, float] | None = None
        self._closed = False
        self._server = WorldServer(self, host)
        self._thread = threading.Thread(target=self._live, daemon=True)
        self._thread.start()
        address = Address(host, realtime=False)
        self._link = Link(lambda: FciArm(address, self.spec.limits, THRESHOLD, THRESHOLD), self.spec, GAP)
        self._hand = Hand(address, False, HAND_SPEED, HAND_FORCE)

    def command(self, q: FloatArray, gripper_width: float) -> None:
        """See the base class; it is passed on by the next `step`."""
        if self._server is None:
            super().command(q, gripper_width)
        else:
            self._setpoint = (q, gripper_width)

    def step(self, duration_s: float) -> None:
        """See the base class.

        Raises:
            SparkError: The robot has stopped, or does not answer.
        """
        if self._server is None:
            super().step(duration_s)
            return
        self._link.read()
        if not self._link.status.ready:
            raise SparkError(self._link.status.reason)
        if self._setpoint is not None:
            position, width = self._setpoint
            self._link.follow(position, duration_s)
            self._hand.aim(width)
        self._pass(round(duration_s / CYCLE_S))

    def reset(self, seed: int) -> None:
        """See the base class."""
        if self._server is None:
            super().reset(seed)
            return
        self._setpoint = None
        self._link.hold()
        for _ in range(STOPPING_CYCLES):
            if not self._server.moving:
                break
            self._pass(1)
        with self._turn:
            server, self._server = self._server, None
            super().reset(seed)
            self._server = server
            server.placed()
        self._link.read()

    def close(self) -> None:
        """Lets go of the robot and frees the graphics."""
        self._hand.close()
        self._link.close()
        with self._turn:
            self._closed = True
            self._turn.notify_all()
        self._thread.join()
        super().close()

    def _pass(self, cycles: int) -> None:
        with self._turn:
            self._left = cycles
            self._turn.notify_all()
            self._turn.wait_for(lambda: self._left == 0)

    def _live(self) -> None:
        """The robot's side."""
        server = self._server
        assert server is not None
        while not self._closed:
            with self._turn:
                if self._left:
                    server.cycle(ANSWER_S)
                    self._left -= 1
                    if self._left == 0:
                        self._turn.notify_all()
                    continue
                server.wait()
                self._turn.wait(IDLE_S)
            time.sleep(0)
        server.close()
