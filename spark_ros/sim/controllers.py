"""The controllers of an arm's driver, as the simulated arm has them: one for each interface, one active at a time.

They take what `adapters` make, and behave as ros2_controllers and ur_robot_driver do, where that can hurt: numbers
without names are believed, the last velocity goes on for ever, a trajectory that ends in motion is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from spark_ros.adapters.base import Floats, Outgoing, StampedTwist, Trajectory
from spark_ros.contracts import FloatArray, SparkError
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import matrix_from_rotvec
from spark_ros.robots.spec import RobotSpec
from spark_ros.robots.vendor import Interface


class Controller(Protocol):
    """What moves the arm; every array is (J,), in the robot's joint order."""

    @property
    def form(self) -> type[Outgoing]:
        """What it takes."""

    def start(self, position: FloatArray) -> None:
        """Activates it on an arm at rest here, rad; it holds the arm until it is told something."""

    def accept(self, message: Any, position: FloatArray, velocity: FloatArray) -> None:
        """Takes a message of its form while the arm is here, rad, and moves so, rad/s.

        Raises:
            SparkError: The driver would refuse it; nothing has changed.
        """

    def step(self, elapsed_s: float, scaling: float) -> FloatArray:
        """The setpoint after this time, rad; `scaling` is the speed slider, 0 to 1."""


class PositionController:
    """`forward_command_controller` with positions; does not know of the speed slider."""

    form = Floats

    def __init__(self, spec: RobotSpec, _: Interface) -> None:
        self._size = len(spec.joint_names)

    def start(self, position: FloatArray) -> None:
        """See `Controller`."""
        self._position = position

    def accept(self, message: Floats, position: FloatArray, velocity: FloatArray) -> None:
        """See `Controller`."""
        self._position = _checked(message, self._size)

    def step(self, elapsed_s: float, scaling: float) -> FloatArray:
        """See `Controller`."""
        return self._position


class VelocityController:
    """`forward_command_controller` with velocities; the last one is held until another arrives."""

    form = Floats

    def __init__(self, spec: RobotSpec, _: Interface) -> None:
        self._limits = spec.limits
        self._size = len(spec.joint_names)

    def start(self, position: FloatArray) -> None:
        """See `Controller`."""
        self._position, self._velocity = position, np.zeros(self._size)

    def accept(self, message: Floats, position: FloatArray, velocity: FloatArray) -> None:
        """See `Controller`."""
        self._velocity = _checked(message, self._size)

    def step(self, elapsed_s: float, scaling: float) -> FloatArray:
        """See `Controller`; the robot itself slows down with the slider."""
        moved = self._position + scaling * elapsed_s * self._velocity
        self._position = np.clip(moved, self._limits.position_lower, self._limits.position_upper)
        return self._position


class TwistController:
    """ur_controllers' `TwistController`: ignores frames other than its own, holds the last twist."""

    form = StampedTwist

    def __init__(self, spec: RobotSpec, interface: Interface) -> None:
        self._spec = spec
        self._frame = interface.frame or spec.base_frame
        roll, pitch, yaw = interface.rpy
        self._axes = (
            matrix_from_rotvec([0, 0, yaw]) @ matrix_from_rotvec([0, pitch, 0]) @ matrix_from_rotvec([roll, 0, 0])
        )
        self._kinematics = Kinematics(spec)

    def start(self, position: FloatArray) -> None:
        """See `Controller`."""
        self._position, self._twist = position, np.zeros(6)

    def accept(self, message: StampedTwist, position: FloatArray, velocity: FloatArray) -> None:
        """See `Controller`."""
        if message.frame != self._frame:
            raise SparkError(f"twist in frame '{message.frame}' ignored: expected '{self._frame}'")
        if not np.all(np.isfinite(message.vector)):
            raise SparkError(f"twist {message.vector.tolist()} ignored: expected finite numbers")
        linear, angular = message.vector[:3], message.vector[3:]
        self._twist = np.concatenate([self._axes @ linear, self._axes @ angular])

    def step(self, elapsed_s: float, scaling: float) -> FloatArray:
        """See `Controller`; the robot itself slows down with the slider."""
        limits = self._spec.limits
        velocity = self._kinematics.joint_velocity(self._position, scaling * self._twist)
        moved = self._position + elapsed_s * np.clip(velocity, -limits.velocity, limits.velocity)
        self._position = np.clip(moved, limits.position_lower, limits.position_upper)
        return self._position


