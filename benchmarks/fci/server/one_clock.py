"""`franka_sim.run_server`, changed where franka-sim 1.1.7 is unlike a robot; its limits stay, but for a rounding.

One clock. As shipped, a thread moves the arm and another one serves the FCI, each as fast as it comes: on two cores the
arm went a third further than it was told to. Here it moves a millisecond with every cycle of the FCI.

One position. As shipped, an arm that is told velocities follows these alone, with a servo that rattles at its torque
limits, and creeps away from the position that the robot reports as desired, by up to 0.3 rad. A real robot adds the
velocities up and follows that position, within some thousandths of a rad; here the arm is exactly there. So it is the
commands that are judged, not how an arm obeys them.

Real time. As shipped, every cycle that comes late puts off all others. Here it is made up for, once the client has
answered the one before.

One rounding. libfranka's rate limiter computes the jerk from the state, which comes in single precision, and franka-sim
from what it received in double: 5000.01 rad/s^3 was refused where the limiter had kept to 4999.999.

Runs in franka-sim's own environment (`benchmarks.fci.franka_sim`) and imports nothing of this project.
"""

from __future__ import annotations

import logging
import time

import franka_sim
import mujoco
import numpy as np
from franka_sim import mujoco_franka_sim, run_server
from franka_sim.control_modes import ControlMode
from franka_sim.franka_sim_server import FrankaSimServer
from franka_sim.limits import checker
from franka_sim.mujoco_franka_sim import MujocoFrankaSim
from franka_sim.server import state_stream
from franka_sim.sim_common import RealtimeFactorMonitor

IDLE_S = 0.1
SHORTEST_CYCLE = 0.3  # of a millisecond; the client answers within a tenth
ROUNDING = 0.25  # rad/s^3: half a step of a single-precision velocity of 2 to 4 rad/s, 1.2e-7, twice over 1e-6 s^2


class Simulator(MujocoFrankaSim):
    """The arm, without a clock of its own; `desired` is where its controller wants it to be, (7,) rad."""

    desired: np.ndarray | None = None

    def run_simulation(self) -> None:
        """Waits: `Server` lets time pass."""
        while self.running:
            time.sleep(IDLE_S)

    def step(self, steps: int = 1) -> None:
        """See the base class."""
        if self.control_mode is not ControlMode.VELOCITY or self.desired is None:
            super().step(steps)
            return
        self.data.qpos[self.arm_qpos_adr] = self.desired
        self.data.qvel[self.arm_dofs_idx] = self.latest_joint_velocities
        mujoco.mj_forward(self.model, self.data)
        self._read_and_publish_state()


class Server(FrankaSimServer):
    """The FCI; its cycles are the time."""

    _speed: RealtimeFactorMonitor | None = None

    def _account_for_communication_cycle(self) -> None:
        """Once a cycle, right before its state is sent."""
        super()._account_for_communication_cycle()
        self.physics_sim.desired = np.array(self.robot_state.state["q_d"])
        self.physics_sim.step()
        if self._speed is None:
            self._speed = RealtimeFactorMonitor(logging.getLogger(__name__), time.perf_counter())
        self._speed.update(time.perf_counter(), self.physics_sim.dt)

    def _drain_gate(self, answer_deadline: float = 0.0) -> float:
        super()._drain_gate(answer_deadline)
        return 0.0  # by what it shall put off the next cycle


def main() -> None:
    """Serves until it is interrupted."""
    franka_sim.FrankaSimServer = Server
    mujoco_franka_sim.MujocoFrankaSim = Simulator
    state_stream._MIN_STATE_SPACING = SHORTEST_CYCLE
    checker.MAX_JOINT_JERK = tuple(limit + ROUNDING for limit in checker.MAX_JOINT_JERK)
    run_server.main()


if __name__ == "__main__":
    main()
