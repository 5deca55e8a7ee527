"""A simulated arm that obeys the gateway, and the check that every command it got was within the limits."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from spark_ros.contracts import ActionChunk, ActionKind, Command, JointState, Pose, TeleopInput
from spark_ros.control.gateway import Gateway, GatewayConfig
from spark_ros.control.modes import Mode
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import RobotSpec, load_robot

STAMP_ZERO_NS = 1_700_000_000_000_000_000  # stamps are of this century, monotonic time starts anywhere


@dataclass(frozen=True)
class Sent:
    """A command and when it was sent."""

    now: float
    command: Command


class Rig:
    """A gateway, the arm behind it and the two clocks."""

    def __init__(self, spec: RobotSpec, config: GatewayConfig) -> None:
        self.spec = spec
        self.config = config
        self.kinematics = Kinematics(spec)
        self.gateway = Gateway(spec, config)
        self.now = 50.0
        self.clock_offset_ns = STAMP_ZERO_NS
        self.q = np.array(spec.home)
        self.width = 0.08
        self.blocked = False
        self.silent = False
        self.sent: list[Sent] = []

    @property
    def now_ns(self) -> int:
        return self.clock_offset_ns + round(self.now * 1e9)

    @property
    def tool(self) -> Pose:
        return self.kinematics.forward(self.q)

    def joint_state(self) -> JointState:
        names = self.spec.joint_names + self.spec.gripper.joint_names
        return JointState(names, np.append(self.q, [self.width / 2] * 2), np.zeros(len(names)), self.now_ns)

    def tick(self) -> Command | None:
        """One period: the arm reports, the gateway decides, the arm obeys."""
        self.now += self.config.period_s
        if not self.silent:
            self.gateway.on_joint_state(self.joint_state(), self.now)
        command = self.gateway.tick(self.now, self.now_ns)
        if command is not None:
            self.obey(command)
        return command

    def obey(self, command: Command) -> None:
        self.sent.append(Sent(self.now, command))
        if not self.blocked:
            self.q, self.width = command.position, command.gripper_width

    def run(self, seconds: float, before_tick: Callable[[], object] | None = None) -> list[Command | None]:
        commands = []
        for _ in range(round(seconds * self.config.rate_hz)):
            if before_tick is not None:
                before_tick()
            commands.append(self.tick())
        return commands

    def engage(self, mode: Mode) -> None:
        self.tick()
        outcome = self.gateway.engage(mode, self.now)
        assert outcome.ok, outcome.message

    def chunk(self, offset=(0.0, 0.0, 0.0), steps=10, dt_s=0.1, width=0.04, stamp_ns=None) -> ActionChunk:
        """A straight line from the tool to the offset, in base axes."""
        tool = self.tool
        fractions = np.arange(1, steps + 1)[:, None] / steps
        positions = tool.position + fractions * np.asarray(offset)
        values = np.hstack([positions, np.tile(tool.quaternion, (steps, 1))])
        stamp = self.now_ns if stamp_ns is None else stamp_ns
        return ActionChunk(ActionKind.EE_POSE, values, np.full(steps, width), (), dt_s, stamp)

    def send(self, chunk: ActionChunk):
        return self.gateway.on_chunk(chunk, self.now)

    def operate(self, twist=(0, 0, 0, 0, 0, 0), width=0.08, deadman=True):
        teleop = TeleopInput(np.array(twist, float), width, deadman, True, self.now_ns)
        return self.gateway.on_teleop(teleop, self.now)


@pytest.fixture(scope="session")
def fr3() -> RobotSpec:
    return load_robot("fr3")


@pytest.fixture
def make_rig(fr3):
    return lambda **settings: Rig(fr3, GatewayConfig(**settings))


@pytest.fixture
def rig(make_rig) -> Rig:
    return make_rig()


@pytest.fixture(scope="session")
def assert_within_limits(fr3):
    """A check of consecutive commands against every limit, by differences of what was really sent."""

    def check(sent: list[Sent], period_s: float = 0.01) -> None:
        if len(sent) < 3:
            return
        limits = fr3.limits
        time = np.array([item.now for item in sent])
        position = np.array([item.command.position for item in sent])
        velocity = np.array([item.command.velocity for item in sent])
        width = np.array([item.command.gripper_width for item in sent])
        for values in (position, velocity, width):
            assert np.all(np.isfinite(values))
        assert np.all(position >= limits.position_lower) and np.all(position <= limits.position_upper)
        assert np.all(np.abs(velocity) <= limits.velocity)
        for q, v in zip(position, velocity, strict=True):
            lowest, highest = limits.velocity_bounds(q)
            assert np.all(v >= lowest - 1e-9) and np.all(v <= highest + 1e-9)
        # What counts is the time that really passed, except that the gateway takes no more than two periods at once.
        elapsed = np.clip(np.diff(time), 0.0, 2 * period_s)[:, None]
        slack = 1 + 1e-6
        assert np.all(np.abs(np.diff(position, axis=0)) <= limits.velocity * elapsed * slack + 1e-12)
        assert np.all(np.abs(np.diff(velocity, axis=0)) <= limits.acceleration * elapsed * slack + 1e-9)
        moving = elapsed[:, 0] > 1e-6
        mean_acceleration = (np.diff(velocity, axis=0) / np.maximum(elapsed, 1e-9))[moving]
        between = (elapsed[moving][1:] + elapsed[moving][:-1]) / 2
        assert np.all(np.abs(np.diff(mean_acceleration, axis=0)) <= limits.jerk * between * slack + 1e-6)
        assert np.all((width >= 0) & (width <= fr3.gripper.max_width))
        assert np.all(np.abs(np.diff(width)) <= fr3.gripper.max_speed * elapsed[:, 0] * slack + 1e-12)

    return check
