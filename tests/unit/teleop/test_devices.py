"""Every operator's device, from what its hardware or its topics say to the operator's hand.

Gamepads are driven through a pipe with recorded `struct input_event`s, and through uinput where the kernel has it; a
SpaceMouse through recorded HID reports.
"""

from __future__ import annotations

import os
import struct
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace as Message

import numpy as np
import pytest

from spark_ros.contracts import SparkError
from spark_ros.robots.spec import load_robot
from spark_ros.teleop.base import Request, Settings, shaped
from spark_ros.teleop.gamepad import (
    EAST,
    HAT_X,
    HAT_Y,
    LEFT_BUMPER,
    LEFT_TRIGGER,
    LEFT_X,
    LEFT_Y,
    NORTH,
    RIGHT_BUMPER,
    RIGHT_X,
    RIGHT_Y,
    SOUTH,
    WEST,
    Gamepad,
)
from spark_ros.teleop.input_events import EV_ABS, EV_KEY, EV_SYN
from spark_ros.teleop.leader import JOINTS, LeaderArm
from spark_ros.teleop.registry import DEVICES, make_device
from spark_ros.teleop.spacemouse import SpaceMouse, find_hidraw
from spark_ros.teleop.tracked_pose import POSE, SWITCH, TrackedPose
from spark_ros.teleop.twist import TWIST, TwistTopic

SPEC = load_robot("fr3")
HOME = np.asarray(SPEC.home)
PRESSED = Message(buttons=[1], axes=[])
RELEASED = Message(buttons=[0], axes=[])


class Pad:
    """A gamepad at the other end of a pipe."""

    def __init__(self, path: Path) -> None:
        os.mkfifo(path)
        self.device = Gamepad(Settings(SPEC, path=str(path), linear_speed=0.2, angular_speed=0.8))
        self.descriptor: int | None = os.open(path, os.O_WRONLY)

    def send(self, *events: tuple[int, int, int]) -> list[Request]:
        assert self.descriptor is not None
        for event in (*events, (EV_SYN, 0, 0)):
            os.write(self.descriptor, struct.pack("llHHi", 1, 2, *event))
        return self.device.poll(0.0)

    def hang_up(self) -> None:
        if self.descriptor is not None:
            os.close(self.descriptor)
            self.descriptor = None


@pytest.fixture
def pad(tmp_path: Path) -> Iterator[Pad]:
    pad = Pad(tmp_path / "event")
    yield pad
    pad.hang_up()
    pad.device.close()


def test_sticks_move_the_tool_forward_left_and_up_and_the_deadman_is_a_button(pad: Pad) -> None:
    pad.send((EV_ABS, LEFT_Y, -32768), (EV_ABS, LEFT_X, -32768), (EV_ABS, RIGHT_Y, -32768), (EV_ABS, RIGHT_X, 32767))
    hand = pad.device.hand(0.0)
    np.testing.assert_allclose(hand.twist, [0.1, 0.1, 0.1, 0, 0, -0.4], atol=1e-4)  # half speed to begin with
    assert not hand.deadman
    pad.send((EV_KEY, LEFT_BUMPER, 1))
    assert pad.device.hand(0.0).deadman
    pad.send((EV_ABS, LEFT_TRIGGER, 255), (EV_ABS, RIGHT_Y, 0), (EV_ABS, RIGHT_X, 0))
    np.testing.assert_allclose(pad.device.hand(0.0).twist, [0, 0, 0, -0.4, 0.4, 0], atol=1e-4)
    pad.send((EV_KEY, LEFT_BUMPER, 0), (EV_ABS, LEFT_X, 900))  # play around the middle
    assert not pad.device.hand(0.0).deadman and pad.device.hand(0.0).twist[3] == 0.0


