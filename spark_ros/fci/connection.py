"""Reaching a robot on its FCI, and why that failed.

libfranka talks to one program at a time, over TCP for requests and UDP for the 1 kHz states. Its exceptions are
distinguished by class where they have one, and by the words of libfranka 0.9 to 0.21 where they have none.
"""

from __future__ import annotations

import importlib
import resource
import socket
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from spark_ros.contracts import SparkError

PACKAGE = "franky-control==2.0.0"
PORT = 1337  # of the arm; the hand listens on the next one
PATIENCE_S = 3.0  # libfranka itself waits a minute for a robot that is switched off
REALTIME_KERNEL = Path("/sys/kernel/realtime")  # where libfranka looks
RTPRIO = 99  # what it asks for


@dataclass(frozen=True)
class Address:
    """A robot's FCI.

    Attributes:
        host: Name or IP address of the robot's control unit (not of the arm's base).
        realtime: Whether this machine must give libfranka a real-time thread; False goes on without one.
    """

    host: str
    realtime: bool = True


def load_franky() -> Any:
    """The module `franky`.

    Raises:
        SparkError: It is not installed, or does not load.
    """
    try:
        return importlib.import_module("franky")
    except ModuleNotFoundError as error:
        raise SparkError(
            f"the package franky is not installed: run `pip install {PACKAGE}` (libfranka is inside)"
        ) from error
    except ImportError as error:
        raise SparkError(
            f"the package franky does not load ({error}): reinstall it, `pip install {PACKAGE}`"
        ) from error


def open_robot(franky: Any, address: Address) -> Any:
    """A connected `franky.Robot`.

    Raises:
        SparkError: The robot cannot be reached or does not let us in.
    """
    if address.realtime:
        check_realtime()
    knock(address.host)
    config = franky.RealtimeConfig.Enforce if address.realtime else franky.RealtimeConfig.Ignore
    try:
        return franky.Robot(address.host, realtime_config=config)
    except Exception as error:  # franky throws bare RuntimeErrors too, where the network or Poco beneath it gives up
        raise SparkError(explain(franky, error, address.host)) from error


def open_gripper(franky: Any, address: Address) -> Any:
    """A connected `franky.Gripper`.

    Raises:
        SparkError: There is no hand, or it does not answer.
    """
    try:
        return franky.Gripper(address.host)
    except Exception as error:
        raise SparkError(
            f"the arm at {address.host} answers but its hand does not ({first_line(error)}): mount and initialise the "
            "Franka Hand in Desk, or set hand: false"
        ) from error


def knock(host: str, port: int = PORT) -> None:
    """Returns where something listens.

    Raises:
        SparkError: Nothing does.
    """
    try:
        socket.create_connection((host, port), PATIENCE_S).close()
    except ConnectionRefusedError as error:
        raise SparkError(
            f"the machine at {host} is there, but no FCI: unlock the robot's brakes and activate FCI in Desk, or "
            "correct robot_ip (it is the control unit's address)"
        ) from error
    except OSError as error:  # no such name, no route, no answer
        raise SparkError(
            f"no robot answers at {host or 'the empty address'} ({error}): check robot_ip, power, and the cable to the "
            "control unit"
        ) from error


def check_realtime(kernel: Path = REALTIME_KERNEL) -> None:
    """Returns where libfranka will get its real-time thread.

    Raises:
        SparkError: It will not.
    """
    aside = "or accept jerks and aborted motions with realtime:=ignore"
    try:
        capable = kernel.read_text(encoding="ascii").strip() == "1"
    except OSError:
        capable = False
    if not capable:
        raise SparkError(
            f"this machine's kernel is not real-time ({kernel} does not say 1): boot a PREEMPT_RT one, {aside}"
        )
    allowed = resource.getrlimit(resource.RLIMIT_RTPRIO)[0]
    if allowed != resource.RLIM_INFINITY and allowed < RTPRIO:
        raise SparkError(
            f"this user may take real-time priority {allowed}, libfranka needs {RTPRIO}: set rtprio in "
            f"/etc/security/limits.conf and log in again, {aside}"
        )


def explain(franky: Any, error: Exception, host: str) -> str:
    """Why no connection came about, as a sentence."""
    said = first_line(error)
    if isinstance(error, franky.IncompatibleVersionException):
        return (
            f"the robot at {host} speaks another protocol version than {PACKAGE} ({said}): update the robot's system, "
            "or install the franky wheel for its server version (an FER has 5)"
        )
    if isinstance(error, franky.RealtimeException):
        return (
            f"this machine gives libfranka no real-time thread ({said}): boot a PREEMPT_RT kernel and allow this user "
            f"rtprio {RTPRIO}, or accept jerks and aborted motions with realtime:=ignore"
        )
    if "refused" in said.lower():
        return (
            f"the robot at {host} refuses us ({said}): unlock its brakes, activate FCI in Desk, and end any other "
            "program that uses it"
        )
    if isinstance(error, franky.NetworkException) or not isinstance(error, franky.Exception):
        return (
            f"no robot answers at {host} ({said}): check robot_ip, the cable to the control unit and this machine's "
            "address in its network"
        )
    return f"the robot at {host} does not let us in: {said}"


def first_line(error: Exception) -> str:
    """What an exception of libfranka says, without its name in front and the log behind."""
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).removeprefix("libfranka: ").rstrip(".! ")
