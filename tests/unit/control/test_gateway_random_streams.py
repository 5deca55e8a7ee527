"""Whatever arrives, in whatever order: every command is within every limit, and nothing raises."""

from dataclasses import replace

import numpy as np
import pytest

from spark_ros.contracts import ActionChunk, ActionKind, JointState, TeleopInput
from spark_ros.control.modes import Mode

STEPS = 4000
BAD_NUMBERS = (np.nan, np.inf, -np.inf, 1e300, -1e12)


class Adversary:
    """Sends a gateway mostly reasonable inputs and every kind of rubbish, from one seed."""

    def __init__(self, rig, seed):
        self.rig = rig
        self.rng = np.random.default_rng(seed)
        self.modes = set()
        self.was_reset = False

    def chance(self, probability):
        return self.rng.random() < probability

    def spoil(self, values):
        """Puts a bad number somewhere."""
        values = np.array(values, float)
        if values.size:
            values.flat[self.rng.integers(values.size)] = self.rng.choice(BAD_NUMBERS)
        return values

    def chunk(self):
        rig, rng = self.rig, self.rng
        steps = int(rng.integers(1, 12))
        size = 0.1 if self.chance(0.9) else 3.0
        stamp_ns = rig.now_ns - round(rng.uniform(0, 0.15) * 1e9)
        if self.chance(0.5):
            chunk = rig.chunk(offset=rng.uniform(-size, size, 3), steps=steps, stamp_ns=stamp_ns)
        else:
            order = rng.permutation(7)
            values = rig.q + np.linspace(0, 1, steps)[:, None] * rng.uniform(-4 * size, 4 * size, 7)
            names = tuple(rig.spec.joint_names[i] for i in order)
            widths = rng.uniform(-0.1, 0.2, steps)
            chunk = ActionChunk(ActionKind.JOINT_POSITION, values[:, order], widths, names, 0.1, stamp_ns)
        if self.chance(0.02):
            damage = [
                lambda: replace(chunk, values=self.spoil(chunk.values)),
                lambda: replace(chunk, gripper_width=self.spoil(chunk.gripper_width)),
                lambda: replace(chunk, values=chunk.values[:, : rng.integers(0, 7)]),
                lambda: replace(chunk, values=np.zeros((0, 7))),
                lambda: replace(chunk, gripper_width=np.zeros(3)),
                lambda: replace(chunk, joint_names=("a", "b"), kind=ActionKind.JOINT_POSITION),
                lambda: replace(chunk, dt_s=float(rng.choice([0.0, -1.0, np.nan, 1e-9, 1e9]))),
                lambda: replace(chunk, stamp_ns=int(rng.choice([0, 2**62, chunk.stamp_ns - 10**10]))),
            ]
            return damage[rng.integers(len(damage))]()
        return chunk

    def teleop(self):
        twist = self.rng.normal(0, 0.3 if self.chance(0.9) else 30.0, 6)
        width = self.rng.uniform(-0.1, 0.2)
        if self.chance(0.01):
            twist = self.spoil(twist)
        if self.chance(0.005):
            twist = twist[:4]
        if self.chance(0.005):
            width = np.nan
        stamp_ns = self.rig.now_ns - (10**9 if self.chance(0.05) else 0)
        return TeleopInput(twist, width, self.chance(0.9), True, stamp_ns)

    def joint_state(self):
        state = self.rig.joint_state()
        order = self.rng.permutation(len(state.names))
        names = tuple(state.names[i] for i in order)
        state = JointState(names, state.position[order], state.velocity[order], state.stamp_ns)
        if self.chance(0.003):
            damage = [
                lambda: replace(state, position=self.spoil(state.position)),
                lambda: state.select(state.names[:4]),
                lambda: replace(state, position=state.position + self.rng.normal(0, 1, 9)),
                lambda: replace(state, stamp_ns=state.stamp_ns - 10**10),
                lambda: JointState((), np.zeros(0), np.zeros(0), 0),
            ]
            return damage[self.rng.integers(len(damage))]()
        return state

    def step(self):
        rig, rng, gateway = self.rig, self.rng, self.rig.gateway
        rig.now += rng.choice([0.01, 0.0, 0.003, 0.03, 0.3, -0.2], p=[0.95, 0.01, 0.02, 0.016, 0.002, 0.002])
        if self.chance(0.001):
            rig.clock_offset_ns += int(rng.choice([-(10**9), 10**9]))
        if self.chance(0.97):
            gateway.on_joint_state(self.joint_state(), rig.now)
        if self.chance(0.1):
            gateway.on_chunk(self.chunk(), rig.now)
        if self.chance(0.2):
            gateway.on_teleop(self.teleop(), rig.now)
        if self.chance(0.002):
            gateway.hold("adversary")
        if self.chance(0.001):
            gateway.stop("adversary")
        if not gateway.mode.is_active and self.chance(0.1):
            if self.chance(0.5):
                self.was_reset |= gateway.reset().ok
            gateway.engage(Mode.POLICY if self.chance(0.5) else Mode.TELEOP, rig.now)
        elif self.chance(0.005):
            gateway.engage(Mode.POLICY if self.chance(0.5) else Mode.TELEOP, rig.now)
        self.modes.add(gateway.mode)
        return gateway.tick(rig.now, rig.now_ns)


@pytest.mark.parametrize(("seed", "scale"), [(0, 1.0), (1, 1.0), (2, 1.0), (3, 0.1)])
def test_every_command_is_within_limits_whatever_arrives(make_rig, seed, scale, assert_within_limits):
    rig = make_rig(acceleration_scale=scale)
    adversary = Adversary(rig, seed)
    everything = []
    for _ in range(STEPS):
        before = rig.now
        command = adversary.step()
        # After a reset the setpoint starts at the arm again, wherever that is; after a pause, at rest.
        if adversary.was_reset or rig.now - before > rig.config.joint_timeout_s:
            assert_within_limits(rig.sent)
            everything += rig.sent
            rig.sent, adversary.was_reset = [], False
        if command is not None:
            rig.obey(command)
    assert_within_limits(rig.sent)
    everything += rig.sent
    assert adversary.modes == set(Mode)  # it has been everywhere
    assert len(everything) > STEPS / 3  # and the arm was really moving
    assert np.ptp([item.command.position for item in everything], axis=0).max() > 0.5


@pytest.mark.parametrize("seed", range(4))
def test_engaging_from_idle_never_commands_anything_but_where_the_arm_is(rig, seed):
    rng = np.random.default_rng(seed)
    limits = rig.spec.limits
    for _ in range(50):
        rig.q = rng.uniform(limits.position_lower + 0.01, limits.position_upper - 0.01)
        rig.width = rng.uniform(0, rig.spec.gripper.max_width)
        rig.run(0.3)  # an arm that has just been elsewhere is not trusted
        rig.engage(Mode.POLICY if rng.random() < 0.5 else Mode.TELEOP)
        measured = rig.q
        np.testing.assert_allclose(rig.tick().position, measured, atol=1e-12)
        rig.gateway.hold("next")
        rig.run(0.02)
        assert rig.gateway.reset().ok
