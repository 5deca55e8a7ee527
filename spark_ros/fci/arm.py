"""The arm on the FCI: what it says of itself, and joint velocities for it to move with.

Velocities are streamed as `franky` motions, each of which ends by itself: where the next one never comes, because this
program is slow, hangs or has died, the arm brakes and holds. Every joint moves and brakes as fast as it can by itself:
left alone, franky would let all of them arrive at the same time, and who must brake would wait for who has far to go.

libfranka's own rate limiter stays on. It only touches what would be refused otherwise, and without it the end of a
motion is refused (`franka-sim`, which judges as the robot does: joint_motion_generator_acceleration_discontinuity).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from spark_ros.contracts import FloatArray, SparkError
from spark_ros.fci.connection import Address, first_line, load_franky, open_robot
from spark_ros.robots.spec import JointLimits

JOINTS = 7
# Parts of the arm's limits that motions are planned with: what is filtered on its way, and goes on from a state that
# came late, must still be within them.
ACCELERATION_PART, JERK_PART = 0.95, 0.3


class ConnectionLost(SparkError):
    """The robot does not answer any more; a new connection is needed."""


class MotionAborted(SparkError):
    """The robot refused or aborted a motion."""


@dataclass(frozen=True)
class Reading:
    """What the robot says at one instant; arrays are (J,), in the order of its joints.

    Attributes:
        position: rad, measured.
        velocity: rad/s, measured.
        desired: rad, where its controller wants it to be.
        desired_velocity: rad/s, the same way.
        desired_acceleration: rad/s^2, the same way.
        mode: Number of libfranka's RobotMode; `control.vendor.FRANKA_ROBOT_MODES` names them.
        errors: Names of its current errors.
        clock_ms: The robot's clock.
        received: Part of the last 100 commands that reached the robot in time, 0 to 1; 0 while it is told nothing.
    """

    position: FloatArray
    velocity: FloatArray
    desired: FloatArray
    desired_velocity: FloatArray
    desired_acceleration: FloatArray
    mode: int
    errors: tuple[str, ...]
    clock_ms: int
    received: float


class FciArm:
    """A connected arm; from one thread at a time.

    Attributes:
        acceleration: (J,) rad/s^2 that motions are planned with.
        jerk: (J,) rad/s^3 that they are planned with.
    """

    def __init__(self, address: Address, limits: JointLimits, torque_threshold: float, force_threshold: float) -> None:
        """Connects.

        Args:
            address: Of the robot.
            limits: Of its joints; a motion stays within them and within those that franky knows.
            torque_threshold: N m of external torque at a joint that count as a collision.
            force_threshold: N (and N m) at the tool that do.

        Raises:
            SparkError: The robot cannot be reached, does not let us in, or is no arm of this kind.
        """
        if limits.velocity.size != JOINTS:
            raise SparkError(f"the robot's description has {limits.velocity.size} joints, a Franka has {JOINTS}")
        self._franky = load_franky()
        self._robot = open_robot(self._franky, address)
        self._host = address.host
        try:
            self._robot.set_collision_behavior(torque_threshold, force_threshold)
            self._set_limits(limits)
        except Exception as error:  # franky throws bare RuntimeErrors too
            raise SparkError(f"the robot at {self._host} refuses its settings: {first_line(error)}") from error
        errors = self._franky.Errors()
        self._error_names = tuple(name for name in dir(errors) if isinstance(getattr(errors, name), bool))

    def read(self) -> Reading:
        """The newest state; while the arm is told nothing it waits for the next one, a millisecond.

        Raises:
            ConnectionLost: None comes.
        """
        try:
            state = self._robot.state
        except Exception as error:
            raise ConnectionLost(self._lost(error)) from error
        errors = state.current_errors
        return Reading(
            np.array(state.q, dtype=np.float64),
            np.array(state.dq, dtype=np.float64),
            np.array(state.q_d, dtype=np.float64),
            np.array(state.dq_d, dtype=np.float64),
            np.array(state.ddq_d, dtype=np.float64),
            int(state.robot_mode),
            tuple(name for name in self._error_names if getattr(errors, name)),
            int(state.time.to_msec()),
            float(state.control_command_success_rate),
        )

    def drive(self, velocity: FloatArray, hold_s: float) -> None:
        """Goes on with these velocities (J,), rad/s, for so long, unless told otherwise before, and brakes then.

        Raises:
            ConnectionLost: The robot does not answer.
            MotionAborted: The robot refused this motion or aborted the one before it.
        """
        franky = self._franky
        within = np.clip(velocity, -self._fastest, self._fastest)
        by_itself = franky.RelativeDynamicsFactor.MAX_DYNAMICS  # no synchronisation where it is not necessary
        self._move(franky.JointVelocityMotion(within, franky.Duration(round(1e3 * hold_s)), by_itself))

    def brake(self) -> None:
        """Comes to rest within the limits and holds; raises as `drive`."""
        if self._robot.is_in_control:
            self._move(self._franky.JointVelocityStopMotion(self._franky.RelativeDynamicsFactor.MAX_DYNAMICS))

    def finished(self) -> bool:
        """Whether the arm is told nothing at present.

        Raises:
            ConnectionLost: The robot does not answer.
            MotionAborted: It aborted the last motion.
        """
        try:
            return bool(self._robot.poll_motion())
        except Exception as error:
            raise self._failure(error) from error

    def recover(self) -> None:
        """Lets the robot recover from its errors by itself; takes up to some seconds.

        Raises:
            ConnectionLost: The robot does not answer.
            MotionAborted: The robot refuses, as it does while its stop button is pressed.
        """
        try:
            self._robot.recover_from_errors()
        except Exception as error:
            raise self._failure(error) from error

    def _move(self, motion: Any) -> None:
        try:
            self._robot.move(motion, asynchronous=True, limit_rate=True)
        except Exception as error:  # franky throws bare RuntimeErrors too
            raise self._failure(error) from error

    def _failure(self, error: Exception) -> SparkError:
        if isinstance(error, self._franky.NetworkException):
            return ConnectionLost(self._lost(error))
        return MotionAborted(f"the Franka stopped: {first_line(error)}")

    def _lost(self, error: Exception) -> str:
        return f"the connection to the robot at {self._host} is lost ({first_line(error)}): check cable, power and Desk"

    def _set_limits(self, limits: JointLimits) -> None:
        """Left alone, franky 2.0.0 plans every arm with a Panda's acceleration and jerk, which an FR3 refuses."""
        robot = self._robot
        self._fastest = np.minimum(limits.velocity, np.array(robot.joint_velocity_limit.max))
        acceleration, jerk = robot.joint_acceleration_limit, robot.joint_jerk_limit
        self.acceleration = np.minimum(ACCELERATION_PART * limits.acceleration, np.array(acceleration.max))
        self.jerk = np.minimum(JERK_PART * limits.jerk, np.array(jerk.max))
        acceleration.set(self.acceleration)
        jerk.set(self.jerk)
