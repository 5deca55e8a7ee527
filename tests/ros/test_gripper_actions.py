"""Grippers behind ROS actions: a real action server in front, slow or absent, and what is put into the drivers' goals.

franka_msgs and control_msgs are on no package index, so the server speaks an action of `test_msgs`; that the goals have
the drivers' fields is tested against messages with the fields of their definitions, and against the real ones where a
sourced workspace has them.
"""

from __future__ import annotations

import importlib.util
import sys
import threading
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import rclpy
from graph_for_tests import GraphUnderTest, until
from lifecycle_msgs.msg import Transition
from rclpy.action import ActionServer
from rclpy.executors import SingleThreadedExecutor
from rclpy.task import Future

from spark_ros.adapters.base import Opening
from spark_ros.adapters.gripper_opening import GripperOpening
from spark_ros.adapters.registry import make_gripper_adapter
from spark_ros.bringup.domain import claim_domain
from spark_ros.contracts import SparkError
from spark_ros.control.gripper_goals import Grasp, Move
from spark_ros.nodes import gripper_actions
from spark_ros.nodes.gripper_actions import WORDS, GripperActions, Order
from spark_ros.nodes.lifecycle import ManagedNode
from spark_ros.robots.spec import load_robot

pytestmark = pytest.mark.ros
FR3, UR5E = load_robot("fr3"), load_robot("ur5e")
CLOSING, OPENING = np.linspace(0.08, 0.0, 9), np.linspace(0.0, 0.08, 9)


class SlowServer:
    """Counts millimetres as Fibonacci numbers, and finishes a goal when it is let to."""

    def __init__(self, node: Any, action_type: type) -> None:
        self.orders: list[int] = []
        self.finish = threading.Semaphore(0)
        self._type = action_type
        self._server = ActionServer(node, action_type, "/gripper", self._execute)

    def _execute(self, handle: Any) -> Any:
        self.orders.append(handle.request.order)
        self.finish.acquire(timeout=20)
        handle.succeed()
        return self._type.Result()


@pytest.fixture
def spun(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[ManagedNode, Any]]:
    """The gateway's side and the driver's, each in a thread of its own."""
    claim = claim_domain("auto")
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "LOCALHOST")
    rclpy.init(domain_id=claim.domain_id)
    nodes = (ManagedNode("gateway", {}), rclpy.create_node("driver"))
    end, threads = Future(), []
    for node in nodes:
        executor = SingleThreadedExecutor()
        executor.add_node(node)
        threads.append(threading.Thread(target=executor.spin_until_future_complete, args=(end,)))
        threads[-1].start()
    try:
        yield nodes
    finally:
        end.set_result(None)
        for thread in threads:
            thread.join()
        rclpy.try_shutdown()
        claim.release()


def fibonacci(monkeypatch: pytest.MonkeyPatch) -> type:
    action = pytest.importorskip("test_msgs.action", reason="the wheel ros-jazzy-test-msgs is not installed").Fibonacci

    def orders(goal: Any, gripper: Any, force: float) -> Order:
        return Order("Fibonacci", {"order": 0 if isinstance(goal, Grasp) else round(1e3 * goal.width)})

    monkeypatch.setitem(gripper_actions.WORDS, "fibonacci", ("test_msgs", ("Fibonacci",), orders))
    return action


def actions_of(node: ManagedNode) -> GripperActions:
    adapter: Any = SimpleNamespace(kind="fibonacci", topic="/gripper")
    return GripperActions(node, adapter, FR3.gripper, force=40.0, widths=False)


def test_nobody_waits_for_a_slow_gripper_and_only_the_newest_goal_does(
    monkeypatch: pytest.MonkeyPatch, spun: tuple[ManagedNode, Any]
) -> None:
    ours, drivers = spun
    server = SlowServer(drivers, fibonacci(monkeypatch))
    actions = actions_of(ours)
    until(lambda: actions._clients["Fibonacci"].server_is_ready())
    for width in (*CLOSING, *OPENING, *CLOSING, *OPENING):  # all of it returns while the first goal is under way
        actions.tell(Opening(float(width)))
    assert until(lambda: server.orders == [0])
    server.finish.release()
    assert until(lambda: server.orders == [0, 80])
    server.finish.release()
    assert until(lambda: not actions._under_way)
    assert server.orders == [0, 80]


def test_a_gripper_without_a_driver_is_complained_of_and_told_when_there_is_one(
    monkeypatch: pytest.MonkeyPatch, spun: tuple[ManagedNode, Any]
) -> None:
    ours, drivers = spun
    action, complaints = fibonacci(monkeypatch), []
    monkeypatch.setattr(ours, "complain", complaints.append)
    actions = actions_of(ours)
    for width in CLOSING:
        actions.tell(Opening(float(width)))
    assert complaints and "/gripper" in complaints[0]
    server = SlowServer(drivers, action)
    server.finish.release()
    assert until(lambda: actions.tell(Opening(0.0)) or server.orders == [0])


