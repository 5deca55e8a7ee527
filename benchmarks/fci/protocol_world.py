"""A world of `spark_ros.sim` behind the protocol of a real Franka: libfranka connects to it as it does to a robot.

The servers of `franky-sim` speak the protocol; the arm behind them is that of the project's own worlds, with cube,
table and success rule. Like the real arm's controller it follows the positions that commanded velocities add up to.
It enforces no limits and knows no reflexes: `franka-sim` does, see `benchmarks.fci_limits`.
"""

from __future__ import annotations

import time
from collections.abc import Callable

import numpy as np
from franky_sim import FRANKA_HAND_VELOCITY_LIMIT, BaseRobot, BaseSimulator, SimulationServer
from franky_sim.base_simulator import InnerRobotState
from franky_sim.franka_robot_state import FrankaRobotState

from spark_ros.contracts import FloatArray
from spark_ros.sim.world import World

CYCLE_S = 0.001  # of the FCI
POLL_S = 5e-5
LONGEST_LAG_S = 0.1  # further behind real time, the robot's clock gives up catching up


class WorldRobot(BaseRobot):
    """The world's arm and hand, as the servers of franky-sim see them; arrays are (7,).

    Attributes:
        heard: Whether a velocity has arrived since the last cycle.
    """

    def __init__(self, world: World) -> None:
        """For a world that is reset; `place` after every further reset."""
        super().__init__(has_gripper=True)
        self._world = world
        self.place()

    def place(self) -> None:
        """Takes over where the arm and the fingers stand now, at rest."""
        joints = self._world.joint_state(0)
        self._desired = joints.select(self._world.spec.joint_names).position.copy()
        self._velocity, self._acceleration = np.zeros(7), np.zeros(7)
        self._next = (self._desired, self._velocity)
        self.heard = False
        self._width = self._goal = self._world.spec.gripper.width(joints)
        self._hand_speed = 0.0

    def joint_position_control(self, target_q: FloatArray, has_new_command: bool = True) -> None:
        """What the arm's controller follows, rad."""
        self._next = (np.asarray(target_q, np.float64), np.zeros(7))

    def joint_velocity_control(self, target_dq: FloatArray, has_new_command: bool = True) -> None:
        """What it follows, rad/s."""
        velocity = np.asarray(target_dq, np.float64)
        self._next = (self._desired + CYCLE_S * velocity, velocity)
        self.heard = self.heard or has_new_command

    def set_hand_goal(self, width: float, max_velocity: float, max_force: float) -> None:
        """Sends the fingers to this opening, m; they grip as hard as those of the world do."""
        self._goal, self._hand_speed = float(width), 2 * min(float(max_velocity) / 2, FRANKA_HAND_VELOCITY_LIMIT)

    @property
    def state(self) -> FrankaRobotState:
        """What is sent to libfranka, a thousand times a second."""
        inner = self._get_state()
        return FrankaRobotState(
            q=inner.q,
            dq=inner.dq,
            q_d=tuple(self._desired.tolist()),
            dq_d=tuple(self._velocity.tolist()),
            ddq_d=tuple(self._acceleration.tolist()),
            control_command_success_rate=1.0,
        )

    def live(self) -> None:
        """Lets a cycle pass in the world."""
        position, velocity = self._next
        self._acceleration = (velocity - self._velocity) / CYCLE_S
        self._desired, self._velocity = position, velocity
        self.heard = False
        step = CYCLE_S * self._hand_speed
        self._width += min(max(self._goal - self._width, -step), step)
        World.command(self._world, self._desired, self._width)  # a subclass's own would come back here
        World.step(self._world, CYCLE_S)

    def _get_state(self) -> InnerRobotState:
        joints = self._world.joint_state(0).select(self._world.spec.joint_names)
        return InnerRobotState(tuple(joints.position.tolist()), tuple(joints.velocity.tolist()), (0.0,) * 7)

    def _get_hand_width(self) -> float:
        return self._world.spec.gripper.width(self._world.joint_state(0))

    def _torque_control(self, torques: FloatArray) -> None:
        raise NotImplementedError("this arm takes joint positions and velocities only")

    def _post_step(self) -> None:
        """The base class's filters are for the state that is made otherwise here."""


class WorldSimulator(BaseSimulator):
    """One arm in one world."""

    def __init__(self, world: World) -> None:
        """For this world, whose time passes only in here from now on."""
        super().__init__()
        self.robot = WorldRobot(world)

    def _get_robots(self) -> list[BaseRobot]:
        return [self.robot]

    def _step(self) -> None:
        self.robot.live()


class WorldServer:
    """Serves a world to one libfranka client at a time; call `cycle` a thousand times a second, from one thread."""

    def __init__(self, world: World, host: str) -> None:
        """Listens on the FCI's ports of this address, of which 127.0.0.0/8 has many.

        Raises:
            OSError: Somebody else does.
        """
        self._simulator = WorldSimulator(world)
        self._simulator.init()
        self._server = SimulationServer(self._simulator, hostname_candidates=[host])
        self._server.init()

    @property
    def moving(self) -> bool:
        """Whether a client moves the arm."""
        return bool(self._server.robot_servers[0].current_motion_id)

    def cycle(self, patience_s: float = 0.0) -> None:
        """Takes commands, lets a millisecond pass, sends states.

        Args:
            patience_s: How long to wait for the answer to the last state where a client moves the arm.
        """
        (server,) = self._server.robot_servers
        server.process_commands()
        deadline = time.monotonic() + patience_s
        while self.moving and not self._simulator.robot.heard and time.monotonic() < deadline:
            time.sleep(POLL_S)
            server.process_commands()
        self._simulator.step()
        server.send_state()  # SimulationServer.run_once would sleep here, at least for a turn of the scheduler

    def wait(self) -> None:
        """Takes commands and sends states while the world stands still."""
        (server,) = self._server.robot_servers
        server.process_commands()
        if not self.moving:
            server.send_state()

    def placed(self) -> None:
        """To be called after the world was reset, while nobody moves the arm."""
        self._simulator.robot.place()
        self._server.robot_servers[0].stop_motion(send_preemption_signal=False)

    def close(self) -> None:
        """Ends the connections."""
        self._server.cleanup()


def keep_pace(cycle: Callable[[], None], ended: Callable[[], bool]) -> None:
    """Calls `cycle` a thousand times a second, as far as the machine can, until `ended`."""
    due = time.monotonic()
    while not ended():
        cycle()
        due += CYCLE_S
        lag = time.monotonic() - due
        if lag > LONGEST_LAG_S:
            due += lag
        elif lag < 0:
            time.sleep(-lag)
