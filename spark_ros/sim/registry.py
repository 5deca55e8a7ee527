"""Arms, tasks and experts by name: adding one is one file in its folder and one line here."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TypeVar

from spark_ros.contracts import SparkError
from spark_ros.sim.arms import fr3, ur5e
from spark_ros.sim.arms.base import ArmModel
from spark_ros.sim.experts.base import Expert, ExpertWorld
from spark_ros.sim.experts.drawer import DrawerExpert
from spark_ros.sim.experts.lift import LiftExpert
from spark_ros.sim.experts.place import PlaceExpert
from spark_ros.sim.tasks.base import Task
from spark_ros.sim.tasks.drawer import DrawerTask
from spark_ros.sim.tasks.lift import LiftTask
from spark_ros.sim.tasks.place import PlaceTask

ARMS: dict[str, Callable[[], ArmModel]] = {"fr3": fr3.load, "ur5e": ur5e.load}
TASKS: dict[str, Callable[[], Task]] = {"lift": LiftTask, "place": PlaceTask, "drawer": DrawerTask}
EXPERTS: dict[str, Callable[[ExpertWorld, int, bool], Expert]] = {
    "lift": LiftExpert,
    "place": PlaceExpert,
    "drawer": DrawerExpert,
}

Entry = TypeVar("Entry")


def make_arm(name: str) -> ArmModel:
    """A fresh, editable model of the arm.

    Raises:
        SparkError: There is no simulation of this arm, or its model is not installed.
    """
    return _look_up("simulated arm", ARMS, name)()


def make_task(name: str) -> Task:
    """A task, not yet bound to a world.

    Raises:
        SparkError: There is no such task.
    """
    return _look_up("task", TASKS, name)()


def make_expert(task: str, world: ExpertWorld, seed: int = 0, perturb: bool = False) -> Expert:
    """The scripted operator of a task.

    Args:
        task: Name of the task.
        world: A `World`, or whatever else reports its state, e.g. from topics.
        seed: For the perturbations.
        perturb: Whether to leave the way on purpose now and then, to show how to come back.

    Raises:
        SparkError: There is no expert for this task.
    """
    return _look_up("expert", EXPERTS, task)(world, seed, perturb)


def _look_up(what: str, entries: Mapping[str, Entry], name: str) -> Entry:
    if name not in entries:
        raise SparkError(f"unknown {what} '{name}': choose one of {', '.join(sorted(entries))}")
    return entries[name]
