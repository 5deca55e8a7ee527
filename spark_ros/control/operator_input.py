"""What an operator's input makes the arm do: a twist or a leader's joints, while the deadman is held."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np

from spark_ros.contracts import ActionKind, SparkError, TeleopInput
from spark_ros.control.config import GatewayConfig
from spark_ros.control.executor import Target
from spark_ros.control.leader import Leader
from spark_ros.control.modes import Outcome
from spark_ros.control.motion import Motion
from spark_ros.control.teleop import TeleopTarget
from spark_ros.control.watchdog import Watchdog
from spark_ros.robots.spec import RobotSpec


def check_teleop(teleop: TeleopInput) -> None:
    """Passes where the input can be followed.

    Raises:
        SparkError: The twist has another length, or something is not finite. Joints are judged by the `Leader`.
    """
    twist = np.asarray(teleop.twist)
    if twist.shape != (6,):
        raise SparkError(f"teleoperation twist has shape {twist.shape}: expected 6 numbers, vx vy vz wx wy wz")
    if not (np.all(np.isfinite(twist)) and math.isfinite(teleop.gripper_width)):
        raise SparkError("teleoperation input carries values that are not finite: check the operator's device")


class OperatorInput:
    """The operator's last input and how far it is followed, from the engaging of teleoperation on."""

    def __init__(self, spec: RobotSpec, config: GatewayConfig, motion: Motion) -> None:
        """Moves the arm with `motion`."""
        self._config, self._motion = config, motion
        self._tool = TeleopTarget(spec, config)
        self._leader = Leader(tuple(spec.joint_names), config)
        self._heard = Watchdog(config.teleop_timeout_s)
        self._last: TeleopInput | None = None

    def begin(self, *, press_anew: bool) -> None:
        """Teleoperation is engaged; `press_anew` as in `Leader.begin`."""
        self._last = None
        self._tool.clear()
        self._leader.begin(press_anew=press_anew)

    def accept(self, teleop: TeleopInput, now: float) -> Outcome:
        """Takes over an input; one that is not followed for now comes back with what to do.

        Raises:
            SparkError: The input is broken.
        """
        late = self._last is not None and teleop.stamp_ns < self._last.stamp_ns
        if late and not teleop.deadman:  # whatever the stamps say, who lets go of the deadman means it
            return self.release()
        if late:
            return Outcome(False, "operator's input is older than the one before it: dropped")
        check_teleop(teleop)
        obstacle = None
        if not teleop.deadman:
            self._leader.released()
        elif teleop.joints is None:
            self._leader.let_go()
        else:
            obstacle = self._leader.obstacle(teleop.joints, self._motion.setpoint.position)
        self._last = teleop if obstacle is None else replace(teleop, deadman=False)
        self._heard.feed(now)
        return Outcome(True, "") if obstacle is None else Outcome(False, obstacle)

    def release(self) -> Outcome:
        """Lets go of the deadman: the arm rests until the next input. It does not count as an input."""
        self._leader.released()
        if self._last is not None:
            self._last = replace(self._last, deadman=False)
        return Outcome(True, "")

    def complaint(self, now: float, waiting: bool) -> str | None:
        """Why the operator counts as gone, and what to do; None where he does not.

        Args:
            now: Monotonic seconds.
            waiting: Whether the first input may still come.
        """
        if self._last is None:
            if waiting:
                return None
            return f"no operator input within {self._config.start_timeout_s} s of engaging: is the device running?"
        if self._heard.expired(now):
            return f"operator's input stopped {self._heard.age(now):.2f} s ago: engage again when it is back"
        return None

    def move(self, elapsed_s: float) -> None:
        """Follows the twist or the joints while the deadman is held, and rests where it is let go."""
        teleop, motion = self._last, self._motion
        if teleop is None or not teleop.deadman:
            motion.stop(elapsed_s)
            motion.forget_target()
            self._tool.clear()
            return
        if teleop.joints is not None:
            joints = self._leader.target(motion.setpoint.position)
            motion.follow(
                Target(ActionKind.JOINT_POSITION, joints, np.zeros(len(joints)), teleop.gripper_width), elapsed_s
            )
            self._tool.clear()
            return
        pose, twist = self._tool.step(teleop.twist, motion.tool, elapsed_s)
        motion.follow_tool(pose, twist, elapsed_s)
        motion.follow_width(teleop.gripper_width, elapsed_s)
