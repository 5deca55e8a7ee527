from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from spark_ros.contracts import SparkError
from spark_ros.fci.arm import ConnectionLost, MotionAborted, Reading
from spark_ros.fci.envelope import Movement
from spark_ros.fci.follower import GAIN, PULL_RAD_S, Follower, Order
from spark_ros.fci.link import Link
from spark_ros.robots.spec import load_robot

FR3 = load_robot("fr3")
PERIOD_S = 0.01
IDLE, MOVE, REFLEX, USER_STOPPED = 1, 2, 4, 5


class ArmForTests:
    """Integrates what it is told; `fails` is raised by whatever is asked next."""

    acceleration, jerk = FR3.limits.acceleration, FR3.limits.jerk

    def __init__(self) -> None:
        home, rest = FR3.home, np.zeros(7)
        self.reading = Reading(home, rest, home, rest, rest, IDLE, (), 0, 1.0)
        self.told: list[np.ndarray] = []
        self.held: list[float] = []
        self.brakes = self.recoveries = self.cycles_to_rest = 0
        self.fails: SparkError | None = None

    def _maybe_fail(self) -> None:
        error, self.fails = self.fails, None
        if error is not None:
            raise error

    def read(self) -> Reading:
        self._maybe_fail()
        self.reading = replace(self.reading, clock_ms=self.reading.clock_ms + 10)
        return self.reading

    def drive(self, velocity: np.ndarray, hold_s: float) -> None:
        self._maybe_fail()
        self.told.append(velocity)
        self.held.append(hold_s)
        q = self.reading.position + PERIOD_S * velocity
        self.reading = replace(
            self.reading, position=q, velocity=velocity, desired=q, desired_velocity=velocity, mode=MOVE
        )

    def brake(self) -> None:
        self.brakes += 1

    def finished(self) -> bool:
        self.cycles_to_rest -= 1
        return self.cycles_to_rest == 0

    def recover(self) -> None:
        self._maybe_fail()
        self.recoveries += 1


def linked() -> tuple[Link, ArmForTests]:
    arm = ArmForTests()
    return Link(lambda: arm, FR3, largest_gap=0.2), arm


def test_the_arm_comes_along_with_a_moving_setpoint_and_rests_on_a_resting_one() -> None:
    link, arm = linked()
    for k in range(400):
        link.read()
        link.follow(FR3.home + min(0.002 * k, 0.4), PERIOD_S)  # 0.2 rad/s for two seconds
        if k == 190:
            assert np.abs(arm.reading.position - FR3.home - 0.002 * k).max() < 0.01
    np.testing.assert_allclose(arm.reading.position, FR3.home + 0.4, atol=1e-3)
    assert np.abs(arm.told[-1]).max() < 1e-6


