from __future__ import annotations

import importlib
import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from spark_ros.contracts import SparkError
from spark_ros.fci import connection
from spark_ros.fci.arm import ConnectionLost, FciArm, MotionAborted
from spark_ros.fci.connection import Address
from spark_ros.robots.spec import load_robot

LIMITS = load_robot("fr3").limits
FAKE = Path(__file__).parents[2] / "fake_franky"
Tell = Callable[..., None]


@pytest.fixture
def franky(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> tuple[ModuleType, Tell]:
    """The fake franky in the place of the real one, and how to tell it what happens; nothing is knocked at."""
    story = tmp_path / "story.json"
    story.write_text("{}")
    monkeypatch.setenv("FAKE_FRANKY", str(story))
    monkeypatch.syspath_prepend(str(FAKE))
    monkeypatch.delitem(sys.modules, "franky", raising=False)
    module = importlib.import_module("franky")
    monkeypatch.setitem(sys.modules, "franky", module)
    monkeypatch.setattr(connection, "knock", lambda host: None)
    return module, lambda **happening: story.write_text(json.dumps(happening))


def arm() -> FciArm:
    return FciArm(Address("robot", realtime=False), LIMITS, 40.0, 40.0)


def test_without_the_package_one_sentence_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "franky", None)
    with pytest.raises(SparkError, match="pip install franky-control"):
        arm()


def test_a_machine_without_fci_is_told_from_no_machine() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        connection.knock("127.0.0.1", port)
    with pytest.raises(SparkError, match="activate FCI in Desk"):
        connection.knock("127.0.0.1", port)
    with pytest.raises(SparkError, match="check robot_ip"):
        connection.knock("no-such-robot.invalid", port)


def test_a_kernel_that_is_not_real_time_is_named(tmp_path: Path) -> None:
    with pytest.raises(SparkError, match=r"not real-time.*realtime:=ignore"):
        connection.check_realtime(tmp_path / "none")


@pytest.mark.parametrize(
    ("happening", "words"),
    [
        ({"version": "server version 5, library version 10"}, "another protocol version"),
        ({"refuse": "libfranka: Connection to FCI refused."}, "activate FCI"),
        ({"refuse": "libfranka: Connection timeout"}, "check robot_ip"),
    ],
)
def test_why_the_robot_lets_nobody_in(franky: tuple[ModuleType, Tell], happening: dict[str, Any], words: str) -> None:
    franky[1](**happening)
    with pytest.raises(SparkError, match=words):
        arm()


def test_the_arm_moves_as_long_as_it_is_told_to(franky: tuple[ModuleType, Tell]) -> None:
    connected = arm()
    begin = connected.read().position
    connected.drive([0.5] * 7, 0.2)
    assert not connected.finished()
    connected.brake()
    assert connected.finished()
    assert abs(connected.read().position - begin).max() < 0.2


def test_an_unplugged_cable_and_a_reflex_are_different_things(franky: tuple[ModuleType, Tell]) -> None:
    _, tell = franky
    connected = arm()
    connected.drive([0.1] * 7, 0.2)
    tell(mode=4, errors=["joint_reflex"])
    with pytest.raises(MotionAborted, match="aborted by reflex"):
        connected.drive([0.1] * 7, 0.2)
    assert connected.read().errors == ("joint_reflex",)
    tell(silent=True)
    with pytest.raises(ConnectionLost, match="check cable"):
        connected.read()


def test_limits_that_an_fr3_does_not_permit_are_lowered(franky: tuple[ModuleType, Tell]) -> None:
    connected = arm()
    assert (connected._robot.joint_acceleration_limit.value <= LIMITS.acceleration).all()
    assert (connected._robot.joint_jerk_limit.value <= LIMITS.jerk).all()


def test_another_kind_of_arm_is_refused(franky: tuple[ModuleType, Tell]) -> None:
    with pytest.raises(SparkError, match="7"):
        FciArm(Address("robot", realtime=False), load_robot("ur5e").limits, 40.0, 40.0)


@pytest.mark.parametrize("error", [RuntimeError("No route to host"), OSError("Network is unreachable")])
def test_errors_of_the_network_that_are_none_of_libfrankas_are_one_sentence_too(
    franky: tuple[ModuleType, Tell], monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    module, _ = franky

    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(module, "Robot", fail)
    with pytest.raises(SparkError, match=rf"no robot answers at robot \({error}\).*check robot_ip"):
        arm()
    monkeypatch.setattr(module, "Gripper", fail)
    with pytest.raises(SparkError, match="its hand does not"):
        connection.open_gripper(module, Address("robot", realtime=False))