def test_buttons_ask_once_and_the_gripper_goes_on_from_where_it_is(pad: Pad) -> None:
    asked = pad.send((EV_KEY, SOUTH, 1), (EV_KEY, SOUTH, 2), (EV_KEY, SOUTH, 0), (EV_KEY, EAST, 1), (EV_KEY, WEST, 1))
    assert asked == [Request.ENGAGE, Request.HOLD, Request.HAND_BACK]
    asked = pad.send(*((EV_ABS, code, value) for code in (HAT_Y, HAT_X) for value in (-1, 0, 1, 0)))
    assert asked == [Request.START, Request.AGAIN, Request.DISCARD, Request.KEEP]
    pad.device.adopt(0.2, HOME)  # a policy holds something
    assert pad.device.hand(0.0).opening == 0.2
    pad.send((EV_KEY, RIGHT_BUMPER, 1))
    assert pad.device.hand(0.0).opening == 1.0
    pad.send((EV_KEY, NORTH, 1))
    assert not pad.device.hand(0.0).imitate


def test_a_gamepad_that_goes_away_lets_go_of_the_deadman(pad: Pad) -> None:
    pad.send((EV_KEY, LEFT_BUMPER, 1), (EV_ABS, LEFT_Y, -32768))
    assert pad.device.hand(0.0).deadman
    pad.hang_up()
    pad.device.poll(0.0)
    assert not pad.device.hand(0.0).deadman and not pad.device.hand(0.0).twist.any()


def test_half_an_event_waits_for_its_other_half(pad: Pad) -> None:
    event = struct.pack("llHHi", 1, 2, EV_KEY, LEFT_BUMPER, 1)
    assert pad.descriptor is not None
    os.write(pad.descriptor, event[:10])
    pad.device.poll(0.0)
    assert not pad.device.hand(0.0).deadman
    os.write(pad.descriptor, event[10:])
    pad.device.poll(0.0)
    assert pad.device.hand(0.0).deadman


@pytest.mark.skipif(not os.access("/dev/uinput", os.W_OK), reason="this kernel has no /dev/uinput for virtual devices")
def test_a_virtual_gamepad_of_the_kernel_is_found_and_read() -> None:
    evdev = pytest.importorskip("evdev")
    stick = evdev.AbsInfo(value=0, min=-100, max=100, fuzz=0, flat=0, resolution=0)
    axes = [(code, stick) for code in (LEFT_X, LEFT_Y, RIGHT_X, RIGHT_Y)]
    with evdev.UInput({EV_KEY: [SOUTH, LEFT_BUMPER], EV_ABS: axes}, name="spark_ros test pad") as virtual:
        deadline = time.monotonic() + 5.0
        while not os.access(virtual.device.path, os.R_OK) and time.monotonic() < deadline:
            time.sleep(0.05)
        device = Gamepad(Settings(SPEC, path=virtual.device.path))
        virtual.write(EV_KEY, LEFT_BUMPER, 1)
        virtual.write(EV_ABS, LEFT_Y, -100)
        virtual.syn()
        time.sleep(0.1)
        device.poll(0.0)
        hand = device.hand(0.0)
        device.close()
    assert hand.deadman and hand.twist[0] == pytest.approx(0.1)


# As a SpaceMouse Compact (256f:c635) sends them: translation, rotation, buttons.
PUSHED = bytes.fromhex("01 0000 a2fe 0000".replace(" ", ""))  # y -350: away from the person
LIFTED_RIGHT = bytes.fromhex("01 5e01 0000 a2fe".replace(" ", ""))
TWISTED = bytes.fromhex("02 0000 0000 5e01".replace(" ", ""))  # clockwise from above


def test_a_spacemouse_moves_the_tool_as_its_cap_is_pushed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "hidraw")
    mouse = SpaceMouse(Settings(SPEC, path=str(tmp_path / "hidraw")))
    writer = os.open(tmp_path / "hidraw", os.O_WRONLY)
    os.write(writer, PUSHED)
    mouse.poll(1.0)
    np.testing.assert_allclose(mouse.hand(1.0).twist, [0.2, 0, 0, 0, 0, 0], atol=1e-9)
    assert not mouse.hand(1.0).deadman
    mouse.report(LIFTED_RIGHT, 1.1)
    mouse.report(TWISTED, 1.1)
    np.testing.assert_allclose(mouse.hand(1.1).twist, [0, -0.2, 0.2, 0, 0, -0.8], atol=1e-9)
    assert not mouse.hand(1.5).twist.any(), "a cap that reports nothing is in its middle"
    mouse.report(PUSHED + bytes(6), 2.0)  # a newer model: both in one report
    np.testing.assert_allclose(mouse.hand(2.0).twist, [0.2, 0, 0, 0, 0, 0], atol=1e-9)
    assert mouse.report(bytes([3, 1, 0]), 2.0) == [] and mouse.hand(2.0).deadman
    assert mouse.report(bytes([3, 3, 0]), 2.0) == [Request.ENGAGE]
    mouse.report(bytes([3, 0, 0]), 2.0)
    mouse.report(bytes([3, 2, 0]), 2.0)
    assert mouse.hand(2.0).opening == 0.0 and not mouse.hand(2.0).deadman
    assert mouse.report(bytes([23, 90]), 2.0) == []  # battery
    os.close(writer)
    mouse.close()