class ForgetfulDriver:
    """The client of a driver that takes goals and never tells of their end."""

    def __init__(self) -> None:
        self.ready = True
        self.goals: list[dict[str, Any]] = []
        self.answers: list[Future] = []

    def server_is_ready(self) -> bool:
        return self.ready

    def send_goal_async(self, goal: Any) -> Future:
        self.goals.append(vars(goal))
        self.answers.append(Future())
        return self.answers[-1]


@pytest.fixture
def forgetful(monkeypatch: pytest.MonkeyPatch) -> tuple[GripperActions, ForgetfulDriver, list[str]]:
    """Actions in front of such a driver, and what they complain of."""
    driver = ForgetfulDriver()
    complaints: list[str] = []
    goal = SimpleNamespace(Goal=SimpleNamespace)
    package: Any = SimpleNamespace(Order=goal, Homing=goal)
    monkeypatch.setitem(sys.modules, "forgetful.action", package)

    def words(goal: Any, gripper: Any, force: float) -> Order:
        return Order("Order", {"closes": isinstance(goal, Grasp)})

    monkeypatch.setitem(gripper_actions.WORDS, "forgetful", ("forgetful", ("Order", "Homing"), words))
    node: Any = SimpleNamespace(acting=lambda kind, name: driver, complain=complaints.append)
    adapter: Any = SimpleNamespace(kind="forgetful", topic="/gripper")
    return GripperActions(node, adapter, FR3.gripper, force=40.0, widths=False), driver, complaints


def test_a_driver_that_was_restarted_within_a_goal_is_told_the_next_one(
    forgetful: tuple[GripperActions, ForgetfulDriver, list[str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    actions, driver, complaints = forgetful
    now = [100.0]
    monkeypatch.setattr(gripper_actions.time, "monotonic", lambda: now[0])
    for width in (*CLOSING, *OPENING):
        actions.tell(Opening(float(width)))
    assert driver.goals == [{"closes": True}] and not complaints
    now[0] += gripper_actions.LONGEST_S + 1.0
    actions.tell(Opening(0.08))
    assert driver.goals == [{"closes": True}, {"closes": False}] and "has not ended a goal" in complaints[0]
    driver.answers[0].set_result(None)  # what comes of the one that was given up
    actions._on_answer(1, driver.answers[0])
    assert actions._under_way, "the second is still to end"


def test_what_waits_for_the_gripper_is_forgotten_when_nobody_moves_the_arm_any_more(
    forgetful: tuple[GripperActions, ForgetfulDriver, list[str]],
) -> None:
    actions, driver, _ = forgetful
    driver.ready = False
    for width in CLOSING:
        actions.tell(Opening(float(width)))
    assert not actions.home().ok
    actions.forget()
    driver.ready = True
    actions.tell(Opening(0.03))  # engaged again, with the fingers where somebody has put them
    assert driver.goals == []


def test_a_missing_package_is_named(spun: tuple[ManagedNode, Any]) -> None:
    for spec, kind in ((FR3, "franka_gripper"), (UR5E, "gripper_command")):
        if importlib.util.find_spec(WORDS[kind][0]) is not None:
            continue
        adapter = make_gripper_adapter(spec, kind)
        assert isinstance(adapter, GripperOpening)
        with pytest.raises(SparkError, match=WORDS[kind][0]):
            GripperActions(spun[0], adapter, spec.gripper, 40.0, False)


@pytest.mark.parametrize(("spec", "kind"), [(FR3, "franka_gripper"), (UR5E, "gripper_command")])
def test_goals_have_the_fields_that_the_drivers_know(spec: Any, kind: str) -> None:
    package, _, words = WORDS[kind]
    module = pytest.importorskip(f"{package}.action", reason=f"{package} comes with the vendor's ROS workspace only")
    for goal in (Grasp(), Move(0.05)):
        order = words(goal, spec.gripper, 40.0)
        gripper_actions._filled(getattr(module, order.type_name).Goal(), order.fields)


def test_goals_in_the_drivers_words() -> None:
    close, move = (WORDS["franka_gripper"][2](goal, FR3.gripper, 40.0) for goal in (Grasp(), Move(0.05)))
    assert close.type_name == "Grasp" and set(close.fields) == {"width", "epsilon", "speed", "force"}
    assert set(close.fields["epsilon"]) == {"inner", "outer"} and close.fields["force"] == 40.0
    assert (move.type_name, move.fields) == ("Move", {"width": 0.05, "speed": FR3.gripper.max_speed})
    close, move = (WORDS["gripper_command"][2](goal, UR5E.gripper, 40.0) for goal in (Grasp(), Move(0.085)))
    assert close.fields["command"] == {"position": pytest.approx(UR5E.gripper.closed), "max_effort": 40.0}
    assert move.fields["command"]["position"] == pytest.approx(UR5E.gripper.open)


@pytest.mark.skipif(importlib.util.find_spec("franka_msgs") is not None, reason="franka_msgs is installed")
def test_a_gateway_whose_gripper_needs_a_missing_package_refuses_to_start(graph: GraphUnderTest) -> None:
    gateway = graph.start("gateway", gripper_interface="franka_gripper")
    assert not graph.change("gateway", Transition.TRANSITION_CONFIGURE)
    gateway.wait_for("needs the package franka_msgs")