class TrajectoryController:
    """`joint_trajectory_controller`, scaled: time passes as fast as the speed slider says.

    A new trajectory replaces the present one and leads on, with cubic splines, from where the arm is measured or, with
    the controller's parameter `interpolate_from_desired_state`, from the present setpoint.
    """

    form = Trajectory

    def __init__(self, spec: RobotSpec, _: Interface, interpolate_from_desired_state: bool = False) -> None:
        self._names = spec.joint_names
        self._from_desired = interpolate_from_desired_state

    def start(self, position: FloatArray) -> None:
        """See `Controller`."""
        self._times = np.zeros(1)
        self._positions, self._velocities = position[None], np.zeros((1, position.size))
        self._now = 0.0

    def accept(self, message: Trajectory, position: FloatArray, velocity: FloatArray) -> None:
        """See `Controller`."""
        if sorted(message.joint_names) != sorted(self._names):
            raise SparkError(
                f"trajectory for {', '.join(message.joint_names) or 'no joints'} refused: expected exactly "
                f"{', '.join(self._names)}"
            )
        if self._from_desired:
            position, velocity = self._sample(self._now)
        columns = [message.joint_names.index(name) for name in self._names]
        times = np.array([0.0, *(point.after_s for point in message.points)])
        if len(times) < 2 or np.any(np.diff(times) <= 0):
            raise SparkError(f"trajectory with points after {times[1:].tolist()} s refused: times must rise from 0")
        points = [(point.position[columns], point.velocity[columns]) for point in message.points]
        positions = np.stack([position, *(point[0] for point in points)])
        velocities = np.stack([velocity, *(point[1] for point in points)])
        if not (np.all(np.isfinite(positions)) and np.all(np.isfinite(velocities))):
            raise SparkError("trajectory refused: every number must be finite")
        if np.any(velocities[-1] != 0.0):
            raise SparkError("trajectory refused: the velocity of its last point is not zero")
        self._times, self._positions, self._velocities, self._now = times, positions, velocities, 0.0

    def step(self, elapsed_s: float, scaling: float) -> FloatArray:
        """See `Controller`."""
        self._now += scaling * elapsed_s
        return self._sample(self._now)[0]

    def _sample(self, now: float) -> tuple[FloatArray, FloatArray]:
        """Position, rad, and velocity, rad/s, (J,) each, this long after the trajectory began."""
        segment = int(np.searchsorted(self._times, now, side="right")) - 1
        if segment >= len(self._times) - 1:
            return self._positions[-1], self._velocities[-1]
        length = self._times[segment + 1] - self._times[segment]
        s = (now - self._times[segment]) / length
        before, after = self._positions[segment], self._positions[segment + 1]
        leaving, arriving = self._velocities[segment] * length, self._velocities[segment + 1] * length
        position = (
            (2 * s**3 - 3 * s**2 + 1) * before
            + (s**3 - 2 * s**2 + s) * leaving
            + (3 * s**2 - 2 * s**3) * after
            + (s**3 - s**2) * arriving
        )
        change = 6 * (s - s**2) * (after - before) + (3 * s**2 - 4 * s + 1) * leaving + (3 * s**2 - 2 * s) * arriving
        return position, change / length


CONTROLLERS: dict[str, Callable[[RobotSpec, Interface], Controller]] = {
    "forward_position": PositionController,
    "forward_velocity": VelocityController,
    "joint_trajectory": TrajectoryController,
    "twist": TwistController,
}


def make_controller(
    spec: RobotSpec, kind: str | None = None, interpolate_from_desired_state: bool = False
) -> Controller:
    """The simulated driver's controller for the robot's interface of this kind; for the usual one if None.

    Args:
        spec: The robot.
        kind: See `robots.vendor.Interface`.
        interpolate_from_desired_state: See `TrajectoryController`.

    Raises:
        SparkError: The robot has no such interface, or it is not simulated.
    """
    interface = spec.vendor.arm_interface(kind)
    if interface.kind not in CONTROLLERS:
        raise SparkError(f"interface '{interface.kind}' is not simulated: choose one of {', '.join(CONTROLLERS)}")
    if interface.kind == "joint_trajectory":
        return TrajectoryController(spec, interface, interpolate_from_desired_state)
    return CONTROLLERS[interface.kind](spec, interface)


def _checked(message: Floats, size: int) -> FloatArray:
    values = np.array(message.values)
    if values.shape != (size,) or not np.all(np.isfinite(values)):
        raise SparkError(f"arm command {values.tolist()} ignored: expected {size} finite numbers")
    return values