def test_a_spacemouse_is_found_by_its_number(tmp_path: Path) -> None:
    for name, number in (("hidraw0", "0003:000004D9:0000A070"), ("hidraw1", "0003:0000256F:0000C635")):
        (tmp_path / name / "device").mkdir(parents=True)
        (tmp_path / name / "device" / "uevent").write_text(f"DRIVER=hid-generic\nHID_ID={number}\nHID_NAME=x\n")
    assert find_hidraw(tmp_path) == Path("/dev/hidraw1")
    with pytest.raises(SparkError, match="no SpaceMouse is connected"):
        find_hidraw(tmp_path / "nowhere")


def joints(q: np.ndarray, names: tuple[str, ...] = tuple(SPEC.joint_names)) -> Message:
    return Message(name=list(names), position=list(q))


def test_a_leader_must_be_brought_to_the_arm_before_it_leads() -> None:
    leader = LeaderArm(Settings(SPEC))
    leader.adopt(0.5, HOME)
    leader.receive(SWITCH, PRESSED, 1.0)
    leader.receive(JOINTS, joints(HOME + np.eye(7)[2] * 0.5), 1.0)
    assert not leader.hand(1.0).deadman and "fr3_joint3 of the leader is 0.50 rad away" in leader.note
    leader.receive(JOINTS, joints(HOME + 0.1), 1.1)
    hand = leader.hand(1.1)
    assert hand.deadman and hand.opening == 0.5 and hand.joints is not None
    np.testing.assert_allclose(hand.joints, HOME + 0.1)
    leader.receive(JOINTS, joints(HOME + 0.8), 1.2)  # once it leads it leads on; the gateway limits how fast
    assert leader.hand(1.2).deadman
    leader.adopt(0.5, HOME)  # somebody else has moved the arm away meanwhile
    assert not leader.hand(1.2).deadman and "0.80 rad away" in leader.note
    assert not leader.hand(1.6).deadman, "neither leader nor deadman have been heard of since"


def test_a_relative_leader_is_a_clutch_and_its_names_and_gripper_may_differ() -> None:
    names = tuple(f"leader_{i}" for i in range(7))
    settings = Settings(
        SPEC, leader_joints=names, leader_gripper="trigger", leader_gripper_range=(1.0, 0.0), leader_relative=True
    )
    leader = LeaderArm(settings)
    leader.adopt(0.5, HOME)
    far = joints(np.append(HOME + 1.0, 0.75), (*names, "trigger"))
    leader.receive(JOINTS, far, 1.0)
    leader.receive(SWITCH, PRESSED, 1.0)
    hand = leader.hand(1.0)
    assert hand.joints is not None and hand.opening == 0.25
    np.testing.assert_allclose(hand.joints, HOME)
    leader.receive(JOINTS, joints(np.append(HOME + 1.1, 0.75), (*names, "trigger")), 1.05)
    np.testing.assert_allclose(leader.hand(1.05).joints, HOME + 0.1)
    leader.receive(SWITCH, RELEASED, 1.1)
    assert not leader.hand(1.1).deadman
    leader.adopt(0.5, HOME + 0.1)  # where it has brought the arm
    leader.receive(JOINTS, joints(np.append(HOME - 0.5, 0.75), (*names, "trigger")), 1.2)  # the hand is taken back
    leader.receive(SWITCH, PRESSED, 1.2)
    np.testing.assert_allclose(leader.hand(1.2).joints, HOME + 0.1)
    leader.adopt(0.5, HOME - 0.3)  # with the deadman held, somebody else has moved the arm
    np.testing.assert_allclose(leader.hand(1.2).joints, HOME - 0.3)
    with pytest.raises(SparkError, match="lacks joint leader_0"):
        leader.receive(JOINTS, joints(HOME), 1.2)
    with pytest.raises(SparkError, match="names 2 joints, fr3 has 7"):
        LeaderArm(Settings(SPEC, leader_joints=("a", "b")))