def test_the_follower_is_told_of_the_arm_what_the_robot_says(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[Movement] = []
    link, arm = linked()
    different = [FR3.home + 0.01 * number for number in range(5)]
    monkeypatch.setattr(Follower, "step", lambda _, setpoint, now, elapsed: told.append(now) or Order(np.ones(7), 0.07))
    arm.reading = Reading(*different, IDLE, (), 0, 1.0)
    link.read()
    link.follow(different[2], PERIOD_S)
    position, _, desired, desired_velocity, desired_acceleration = different
    (now,) = told
    for found, expected in (
        (now.measured, position),
        (now.desired, desired),
        (now.velocity, desired_velocity),
        (now.acceleration, desired_acceleration),
    ):
        np.testing.assert_array_equal(found, expected)
    assert 0.0 < now.age_s < 1.0
    assert arm.held == [0.07]


@pytest.mark.parametrize("field", ["position", "desired", "desired_velocity", "desired_acceleration"])
def test_an_arm_that_says_what_is_no_number_of_itself_holds(field: str) -> None:
    link, arm = linked()
    link.read()
    link.follow(FR3.home + 0.01, PERIOD_S)
    arm.reading = replace(arm.reading, **{field: np.full(7, np.nan)})
    link.read()
    with pytest.raises(SparkError, match="not finite"):
        link.follow(FR3.home + 0.01, PERIOD_S)
    assert arm.brakes == 1 and len(arm.told) == 1


def test_a_setpoint_far_from_the_arm_or_not_finite_is_not_followed() -> None:
    for setpoint in (FR3.home + 0.5, np.full(7, np.nan)):
        link, arm = linked()
        link.follow(FR3.home, PERIOD_S)
        with pytest.raises(SparkError, match="holds"):
            link.follow(setpoint, PERIOD_S)
        assert arm.brakes == 1 and link.status.ready


@pytest.mark.parametrize(
    ("mode", "errors", "words"),
    [(REFLEX, ("joint_reflex",), "joint_reflex"), (USER_STOPPED, (), "user stopped"), (3, (), "guiding")],
)
def test_what_stops_the_arm_is_latched_until_it_is_recovered(mode: int, errors: tuple[str, ...], words: str) -> None:
    link, arm = linked()
    healthy = arm.reading
    link.follow(FR3.home, PERIOD_S)
    arm.reading = replace(healthy, mode=mode, errors=errors)
    link.read()
    assert not link.status.ready and words in link.status.reason
    arm.reading = healthy  # the cause has gone away by itself
    link.read()
    told = len(arm.told)
    link.follow(FR3.home, PERIOD_S)
    assert not link.status.ready and len(arm.told) == told
    assert link.recover().ready and arm.recoveries == 1
    link.follow(FR3.home, PERIOD_S)
    assert len(arm.told) == told + 1


def test_recovery_fails_while_the_robot_refuses_it_and_says_why() -> None:
    link, arm = linked()
    arm.reading = replace(arm.reading, mode=USER_STOPPED)
    link.read()
    status = link.recover()
    assert not status.ready and "user stopped" in status.reason


def test_recovery_leaves_an_arm_alone_that_is_ready() -> None:
    link, arm = linked()
    link.follow(FR3.home, PERIOD_S)
    assert link.recover().ready and link.following and arm.recoveries == 0


def test_the_arm_is_at_rest_before_it_is_let_go_of() -> None:
    link, arm = linked()
    link.follow(FR3.home, PERIOD_S)
    arm.cycles_to_rest = 5
    link.close()
    assert arm.brakes == 1 and arm.cycles_to_rest == 0


def test_a_gap_at_the_beginning_is_closed_gently() -> None:
    link, arm = linked()
    link.follow(FR3.home + 0.05, PERIOD_S)
    assert np.abs(arm.told[0]).max() <= GAIN * 0.05 + 1e-9


def test_a_large_gap_is_not_closed_faster_than_the_pull_may_be() -> None:
    follower = Follower(FR3.limits, FR3.limits.acceleration, FR3.limits.jerk)
    follower.start(FR3.home)
    behind = Movement(FR3.home - 0.2, FR3.home - 0.2, np.zeros(7), np.zeros(7))
    np.testing.assert_allclose(follower.step(FR3.home, behind, PERIOD_S).velocity, PULL_RAD_S)


def test_an_aborted_motion_is_latched() -> None:
    link, arm = linked()
    arm.fails = MotionAborted("the Franka stopped: aborted by reflex")
    link.follow(FR3.home, PERIOD_S)
    assert link.status.reason == "the Franka stopped: aborted by reflex"


def test_a_lost_connection_is_latched_and_recovered_by_a_new_one() -> None:
    arms: list[ArmForTests] = []

    def connect() -> ArmForTests:
        arms.append(ArmForTests())
        return arms[-1]

    link = Link(connect, FR3, largest_gap=0.2)
    arms[0].fails = ConnectionLost("the connection is lost")
    assert link.read() is None
    assert (link.status.ready, link.status.reason, link.status.mode) == (
        False,
        "the connection is lost",
        "not connected",
    )
    assert link.read() is None and len(arms) == 1  # nobody asked yet
    assert link.recover().ready and len(arms) == 2
    assert link.read() is not None


def test_a_robot_that_has_fallen_silent_is_not_reported_as_standing_still(monkeypatch: pytest.MonkeyPatch) -> None:
    link, arm = linked()
    now = [100.0]
    monkeypatch.setattr("spark_ros.fci.link.time.monotonic", lambda: now[0])
    assert link.read() is not None
    arm.read = lambda: arm.reading  # type: ignore[method-assign]  # its clock stands still
    now[0] += 0.2
    assert link.read() is None
