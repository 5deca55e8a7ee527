"""Keys to motion: a terminal tells when a key was typed, never when it was let go."""

from __future__ import annotations

import numpy as np
import pytest

from spark_ros.nodes.key_teleop import DEADMAN_S, HELP, MOTIONS, NUDGE_S, KeyTeleop


@pytest.fixture
def keys() -> KeyTeleop:
    return KeyTeleop(linear_speed=0.2, angular_speed=0.8, max_width=0.08)


def test_nothing_typed_is_a_released_deadman(keys: KeyTeleop) -> None:
    teleop = keys.teleop(0.0, 5)
    assert not teleop.deadman and not teleop.twist.any() and teleop.stamp_ns == 5


def test_a_tap_is_a_nudge_and_the_deadman_expires_after_it(keys: KeyTeleop) -> None:
    keys.press("w", 10.0)
    np.testing.assert_allclose(keys.teleop(10.0 + NUDGE_S / 2, 0).twist, [0.1, 0, 0, 0, 0, 0])
    paused = keys.teleop(10.0 + NUDGE_S, 0)
    assert not paused.twist.any() and paused.deadman, "a held key pauses before it repeats; the arm stays engaged"
    assert not keys.teleop(10.0 + DEADMAN_S, 0).deadman


def test_a_held_key_moves_without_a_break_once_it_repeats(keys: KeyTeleop) -> None:
    times = 10.0 + np.arange(0.5, 1.5, 1 / 30)
    keys.press("r", 10.0)
    for time in times:
        keys.press("r", time)
        assert keys.teleop(time + 0.03, 0).twist[2] == pytest.approx(0.1)


def test_two_keys_add_up_and_opposite_ones_cancel(keys: KeyTeleop) -> None:
    for key in "wa":
        keys.press(key, 0.0)
    np.testing.assert_allclose(keys.teleop(0.1, 0).twist[:3], [0.1, 0.1, 0.0])
    keys.press("s", 0.1)
    np.testing.assert_allclose(keys.teleop(0.1, 0).twist[:3], [0.0, 0.1, 0.0])


def test_space_lets_go_at_once(keys: KeyTeleop) -> None:
    keys.press("w", 0.0)
    keys.press(" ", 0.05)
    teleop = keys.teleop(0.05, 0)
    assert not teleop.deadman and not teleop.twist.any()


def test_the_gripper_key_holds_the_deadman_while_the_fingers_move(keys: KeyTeleop) -> None:
    keys.press("g", 0.0)
    teleop = keys.teleop(0.5, 0)
    assert teleop.deadman and teleop.gripper_width == 0.0
    keys.press("g", 1.0)
    assert keys.teleop(1.0, 0).gripper_width == 0.08


def test_speed_stays_within_its_range_and_moves_nothing_itself(keys: KeyTeleop) -> None:
    for _ in range(50):
        keys.press("+", 0.0)
    assert keys.speed == 1.0 and not keys.teleop(0.0, 0).deadman
    for _ in range(50):
        keys.press("-", 0.0)
    assert keys.speed == 0.1


def test_straying_can_be_marked(keys: KeyTeleop) -> None:
    keys.press("n", 0.0)
    assert not keys.teleop(0.0, 0).imitate


def test_every_motion_key_is_on_the_help_page(keys: KeyTeleop) -> None:
    words = set(HELP.split())
    assert set(MOTIONS) <= words
    assert not keys.press("z", 0.0)


def test_taking_over_from_a_policy_keeps_what_the_gripper_holds(keys: KeyTeleop) -> None:
    keys.adopt(0.03)
    assert keys.teleop(0.0, 0).gripper_width == 0.03
    keys.press("g", 1.0)
    assert keys.teleop(1.0, 0).gripper_width == 0.08
    keys.press("g", 2.0)
    assert keys.teleop(2.0, 0).gripper_width == 0.0
    keys.adopt(0.07)
    assert keys.teleop(3.0, 0).gripper_width == 0.08
