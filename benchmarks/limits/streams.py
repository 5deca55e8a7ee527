"""Streams of targets that try to get an arm beyond its limits, step by step through the limiter.

A stream drives `control.motion.Motion` as the gateway does: a target that is refused brakes the arm. What comes back
is what the arm was told.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np

from benchmarks.limits.check import Run
from spark_ros.contracts import ActionKind, FloatArray, Pose, SparkError
from spark_ros.control.config import GatewayConfig
from spark_ros.control.executor import Target
from spark_ros.control.motion import Motion
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import quaternion_from_rotvec, vector_from_pose
from spark_ros.robots.spec import RobotSpec

BAD_NUMBERS = (np.nan, np.inf, -np.inf)
HUGE = (1e3, 1e9, 1e300)
Step = Callable[[float], None]
"""Moves the arm on by so many seconds."""


class Stream:
    """One arm, one start, one way to be unkind; deterministic from its generator."""

    def __init__(self, spec: RobotSpec, config: GatewayConfig, rng: np.random.Generator) -> None:
        """Draws where to start and what to send."""
        self._spec, self._config, self._rng = spec, config, rng
        self._kinematics = Kinematics(spec)
        self._motion = Motion(spec, config)
        kinds = (
            self._jumps,
            self._extremes,
            self._lying_velocities,
            self._waves,
            self._into_the_limits,
            self._poses,
            self._twists,
            self._rubbish,
        )
        self._targets = kinds[rng.integers(len(kinds))]()

    def run(self, steps: int) -> Run:
        """Drives for so many steps."""
        motion, rng = self._motion, self._rng
        motion.start(self._start(), rng.uniform(0, self._spec.gripper.max_width))
        counted, q, v, width = [0.0], [motion.setpoint.position], [motion.setpoint.velocity], [motion.width]
        for _ in range(steps):
            elapsed = self._elapsed()
            follow = next(self._targets)
            before = motion.setpoint
            try:
                follow(elapsed)
            except SparkError:
                if motion.setpoint is before:
                    motion.stop(elapsed)
            counted.append(min(max(elapsed, 0.0), 2 * self._config.period_s))
            q.append(motion.setpoint.position)
            v.append(motion.setpoint.velocity)
            width.append(motion.width)
        return Run(np.array(counted), np.array(q), np.array(v), np.array(width))

    def _start(self) -> FloatArray:
        """(J,) home, anywhere, or at the edge of what is possible."""
        limits, rng = self._spec.limits, self._rng
        lower, upper = limits.position_lower, limits.position_upper
        kind = rng.integers(4)
        if kind == 0:
            return self._spec.home + rng.normal(0, 0.1, lower.size)
        anywhere = rng.uniform(lower, upper)
        if kind == 1:
            return anywhere
        if kind == 2:  # every joint at one of its limits, some a little beyond
            edge = np.where(rng.random(lower.size) < 0.5, lower, upper)
            return edge + rng.normal(0, 0.002, lower.size)
        for _ in range(200):  # a tool in the workspace
            if self._is_inside(anywhere):
                break
            anywhere = rng.uniform(lower, upper)
        return anywhere

    def _is_inside(self, q: FloatArray) -> bool:
        tool, box = self._kinematics.forward(q).position, self._spec.workspace
        return bool(np.all((tool > box.lower) & (tool < box.upper)))

    def _elapsed(self) -> float:
        rng, period = self._rng, self._config.period_s
        if rng.random() < 0.9:
            return period
        return float(rng.choice([0.0, -0.5, 1e-9, 0.1 * period, 0.8 * period, 1.3 * period, 2 * period, 5.0]))

    def _joints(self, q: FloatArray, rate: FloatArray, width: float | None = None) -> Step:
        width = self._rng.uniform(-0.1, 0.2) if width is None else width
        target = Target(ActionKind.JOINT_POSITION, q, rate, width)
        return lambda elapsed: self._motion.follow(target, elapsed)

    def _now_and_then(self) -> Iterator[bool]:
        """True where a stream changes its mind: every 2 to 120 steps."""
        while True:
            for step in range(int(self._rng.integers(2, 120))):
                yield step == 0

    def _jumps(self) -> Iterator[Step]:
        limits, rng = self._spec.limits, self._rng
        q, zeros = self._spec.home, np.zeros(self._spec.home.size)
        for change in self._now_and_then():
            if change:
                q = rng.uniform(limits.position_lower - 1, limits.position_upper + 1)
            yield self._joints(q, zeros)

    def _extremes(self) -> Iterator[Step]:
        limits, rng = self._spec.limits, self._rng
        every = int(rng.integers(1, 60))
        pick = rng.random(limits.position_lower.size) < 0.5
        zeros = np.zeros(pick.size)
        while True:
            for _ in range(every):
                reach = 1.0 if rng.random() < 0.95 else float(rng.choice(HUGE))
                yield self._joints(np.where(pick, limits.position_lower, limits.position_upper) * reach, zeros)
            pick = ~pick

    def _lying_velocities(self) -> Iterator[Step]:
        limits, rng = self._spec.limits, self._rng
        q, rate = self._spec.home, np.zeros(self._spec.home.size)
        for change in self._now_and_then():
            if change:
                q = rng.uniform(limits.position_lower, limits.position_upper)
                rate = rng.normal(0, rng.choice([1.0, 10.0, *HUGE]), q.size)
            yield self._joints(q, rate)

    def _waves(self) -> Iterator[Step]:
        rng, period = self._rng, self._config.period_s
        limits = self._spec.limits
        middle = (limits.position_lower + limits.position_upper) / 2
        amplitude = rng.uniform(0, 0.6) * (limits.position_upper - limits.position_lower)
        rate = rng.uniform(0.1, 60.0, middle.size)
        phase, t = rng.uniform(0, 6.28, middle.size), 0.0
        while True:
            t += period
            angle = rate * t + phase
            yield self._joints(middle + amplitude * np.sin(angle), amplitude * rate * np.cos(angle))

    def _into_the_limits(self) -> Iterator[Step]:
        """Every joint races at a limit as fast as it may, turns round shortly before or after, and again."""
        limits, rng = self._spec.limits, self._rng
        sign, turn = rng.choice([-1.0, 1.0], limits.velocity.size), rng.uniform(0, 0.3)
        while True:
            q = self._motion.setpoint.position
            up, down = q > limits.position_upper - turn, q < limits.position_lower + turn
            if up.any() or down.any():
                turn = rng.uniform(0, 0.3)
                sign = np.where(up & (rng.random(up.size) < 0.05), -1.0, np.where(down, 1.0, sign))
            rate = sign * limits.velocity * rng.uniform(0.5, 1.5)
            yield self._joints(q + 0.2 * rate, rate)

    def _poses(self) -> Iterator[Step]:
        rng, box = self._rng, self._spec.workspace
        target = vector_from_pose(self._kinematics.forward(self._spec.home))
        twist = np.zeros(6)
        for change in self._now_and_then():
            if change:
                reach = rng.choice([0.0, 0.5, 1e3], p=[0.6, 0.38, 0.02])
                position = rng.uniform(box.lower - reach, box.upper + reach)
                target = np.concatenate([position, quaternion_from_rotvec(rng.normal(0, 1.5, 3))])
                twist = rng.normal(0, rng.choice([0.0, 0.5, 50.0]), 6)
            made = Target(ActionKind.EE_POSE, target.copy(), twist, rng.uniform(-0.1, 0.2))
            yield lambda elapsed, made=made: self._motion.follow(made, elapsed)

    def _twists(self) -> Iterator[Step]:
        """A tool target that leads the arm by a little, always the same way: along walls, into singularities."""
        rng = self._rng
        twist = np.zeros(6)
        for change in self._now_and_then():
            if change:
                speed = rng.choice([0.2, 0.5, 2.0])
                twist = np.concatenate([rng.normal(0, speed, 3), rng.normal(0, 2 * speed, 3)])
            tool, lead = self._motion.tool, rng.uniform(0, 0.1)
            pose = Pose(tool.position + lead * twist[:3], tool.quaternion)
            yield lambda elapsed, pose=pose, twist=twist: self._motion.follow_tool(pose, twist, elapsed)

    def _rubbish(self) -> Iterator[Step]:
        """Good targets with something wrong in every tenth: no number, too long, too short, no width."""
        rng, size = self._rng, self._spec.home.size
        zeros = np.zeros(size)
        for good in self._jumps():
            if rng.random() > 0.1:
                yield good
                continue
            spoiled = np.array(self._motion.setpoint.position)
            spoiled[rng.integers(size)] = rng.choice(BAD_NUMBERS)
            damage: list[Callable[[], Step]] = [
                lambda q=spoiled: self._joints(q, zeros),
                lambda q=spoiled: self._joints(self._spec.home, q),
                lambda: self._joints(self._spec.home[:-1], zeros),
                lambda: self._joints(self._spec.home, np.zeros(size + 1)),
                lambda: self._joints(self._spec.home, zeros, float(rng.choice(BAD_NUMBERS))),
                lambda: self._joints(np.zeros((1, size)), zeros),
                lambda: self._joints(np.zeros(0), zeros),
            ]
            yield damage[rng.integers(len(damage))]()
