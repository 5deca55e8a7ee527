"""A FAKE of the package franky, for tests: no libfranka, no robot, no protocol.

As much of its interface as `spark_ros.fci` uses, in front of an arm that integrates the velocities it is told and a
hand that goes where it is told. Like the real one it refuses velocities beyond its limits, ends every motion by itself,
and tells of an aborted motion once. What happens to the robot stands in a JSON file, named by FAKE_FRANKY:
{"mode": 4, "errors": ["joint_reflex"]}, {"silent": true}, {"refuse": "..."}, {"version": "..."}; {} is a healthy robot.
"""

from __future__ import annotations

import builtins
import json
import os
import threading
import time
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np

HOME = [0.0, -0.7853981633974483, 0.0, -2.356194490192345, 0.0, 1.5707963267948966, 0.7853981633974483]
IDLE, MOVE, REFLEX, USER_STOPPED = 1, 2, 4, 5


class Exception(builtins.Exception):
    pass


class NetworkException(Exception):
    pass


class ControlException(Exception):
    pass


class CommandException(Exception):
    pass


class IncompatibleVersionException(Exception):
    pass


class RealtimeException(Exception):
    pass


class RealtimeConfig:
    Enforce, Ignore = "enforce", "ignore"


class Errors:
    joint_reflex = False
    joint_velocity_violation = False


class Duration:
    def __init__(self, milliseconds: int) -> None:
        self._milliseconds = milliseconds

    def to_msec(self) -> int:
        return self._milliseconds


class RelativeDynamicsFactor:
    MAX_DYNAMICS = "every joint by itself"


class JointVelocityMotion:
    def __init__(self, target: Any, duration: Duration, dynamics: Any) -> None:
        assert dynamics == RelativeDynamicsFactor.MAX_DYNAMICS
        self.target, self.seconds = np.array(target), duration.to_msec() * 1e-3


class JointVelocityStopMotion(JointVelocityMotion):
    def __init__(self, dynamics: Any) -> None:
        super().__init__(np.zeros(7), Duration(0), dynamics)


class Limit:
    def __init__(self, most: list[float]) -> None:
        self.max = self.value = np.array(most)

    def set(self, value: Any) -> None:
        assert np.all(np.asarray(value) <= self.max)
        self.value = np.asarray(value)


def story() -> dict[str, Any]:
    return json.loads(Path(os.environ["FAKE_FRANKY"]).read_text() or "{}")


class Robot:
    def __init__(self, host: str, realtime_config: str = RealtimeConfig.Enforce) -> None:
        happening = story()
        if "version" in happening:
            raise IncompatibleVersionException(happening["version"])
        if "refuse" in happening:
            raise NetworkException(happening["refuse"])
        self._lock = threading.Lock()
        self._q, self._v = np.array(HOME), np.zeros(7)
        self._then, self._until = time.monotonic(), 0.0
        self._aborted: str | None = None
        self.joint_velocity_limit = Limit([2.175, 2.175, 2.175, 2.175, 2.61, 2.61, 2.61])
        self.joint_acceleration_limit = Limit([15.0, 7.5, 10.0, 12.5, 15.0, 20.0, 20.0])
        self.joint_jerk_limit = Limit([7500.0, 3750.0, 5000.0, 6250.0, 7500.0, 10000.0, 10000.0])

    def set_collision_behavior(self, torque: float, force: float) -> None:
        pass

    @property
    def is_in_control(self) -> bool:
        return time.monotonic() < self._until

    @property
    def state(self) -> SimpleNamespace:
        with self._lock:
            happening = self._go_on()
            mode = happening.get("mode", MOVE if self.is_in_control else IDLE)
            errors = Errors()
            for name in happening.get("errors", []):
                setattr(errors, name, True)
            return SimpleNamespace(
                q=self._q,
                dq=self._v,
                q_d=self._q,
                dq_d=self._v,
                ddq_d=np.zeros(7),
                robot_mode=mode,
                current_errors=errors,
                time=Duration(int(1e3 * self._then)),
                control_command_success_rate=1.0,
            )

    def move(self, motion: Any, asynchronous: bool, limit_rate: bool) -> None:
        assert asynchronous and limit_rate
        with self._lock:
            self._go_on()
            self._tell_of_the_abortion()
            if np.any(np.abs(motion.target) > self.joint_velocity_limit.value):
                raise RuntimeError(f"Waypoint velocity {motion.target} exceeds maximum velocity")
            self._v = motion.target
            self._until = time.monotonic() + motion.seconds

    def poll_motion(self) -> bool:
        with self._lock:
            self._go_on()
            self._tell_of_the_abortion()
            return not self.is_in_control

    def recover_from_errors(self) -> bool:
        if story().get("mode") == USER_STOPPED:
            raise CommandException("libfranka: command rejected: not possible in the current mode (User stopped)!")
        return True

    def _go_on(self) -> dict[str, Any]:
        happening, now = story(), time.monotonic()
        if happening.get("silent"):
            self._until = 0.0
            raise NetworkException("libfranka: UDP receive: Timeout")
        if happening.get("mode") in (REFLEX, USER_STOPPED) and self.is_in_control:
            self._until, self._aborted = 0.0, "libfranka: Move command aborted: motion aborted by reflex!\nlog"
        self._q = self._q + (min(now, max(self._until, self._then)) - self._then) * self._v
        if now >= self._until:
            self._v = np.zeros(7)
        self._then = now
        return happening

    def _tell_of_the_abortion(self) -> None:
        aborted, self._aborted = self._aborted, None
        if aborted is not None:
            raise ControlException(aborted)


class Gripper:
    goals: tuple[Any, ...] = ()

    def __init__(self, host: str) -> None:
        self._width = 0.08

    @property
    def state(self) -> SimpleNamespace:
        if story().get("silent"):
            raise NetworkException("libfranka: UDP receive: Timeout")
        return SimpleNamespace(width=self._width, max_width=0.08, is_grasped=False)

    def move(self, width: float, speed: float) -> bool:
        self._width = width
        return True

    def grasp(self, width: float, speed: float, force: float, epsilon_outer: float) -> bool:
        self._width = 0.04  # around a cube
        return True
