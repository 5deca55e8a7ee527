"""A gripper that is told by ROS actions: goals are sent one after the other, and nobody waits for them.

`franka_gripper` has an action to move, one to grasp and one to find its limits (package franka_msgs), others take
`control_msgs/GripperCommand`. Neither package is required before a robot's gripper interface asks for it. A goal that
comes while another is under way waits, and only the newest does.
"""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from spark_ros.adapters.base import Outgoing
from spark_ros.adapters.gripper_opening import GripperOpening
from spark_ros.contracts import SparkError
from spark_ros.control.gripper_goals import Goal, Grasp, Move, Positions, TwoWays
from spark_ros.control.modes import Outcome
from spark_ros.nodes.lifecycle import ManagedNode
from spark_ros.robots.gripper import GripperSpec

HOMING = "Homing"
LONGEST_S = 20.0  # homing takes some 10 s; after this the driver has forgotten a goal, as one does that was restarted
EFFORT_OF_MOVES = 0.0  # control_msgs: no limit


@dataclass(frozen=True)
class Order:
    """What is sent for a goal.

    Attributes:
        type_name: The action's type.
        fields: Fields of its goal; a mapping is a message within.
    """

    type_name: str
    fields: dict[str, Any]


Words = Callable[[Goal, GripperSpec, float], Order]


def franka_orders(goal: Goal, gripper: GripperSpec, force: float) -> Order:
    """In the words of franka_gripper; speeds are of the opening, m/s."""
    if isinstance(goal, Move):
        return Order("Move", {"width": goal.width, "speed": gripper.max_speed})
    anything = {"inner": gripper.max_width, "outer": gripper.max_width}  # whatever is there is what was meant
    return Order("Grasp", {"width": 0.0, "epsilon": anything, "speed": gripper.max_speed, "force": force})


def command_orders(goal: Goal, gripper: GripperSpec, force: float) -> Order:
    """In the words of GripperCommand: the first joint's position."""
    width, effort = (0.0, force) if isinstance(goal, Grasp) else (goal.width, EFFORT_OF_MOVES)
    position = float(gripper.joint_positions(width)[0])
    return Order("GripperCommand", {"command": {"position": position, "max_effort": effort}})


WORDS: dict[str, tuple[str, tuple[str, ...], Words]] = {  # package, types of its actions, how goals are put
    "franka_gripper": ("franka_msgs", ("Move", "Grasp", HOMING), franka_orders),
    "gripper_command": ("control_msgs", ("GripperCommand",), command_orders),
}


class GripperActions:
    """See the module's text; everything happens in the node's callbacks."""

    def __init__(
        self, node: ManagedNode, adapter: GripperOpening, gripper: GripperSpec, force: float, widths: bool
    ) -> None:
        """Call within the node's `setup`.

        Args:
            node: Whose executor serves the actions.
            adapter: Which interface, and under which name.
            gripper: What it drives.
            force: N, when it closes.
            widths: Whether to go to every width, instead of opening and closing.

        Raises:
            SparkError: The package with the actions is not installed.
        """
        package, types, self._words = WORDS[adapter.kind]
        try:
            module = importlib.import_module(f"{package}.action")
        except ImportError as error:
            raise SparkError(
                f"gripper interface {adapter.kind} needs the package {package}, which is not installed: source the "
                "driver's workspace, or choose another gripper_interface"
            ) from error
        self._node, self._gripper, self._force = node, gripper, force
        self._topic = adapter.topic.rstrip("/")
        self._kind = Positions if widths else TwoWays
        self._plan: Positions | TwoWays | None = None
        self._types = {name: getattr(module, name) for name in types}
        self._clients = {name: node.acting(self._types[name], self._name(name)) for name in types}
        self._waiting: Order | None = None
        self._under_way = False
        self._sent, self._sent_s = 0, 0.0  # goals so far, and when the last one was

    def tell(self, opening: Outgoing) -> None:
        """Takes the opening that is wanted now, and sends a goal where one follows from it; returns at once."""
        width = opening.width  # type: ignore[union-attr]  # the adapter makes nothing but openings
        if self._plan is None:
            self._plan = self._kind(self._gripper.max_width, width)
        goal = self._plan.goal(width, time.monotonic())
        if goal is not None:
            self._waiting = self._words(goal, self._gripper, self._force)
        self._give_up()
        self._send()

    def forget(self) -> None:
        """Nobody wants anything any more: nothing waits, and the next opening is where the fingers are then."""
        self._waiting = self._plan = None

    def home(self) -> Outcome:
        """Lets the gripper find its limits, once after it was mounted; asked for here, and not waited for."""
        if HOMING not in self._types:
            return Outcome(False, "this gripper's driver has no homing: nothing to do")
        self._give_up()
        if self._under_way:
            return Outcome(False, "the gripper is moving: ask again when it has come to rest")
        self._waiting, self._plan = Order(HOMING, {}), None
        self._send()
        self._waiting = None  # nobody expects it any more when a driver comes later
        if not self._under_way:
            return Outcome(False, f"nobody serves the gripper's action {self._name(HOMING)}: start its driver")
        return Outcome(True, "homing")

    def _give_up(self) -> None:
        """Waits no more for the end of a goal that the driver has forgotten."""
        if self._under_way and time.monotonic() - self._sent_s > LONGEST_S:
            self._node.complain(f"the gripper's driver has not ended a goal within {LONGEST_S:.0f} s: look at its log")
            self._under_way = False

    def _send(self) -> None:
        if self._under_way or self._waiting is None:
            return
        order = self._waiting
        client = self._clients[order.type_name]
        if not client.server_is_ready():
            self._node.complain(f"nobody serves the gripper's action {self._name(order.type_name)}: start its driver")
            return
        self._waiting, self._under_way = None, True
        self._sent, self._sent_s = self._sent + 1, time.monotonic()
        number = self._sent
        goal = _filled(self._types[order.type_name].Goal(), order.fields)
        client.send_goal_async(goal).add_done_callback(lambda answered: self._on_answer(number, answered))

    def _on_answer(self, number: int, answered: Any) -> None:
        handle = answered.result()
        if handle is None or not handle.accepted:
            self._node.complain("the gripper's driver refused a goal: look at its log")
            self._done(number)
        else:
            handle.get_result_async().add_done_callback(lambda _: self._done(number))

    def _done(self, number: int) -> None:
        """However it ended: where the fingers are, the joint states tell."""
        if number == self._sent:  # not one that was given up
            self._under_way = False
            self._send()

    def _name(self, type_name: str) -> str:
        """The action of this type."""
        return self._topic if len(self._types) == 1 else f"{self._topic}/{type_name.lower()}"


def _filled(message: Any, fields: dict[str, Any]) -> Any:
    for name, value in fields.items():
        if isinstance(value, dict):
            _filled(getattr(message, name), value)
        else:
            setattr(message, name, value)
    return message
