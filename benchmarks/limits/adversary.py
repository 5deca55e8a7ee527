"""A policy, an operator, a driver and a clock that go wrong in every way, in front of a whole gateway."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from benchmarks.limits.check import Run
from spark_ros.contracts import ActionChunk, ActionKind, Command, FloatArray, JointState, TeleopInput
from spark_ros.control.gateway import Gateway, GatewayConfig
from spark_ros.control.modes import Mode
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import vector_from_pose
from spark_ros.robots.spec import RobotSpec

EPOCH_NS = 10**18
BAD_NUMBERS = (np.nan, np.inf, -np.inf, 1e300, -1e12)


class Adversary:
    """Sends a gateway mostly reasonable inputs and now and then every kind of rubbish; its arm obeys at once."""

    def __init__(self, spec: RobotSpec, config: GatewayConfig, rng: np.random.Generator) -> None:
        """Starts at home."""
        self._spec, self._config, self._rng = spec, config, rng
        self._kinematics = Kinematics(spec)
        self._gateway = Gateway(spec, config)
        self._now, self._clock_ns = 50.0, EPOCH_NS
        self._q, self._width = np.array(spec.home), spec.gripper.max_width
        self._runs: list[list[tuple[float, Command]]] = [[]]

    def run(self, steps: int) -> list[Run]:
        """What the arm was told; a new run begins where it was let go of, and where the gateway itself was paused."""
        for _ in range(steps):
            before = self._now
            reset = self._send()
            if reset or self._now - before > self._config.joint_timeout_s:
                self._runs.append([])
            command = self._gateway.tick(self._now, self._now_ns)
            if command is None:
                continue
            self._runs[-1].append((self._now, command))
            self._q, self._width = command.position, command.gripper_width
        return [self._as_run(sent) for sent in self._runs if len(sent) > 2]

    def _as_run(self, sent: list[tuple[float, Command]]) -> Run:
        times = np.array([now for now, _ in sent])
        counted = np.clip(np.diff(times, prepend=times[0]), 0.0, 2 * self._config.period_s)
        commands = [command for _, command in sent]
        return Run(
            counted,
            np.array([command.position for command in commands]),
            np.array([command.velocity for command in commands]),
            np.array([command.gripper_width for command in commands]),
        )

    @property
    def _now_ns(self) -> int:
        return self._clock_ns + round(self._now * 1e9)

    def _chance(self, probability: float) -> bool:
        return bool(self._rng.random() < probability)

    def _send(self) -> bool:
        """What arrives before a tick; whether the gateway was reset."""
        rng, gateway = self._rng, self._gateway
        self._now += rng.choice([0.01, 0.0, 0.003, 0.03, 0.3, -0.2], p=[0.95, 0.01, 0.02, 0.016, 0.002, 0.002])
        if self._chance(0.001):
            self._clock_ns += int(rng.choice([-(10**9), 10**9]))
        if self._chance(0.97):
            gateway.on_joint_state(self._joint_state(), self._now)
        if self._chance(0.1):
            gateway.on_chunk(self._chunk(), self._now)
        if self._chance(0.2):
            gateway.on_teleop(self._teleop(), self._now)
        if self._chance(0.002):
            gateway.hold("adversary")
        if self._chance(0.001):
            gateway.stop("adversary")
        reset = False
        if not gateway.mode.is_active and self._chance(0.1):
            reset = self._chance(0.5) and gateway.reset().ok
            gateway.engage(Mode.POLICY if self._chance(0.5) else Mode.TELEOP, self._now)
        elif self._chance(0.005):
            gateway.engage(Mode.POLICY if self._chance(0.5) else Mode.TELEOP, self._now)
        return reset

    def _joint_state(self) -> JointState:
        spec, rng = self._spec, self._rng
        names = (*spec.joint_names, *spec.gripper.joint_names)
        position = np.concatenate([self._q, spec.gripper.joint_positions(self._width)])
        order = rng.permutation(len(names))
        state = JointState(tuple(names[i] for i in order), position[order], np.zeros(len(names)), self._now_ns)
        if not self._chance(0.003):
            return state
        damage: list[Callable[[], JointState]] = [
            lambda: replace(state, position=self._spoiled(state.position)),
            lambda: state.select(state.names[:4]),
            lambda: replace(state, position=state.position + rng.normal(0, 1, len(names))),
            lambda: replace(state, stamp_ns=state.stamp_ns - 10**10),
            lambda: JointState((), np.zeros(0), np.zeros(0), 0),
        ]
        return damage[rng.integers(len(damage))]()

    def _chunk(self) -> ActionChunk:
        rng, spec = self._rng, self._spec
        steps, size = int(rng.integers(1, 12)), 0.1 if self._chance(0.9) else 3.0
        stamp = self._now_ns - round(rng.uniform(0, 0.15) * 1e9)
        widths = rng.uniform(-0.1, 0.2, steps)
        fractions = np.arange(1, steps + 1)[:, None] / steps
        if self._chance(0.5):
            values = np.tile(vector_from_pose(self._kinematics.forward(self._q)), (steps, 1))
            values[:, :3] += fractions * rng.uniform(-size, size, 3)
            chunk = ActionChunk(ActionKind.EE_POSE, values, widths, (), 0.1, stamp)
        else:  # joints in any order
            joints = len(spec.joint_names)
            order = rng.permutation(joints)
            values = self._q + fractions * rng.uniform(-4 * size, 4 * size, joints)
            names = tuple(spec.joint_names[i] for i in order)
            chunk = ActionChunk(ActionKind.JOINT_POSITION, values[:, order], widths, names, 0.1, stamp)
        if not self._chance(0.02):
            return chunk
        damage: list[Callable[[], ActionChunk]] = [
            lambda: replace(chunk, values=self._spoiled(chunk.values)),
            lambda: replace(chunk, gripper_width=self._spoiled(chunk.gripper_width)),
            lambda: replace(chunk, values=chunk.values[:, : rng.integers(0, 6)]),
            lambda: replace(chunk, values=np.zeros((0, chunk.values.shape[1]))),
            lambda: replace(chunk, gripper_width=np.zeros(3)),
            lambda: replace(chunk, joint_names=("a", "b"), kind=ActionKind.JOINT_POSITION),
            lambda: replace(chunk, dt_s=float(rng.choice([0.0, -1.0, np.nan, 1e-9, 1e9]))),
            lambda: replace(chunk, stamp_ns=int(rng.choice([0, 2**62, chunk.stamp_ns - 10**10]))),
        ]
        return damage[rng.integers(len(damage))]()

    def _teleop(self) -> TeleopInput:
        rng = self._rng
        twist = rng.normal(0, 0.3 if self._chance(0.9) else 30.0, 6)
        width = float(rng.uniform(-0.1, 0.2))
        if self._chance(0.01):
            twist = self._spoiled(twist)
        if self._chance(0.005):
            twist = twist[:4]
        if self._chance(0.005):
            width = np.nan
        stamp = self._now_ns - (10**9 if self._chance(0.05) else 0)
        return TeleopInput(twist, width, self._chance(0.9), True, stamp)

    def _spoiled(self, values: FloatArray) -> FloatArray:
        values = np.array(values, float)
        if values.size:
            values.flat[self._rng.integers(values.size)] = self._rng.choice(BAD_NUMBERS)
        return values
