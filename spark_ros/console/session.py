"""The session as whoever sits at it sees it: one snapshot, a few commands. No ROS and no HTTP in here.

`nodes.ros_session.RosSession` is the real one; the page (`console.server`) and the terminal show whatever fulfils
`Session`. None of the commands moves the arm: engaging lets the operator's device or the policy do so, through the
gateway and within its limits, and that is the most that can be asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from spark_ros import topics
from spark_ros.data.recorder_status import RecorderState, RecorderStatus


class Command(str, Enum):
    """What can be asked for without saying more."""

    STOP = "stop"
    HOLD = "hold"
    RESET = "reset"
    ENGAGE_TELEOP = "engage_teleop"
    ENGAGE_POLICY = "engage_policy"
    START = "start"
    KEEP = "keep"
    DISCARD = "discard"
    AGAIN = "again"

    @property
    def service(self) -> str:
        """The std_srvs/Trigger service that does it."""
        return _SERVICES[self]

    @property
    def engages(self) -> bool:
        """Whether something else than the gateway itself may move the arm afterwards."""
        return self in (Command.ENGAGE_TELEOP, Command.ENGAGE_POLICY)


_SERVICES = {
    Command.STOP: topics.GATEWAY_STOP,
    Command.HOLD: topics.GATEWAY_HOLD,
    Command.RESET: topics.GATEWAY_RESET,
    Command.ENGAGE_TELEOP: topics.GATEWAY_ENGAGE_TELEOP,
    Command.ENGAGE_POLICY: topics.GATEWAY_ENGAGE_POLICY,
    Command.START: topics.RECORDER_START,
    Command.KEEP: topics.RECORDER_KEEP,
    Command.DISCARD: topics.RECORDER_DISCARD,
    Command.AGAIN: topics.RECORDER_AGAIN,
}


class Outcome(str, Enum):
    """What became of a command."""

    DONE = "done"
    REFUSED = "refused"
    """The node answered that it will not, and why."""
    UNANSWERED = "unanswered"
    """Nobody answered: it may or may not have been carried out."""


@dataclass(frozen=True)
class Answer:
    """The answer to a command.

    Attributes:
        outcome: What became of it.
        message: One sentence.
    """

    outcome: Outcome
    message: str


class Level(str, Enum):
    """How bad what a node says about itself is; ``stale``: it has gone silent."""

    OK = "ok"
    WARN = "warn"
    ERROR = "error"
    STALE = "stale"


@dataclass(frozen=True)
class NodeHealth:
    """What a node said last on /diagnostics.

    Attributes:
        name: The node's.
        level: How bad it is.
        message: One sentence.
        age_s: How long ago.
        values: Numbers and texts by name.
    """

    name: str
    level: Level
    message: str
    age_s: float
    values: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class GatewayView:
    """The gateway as seen from here.

    Attributes:
        present: Whether it is there and speaks; if not, nothing below is to be believed.
        mode: A `control.modes.Mode` value; empty before the first announcement.
        reason: Why it is in this mode; empty while that is not known yet.
        latency_ms: Percentiles by name (p50, p95, p99, worst) from capture to command; empty where no policy drives.
        tick_hz: Rate of its control loop.
    """

    present: bool
    mode: str = ""
    reason: str = ""
    latency_ms: Mapping[str, float] = field(default_factory=dict)
    tick_hz: float = 0.0


@dataclass(frozen=True)
class RecorderView:
    """The recorder as seen from here.

    Attributes:
        present: Whether it is there and speaks.
        status: What it said last; None before that, or when it is gone.
    """

    present: bool
    status: RecorderStatus | None = None


@dataclass(frozen=True)
class Snapshot:
    """Everything at one moment.

    Attributes:
        gateway: Who moves the arm.
        recorder: What is recorded; rates, gaps, skew, disk.
        cameras: Names of the cameras whose pictures can be watched.
        nodes: Every node that has spoken on /diagnostics, by name.
        domain: The ROS domain.
        simulated: Whether the arm is a simulated one; None while nobody has said.
    """

    gateway: GatewayView
    recorder: RecorderView
    cameras: tuple[str, ...] = ()
    nodes: tuple[NodeHealth, ...] = ()
    domain: int = 0
    simulated: bool | None = None

    def allows(self, command: Command) -> bool:
        """Whether it makes sense to ask for it now. A stop always does."""
        if command is Command.STOP:
            return True
        if command in _OF_GATEWAY:
            return self.gateway.present and self.gateway.mode in _OF_GATEWAY[command]
        status = self.recorder.status
        return self.recorder.present and status is not None and status.state in _OF_RECORDER[command]


_OF_GATEWAY = {
    Command.HOLD: ("teleop", "policy"),
    Command.RESET: ("hold", "fault"),
    Command.ENGAGE_TELEOP: ("idle", "hold", "policy"),
    Command.ENGAGE_POLICY: ("idle", "hold", "teleop"),
}
_OPEN = (RecorderState.RECORDING, RecorderState.STOPPED)
_OF_RECORDER = {
    Command.START: (RecorderState.READY,),
    Command.KEEP: _OPEN,
    Command.DISCARD: _OPEN,
    Command.AGAIN: _OPEN,
}


class Session(Protocol):
    """A session that can be watched and commanded, from any thread. A command waits for its answer."""

    def snapshot(self) -> Snapshot:
        """Everything now; never waits."""

    def command(self, command: Command) -> Answer:
        """Ask for it."""

    def describe(self, task: str) -> Answer:
        """Say in words what the next episodes show."""

    def mark(self, file: str, success: bool | None = None, note: str | None = None) -> Answer:
        """Say of an episode, kept or being recorded, whether it shows the task done, or what there is to say of it."""

    def watch(self, cameras: set[str]) -> None:
        """From now on receive the pictures of these cameras and of no other."""

    def picture(self, camera: str) -> tuple[int, bytes] | None:
        """The newest picture of a watched camera: a number that grows, and the CDR bytes of `sensor_msgs/Image`."""