def pose(x: float, yaw: float = 0.0) -> Message:
    turned = Message(x=0.0, y=0.0, z=np.sin(yaw / 2), w=np.cos(yaw / 2))
    return Message(pose=Message(position=Message(x=x, y=0.0, z=0.0), orientation=turned))


def test_a_tracked_hand_moves_the_tool_only_while_the_clutch_is_held_and_tracking_lasts() -> None:
    hand = TrackedPose(Settings(SPEC, scale=2.0))
    for i in range(60):
        hand.receive(POSE, pose(0.001 * i, 0.002 * i), i * 0.02)
    assert not hand.hand(1.18).deadman
    hand.receive(SWITCH, Message(buttons=[1], axes=[0.25]), 1.18)
    np.testing.assert_allclose(hand.hand(1.18).twist, [0.1, 0, 0, 0, 0, 0.1], atol=1e-6)
    assert hand.hand(1.18).opening == 0.25
    hand.receive(POSE, pose(0.4, 0.118), 1.2)  # tracking has jumped
    assert hand.hand(1.2).deadman and not hand.hand(1.2).twist.any()
    hand.receive(POSE, pose(3.0), 1.9)  # found again elsewhere
    hand.receive(SWITCH, PRESSED, 1.9)
    assert not hand.hand(1.9).twist.any()
    hand.receive(SWITCH, PRESSED, 2.4)
    assert not hand.hand(2.4).deadman and "is the hand being tracked" in hand.note
    with pytest.raises(SparkError, match="carries no pose"):
        hand.receive(POSE, pose(float("nan")), 2.5)


def test_a_twist_counts_while_it_and_its_deadman_are_fresh() -> None:
    def twist(x: float) -> Message:
        return Message(twist=Message(linear=Message(x=x, y=0.0, z=0.0), angular=Message(x=0.0, y=0.0, z=0.0)))

    device = TwistTopic(Settings(SPEC, scale=0.5))
    device.receive(TWIST, twist(0.2), 1.0)
    assert not device.hand(1.0).deadman
    device.receive(SWITCH, PRESSED, 1.0)
    assert device.hand(1.0).deadman and device.hand(1.0).twist[0] == pytest.approx(0.1)
    assert not device.hand(1.3).deadman and not device.hand(1.3).twist.any()
    with pytest.raises(SparkError, match="not finite"):
        device.receive(TWIST, twist(float("inf")), 1.0)
    with pytest.raises(SparkError, match="without buttons"):
        device.receive(SWITCH, Message(buttons=[], axes=[]), 1.0)


def test_devices_are_found_by_name_and_a_missing_one_says_what_to_do(tmp_path: Path) -> None:
    with pytest.raises(SparkError, match="choose one of gamepad, spacemouse"):
        make_device("joystick", Settings(SPEC))
    for name in ("gamepad", "spacemouse"):
        with pytest.raises(SparkError, match="cannot read"):
            make_device(name, Settings(SPEC, path=str(tmp_path / "none")))
    for name in set(DEVICES) - {"gamepad", "spacemouse"}:
        device = make_device(name, Settings(SPEC))
        assert device.inputs and "waits for" in device.note
        assert not device.hand(0.0).deadman
        device.close()


def test_small_deflections_are_fine_and_play_is_nothing() -> None:
    assert shaped(0.09, 0.1) == 0.0 and shaped(1.0, 0.1) == 1.0 and shaped(-1.0, 0.1) == -1.0
    assert 0.0 < shaped(0.3, 0.1) < 0.1
