"""Velocities that take an arm along with its setpoint, and what an FR3 would refuse of them."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from franky_for_tests import CYCLE_S, FrankyForTests

from spark_ros.contracts import FloatArray
from spark_ros.control.config import GatewayConfig
from spark_ros.control.limiter import Limiter
from spark_ros.fci.envelope import Envelope, Movement
from spark_ros.fci.follower import HOLDS_S, Follower
from spark_ros.fci.pace import FRANKY_VELOCITY, pace
from spark_ros.robots.spec import JointLimits, load_robot

FR3 = load_robot("fr3")
LIMITS = FR3.limits
FER = load_robot("fer")
TICK_S = 0.01
UNTAPERED = replace(LIMITS, taper=None)


class Rig:
    """A follower and the arm that it tells; checks the arm after every millisecond.

    `astray` is how much further than desired the measured arm moves; `slow` how much of real time the robot runs at.
    """

    def __init__(
        self, start: FloatArray, limits: JointLimits = LIMITS, astray: float = 0.0, slow: float = 1.0, **how: Any
    ) -> None:
        self.arm, self.limits = FrankyForTests(limits, start, **how), limits
        self.follower = Follower(limits, self.arm.motion_acceleration, self.arm.motion_jerk)
        self.follower.start(start)
        self.measured, self._astray, self._slow = start.copy(), astray, slow
        self._unlived_s = self._untold_s = 0.0
        self.used = 0.0  # most of a joint's permitted velocity that it has had
        self.velocities: list[FloatArray] = []

    def tick(self, setpoint: FloatArray, told: bool = True) -> None:
        """A hundredth of a second; in one without a word the program hangs."""
        self._untold_s += TICK_S
        if told:
            arm = self.arm
            now = Movement(self.measured.copy(), arm.position.copy(), arm.velocity, arm.acceleration)
            order = self.follower.step(setpoint, now, self._untold_s)
            arm.drive(order.velocity, order.hold_s)
            self._untold_s = 0.0
        self._unlived_s += TICK_S * self._slow
        while self._unlived_s > CYCLE_S / 2:
            self._unlived_s -= CYCLE_S
            self.arm.cycle()
            self.measured = self.measured + (1 + self._astray) * CYCLE_S * self.arm.velocity
            self._look()

    def _look(self) -> None:
        velocity = self.arm.velocity
        lowest, highest = self.limits.velocity_bounds(self.measured)
        most = np.maximum(np.where(velocity > 0, highest, -lowest), 1e-9)
        self.used = max(self.used, float(np.where(np.abs(velocity) > 1e-5, np.abs(velocity) / most, 0.0).max()))
        self.velocities.append(velocity)


def wandering(seed: int, limits: JointLimits = LIMITS, seconds: float = 15.0) -> Iterator[FloatArray]:
    """Setpoints that the gateway's limiter makes of targets which jump about, mostly at and beyond the joints' ends."""
    rng = np.random.default_rng(seed)
    limiter = Limiter(replace(FR3, limits=limits), GatewayConfig(**pace(limits)))
    target = FR3.home
    for step in range(round(seconds / TICK_S)):
        if step % 40 == 0:
            target = rng.uniform(limits.position_lower - 0.5, limits.position_upper + 0.5)
        yield limiter.track(target, np.zeros(7), TICK_S).position


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize(
    "astray, slow, unheard, late",
    [(0.0, 1.0, 0.0, 2), (0.0, 1.0, 0.5, 2), (0.3, 0.7, 0.0, 2), (0.0, 0.6, 0.3, 2), (0.0, 1.0, 0.3, 6)],
    ids=["as it should be", "every other tick is lost", "the arm goes astray", "in slow motion", "obeyed late"],
)
def test_no_joint_is_ever_faster_than_an_fr3_permits_where_it_is(
    seed: int, astray: float, slow: float, unheard: float, late: int
) -> None:
    rig, rng = Rig(FR3.home, astray=astray, slow=slow, late=late), np.random.default_rng(seed)
    for setpoint in wandering(seed):
        rig.tick(setpoint, told=rng.random() >= unheard)
    assert rig.used < 1.0
    assert rig.used > 0.7, "or the test would show nothing"


@pytest.mark.parametrize("seed", range(5))
def test_an_arm_of_which_nobody_hears_any_more_brakes_inside(seed: int) -> None:
    rng = np.random.default_rng(seed)
    for hangs_after in rng.uniform(0.5, 8.0, 5):
        rig = Rig(FR3.home)
        for setpoint in wandering(seed, seconds=hangs_after):
            rig.tick(setpoint)
        for _ in range(60):
            rig.tick(FR3.home, told=False)
        assert rig.used < 1.0
        assert np.abs(rig.arm.velocity).max() < 1e-3


@pytest.mark.parametrize("hold_s", HOLDS_S)
@pytest.mark.parametrize("speed", [0.5, 1.5, 2.5])
def test_an_arm_that_is_still_speeding_up_when_nobody_is_heard_any_more_brakes_inside(
    hold_s: float, speed: float
) -> None:
    taper = LIMITS.taper
    assert taper is not None
    for room in np.linspace(0.02, 0.6, 12):
        arm = FrankyForTests(LIMITS, taper.upper - room, late=6)
        envelope = Envelope(LIMITS, arm.motion_acceleration, arm.motion_jerk)
        now = Movement(arm.position, arm.position, arm.velocity, arm.acceleration)
        arm.drive(envelope.nearest(now, np.full(7, speed), hold_s), hold_s)
        for _ in range(600):
            arm.cycle()
            permitted = LIMITS.velocity_bounds(arm.position)[1]
            assert (arm.velocity <= np.maximum(permitted, 1e-5)).all()


@pytest.mark.parametrize("seed", range(3))
def test_setpoints_without_any_limit_are_followed_within_those_of_the_arm(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rig = Rig(FR3.home)
    goal = FR3.home
    for step in range(1500):
        if step % 25 == 0:
            goal = rng.uniform(LIMITS.position_lower, LIMITS.position_upper)
        rig.tick(rig.arm.position + np.clip(goal - rig.arm.position, -0.2, 0.2))  # a link holds where it is further
    assert rig.used < 1.0


@pytest.mark.parametrize("seed", range(3))
def test_without_a_taper_the_arm_brakes_before_its_position_limits(seed: int) -> None:
    rig = Rig(FR3.home, UNTAPERED)
    for setpoint in wandering(seed, UNTAPERED):
        rig.tick(setpoint)
        assert (rig.arm.position <= LIMITS.position_upper).all() and (rig.arm.position >= LIMITS.position_lower).all()


def test_no_joint_of_a_panda_is_told_more_than_its_highest_velocity() -> None:
    rig = Rig(FER.home, FER.limits)
    for step in range(300):
        rig.tick(rig.arm.position + 0.2 * np.where(step < 150, 1.0, -1.0))
    assert 0.9 < rig.used < 1.0


def test_joints_that_arrive_together_would_brake_too_late() -> None:
    used = []
    for together in (False, True):
        rig = Rig(FR3.home, together=together)
        for setpoint in wandering(1):
            rig.tick(setpoint)
        used.append(rig.used)
    assert used[0] < used[1]


@pytest.mark.parametrize("upwards", [True, False])
@pytest.mark.parametrize("speed", [0.3, 1.0, 2.6])
def test_a_joint_led_into_its_limit_arrives(upwards: bool, speed: float) -> None:
    taper = LIMITS.taper
    assert taper is not None
    way = 1.0 if upwards else -1.0
    end = (taper.upper if upwards else taper.lower) - way * taper.offset**2 / taper.gain
    rig = Rig(end - way * 1.2)
    for step in range(round(1.2 / speed / TICK_S) + 300):
        rig.tick(end - way * max(1.2 - step * TICK_S * speed, 0.0))
    assert rig.used < 1.0
    assert np.abs(rig.arm.position - end).max() < 0.02


def test_a_steady_motion_is_followed_closely() -> None:
    rig = Rig(FR3.home)
    for step in range(100):
        setpoint = FR3.home + 0.004 * step
        rig.tick(setpoint)
    assert np.abs(rig.arm.position - setpoint).max() < 0.02


def test_setpoints_as_fast_as_the_gateway_sends_them_are_followed() -> None:
    rig, far = Rig(FR3.home), []
    limiter = Limiter(FR3, GatewayConfig(**pace(LIMITS)))
    for step in range(700):
        target = FR3.home + (0.4 if step // 100 in (1, 3, 5, 6) else -0.4)
        setpoint = limiter.track(target, np.zeros(7), TICK_S).position
        rig.tick(setpoint)
        far.append(np.abs(rig.arm.position - setpoint).max())
    assert max(far) < 0.09, "the gateway stops the arm at 0.1"
    assert far[-1] < 2e-3


def test_every_joint_stays_within_acceleration_and_jerk() -> None:
    rig = Rig(FR3.home)
    for setpoint in wandering(2, seconds=5.0):
        rig.tick(setpoint)
    velocity = np.array(rig.velocities)
    assert (np.abs(np.diff(velocity, axis=0)) / CYCLE_S < LIMITS.acceleration).all()
    assert (np.abs(np.diff(velocity, n=2, axis=0)) / CYCLE_S**2 < LIMITS.jerk).all()


def test_near_a_limit_a_velocity_is_held_for_a_shorter_time() -> None:
    taper = LIMITS.taper
    assert taper is not None
    rest = np.zeros(7)
    follower = Follower(LIMITS, 0.95 * LIMITS.acceleration, 0.3 * LIMITS.jerk)
    held = []
    for position in (FR3.home, taper.upper - 0.05):
        follower.start(position)
        order = follower.step(position + 0.005, Movement(position, position, rest, rest), 0.05)
        assert (order.velocity > 0).all()
        held.append(order.hold_s)
    assert held[0] == HOLDS_S[0] > held[1] >= HOLDS_S[-1]


def test_an_arm_that_moves_away_from_its_limit_is_not_slowed_down() -> None:
    taper = LIMITS.taper
    assert taper is not None
    envelope = Envelope(LIMITS, 0.95 * LIMITS.acceleration, 0.3 * LIMITS.jerk)
    near = taper.upper - 0.01
    now = Movement(near, near, np.zeros(7), np.zeros(7))
    np.testing.assert_array_equal(envelope.nearest(now, np.full(7, -1.0), 0.03), np.full(7, -1.0))
    assert (envelope.nearest(now, np.full(7, 1.0), 0.03) < 0.2).all()


@pytest.mark.parametrize("upwards", [True, False])
def test_a_joint_beyond_its_limit_may_only_come_back(upwards: bool) -> None:
    taper = LIMITS.taper
    assert taper is not None
    beyond, out = (taper.upper + 0.01, 1.0) if upwards else (taper.lower - 0.01, -1.0)
    envelope = Envelope(LIMITS, 0.95 * LIMITS.acceleration, 0.3 * LIMITS.jerk)
    now = Movement(beyond, beyond, np.zeros(7), np.zeros(7))
    assert (np.abs(envelope.nearest(now, np.full(7, out), 0.03)) < 1e-3).all()
    np.testing.assert_array_equal(envelope.nearest(now, np.full(7, -out), 0.03), np.full(7, -out))


@pytest.mark.parametrize("field", ["measured", "desired", "velocity", "acceleration"])
def test_what_is_no_number_permits_nothing(field: str) -> None:
    envelope = Envelope(LIMITS, 0.95 * LIMITS.acceleration, 0.3 * LIMITS.jerk)
    now = Movement(FR3.home, FR3.home, np.zeros(7), np.zeros(7))
    unknown = replace(now, **{field: np.full(7, np.nan)})
    assert (envelope.nearest(unknown, np.ones(7), 0.03) == 0.0).all()


def test_the_older_a_reading_the_less_is_permitted() -> None:
    taper = LIMITS.taper
    assert taper is not None
    envelope = Envelope(LIMITS, 0.95 * LIMITS.acceleration, 0.3 * LIMITS.jerk)
    near, moving = taper.upper - 0.1, np.full(7, 0.3)
    fresh, old = (Movement(near, near, moving, np.zeros(7), age_s=age) for age in (0.0, 0.05))
    assert (envelope.nearest(old, np.ones(7), 0.03) < envelope.nearest(fresh, np.ones(7), 0.03)).all()


@pytest.mark.parametrize("name", ["fr3", "fer"])
def test_the_gateway_asks_for_no_more_than_franky_moves(name: str) -> None:
    limits = load_robot(name).limits
    settings = pace(limits)
    assert (settings["velocity_scale"] * limits.velocity < FRANKY_VELOCITY).all()
    assert settings["acceleration_scale"] < 0.75
    assert 0.4 < settings["velocity_scale"] <= 1.0
