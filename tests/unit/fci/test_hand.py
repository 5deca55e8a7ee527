from __future__ import annotations

import time
from collections.abc import Callable
from types import SimpleNamespace

import pytest

from spark_ros.fci import hand
from spark_ros.fci.connection import Address


class CommandException(Exception):
    """As franky has it."""


class GripperForTests:
    """Goes where it is told; `fails` is raised by whatever is asked next."""

    def __init__(self) -> None:
        self.width = 0.08
        self.goals: list[object] = []
        self.fails: Exception | None = None

    @property
    def state(self) -> SimpleNamespace:
        self._maybe_fail()
        return SimpleNamespace(width=self.width, max_width=0.08)

    def move(self, width: float, speed: float) -> bool:
        self.goals.append(width)
        self.width = width
        return True

    def grasp(self, width: float, speed: float, force: float, epsilon_outer: float) -> bool:
        self.goals.append("grasp")
        self.width = 0.04
        return True

    def _maybe_fail(self) -> None:
        error, self.fails = self.fails, None
        if error is not None:
            raise error


@pytest.fixture
def gripper(monkeypatch: pytest.MonkeyPatch) -> GripperForTests:
    gripper = GripperForTests()
    monkeypatch.setattr(hand, "load_franky", lambda: SimpleNamespace(CommandException=CommandException))
    monkeypatch.setattr(hand, "open_gripper", lambda franky, address: gripper)
    return gripper


def _soon(what: Callable[[], bool]) -> bool:
    deadline = time.monotonic() + 5.0
    while time.monotonic() < deadline:
        if what():
            return True
        time.sleep(0.01)
    return False


def test_whatever_a_thread_dies_of_the_hand_says_that_it_does_not_answer(gripper: GripperForTests) -> None:
    ours = hand.Hand(Address("robot"), positions=False, speed=0.1, force=40.0)
    gripper.fails = RuntimeError("a bare one")
    assert _soon(lambda: ours.width is None) and "a bare one" in ours.error
    ours.close()
    assert _soon(lambda: not any(thread.is_alive() for thread in ours._threads)), "a hand that is given up leaves none"


def test_a_hand_that_others_have_closed_meanwhile_does_not_move_when_it_is_commanded_again(
    gripper: GripperForTests,
) -> None:
    ours = hand.Hand(Address("robot"), positions=False, speed=0.1, force=40.0)
    try:
        ours.aim(0.08)
        ours.forget()
        gripper.width = 0.03  # by hand, or in Desk
        assert _soon(lambda: ours.width == 0.03)
        ours.aim(0.03)  # where it is
        time.sleep(0.05)
        assert gripper.goals == []
        ours.aim(0.0)
        assert _soon(lambda: gripper.goals == ["grasp"])
    finally:
        ours.close()
