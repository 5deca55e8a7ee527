from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest

from spark_ros.contracts import Pose, SparkError
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot
from spark_ros.sim import world as world_module
from spark_ros.sim.tasks import lift
from spark_ros.sim.world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World(render=False)
    yield world
    world.close()


def trace(world: World, seed: int) -> np.ndarray:
    """Everything an episode does while the arm is told to go to its home."""
    world.reset(seed)
    states = []
    for _ in range(20):
        world.command(world.spec.home, 0.03)
        world.step(0.01)
        states.append(world.snapshot().qpos)
    return np.array(states)


def test_the_same_seed_is_exactly_the_same_episode(world: World) -> None:
    first = trace(world, 7)
    other = trace(world, 8)
    np.testing.assert_array_equal(trace(world, 7), first)
    np.testing.assert_array_equal(trace(World(render=False), 7), first)
    assert np.abs(first - other).max() > 0.01


def test_the_cube_lies_anywhere_in_its_range_and_the_arm_starts_near_home(world: World) -> None:
    kinematics = Kinematics(world.spec)
    home = kinematics.forward(world.spec.home)
    cubes, tools = [], []
    for seed in range(60):
        world.reset(seed)
        state = world.task_state()
        cubes.append([*state["cube_position"][:2], state["cube_yaw"]])
        q = world.joint_state(0).select(world.spec.joint_names).position
        tools.append(kinematics.forward(q).position - home.position)
        assert not state["held"] and abs(state["lift"]) < 1e-6
    low, high = np.min(cubes, axis=0), np.max(cubes, axis=0)
    bounds = np.array([lift.X_RANGE, lift.Y_RANGE, lift.YAW_RANGE])
    size = bounds[:, 1] - bounds[:, 0]
    assert np.all(low >= bounds[:, 0]) and np.all(high <= bounds[:, 1])
    assert np.all(low <= bounds[:, 0] + 0.1 * size) and np.all(high >= bounds[:, 1] - 0.1 * size)
    assert 0.02 < np.abs(tools).max() < 0.07


def test_joints_carry_the_names_of_the_robot_specification(world: World) -> None:
    world.reset(0)
    joints = world.joint_state(5)
    assert joints.names == (*world.spec.joint_names, *world.spec.gripper.joint_names)
    assert joints.stamp_ns == 5
    assert world.spec.gripper.width(joints) == pytest.approx(world.spec.gripper.max_width)


def test_the_simulated_tool_is_where_the_kinematics_say(world: World) -> None:
    world.reset(3)
    q = world.joint_state(0).select(world.spec.joint_names).position
    pose = Kinematics(world.spec).forward(q)
    fingers = [world._data.body(name) for name in ("left_finger", "right_finger")]
    middle = np.mean([finger.xpos for finger in fingers], axis=0)
    down = fingers[0].xmat.reshape(3, 3)[:, 2]
    np.testing.assert_allclose(middle + (0.1034 - 0.0584) * down, pose.position, atol=1e-6)


def test_a_command_is_held_and_tracked_without_sag(world: World) -> None:
    world.reset(0)
    kinematics = Kinematics(world.spec)
    target = Pose(np.array([0.5, 0.1, 0.2]), kinematics.forward(world.spec.home).quaternion)
    q, _ = kinematics.solve(target, world.spec.home)
    world.command(q, 0.04)
    world.step(1.5)
    joints = world.joint_state(0)
    error = joints.select(world.spec.joint_names).position - q
    assert np.abs(error).max() < 1e-3
    assert world.spec.gripper.width(joints) == pytest.approx(0.04, abs=1e-3)
    assert np.abs(joints.velocity).max() < 1e-3


def test_a_moving_setpoint_is_followed_with_the_lag_of_a_real_arm(world: World) -> None:
    world.reset(0)
    start = world.joint_state(0).select(world.spec.joint_names).position
    speed = 0.3
    for tick in range(1, 101):
        world.command(start + speed * 0.01 * tick * np.ones(7), 0.08)
        world.step(0.01)
    gap = start + speed * np.ones(7) - world.joint_state(0).select(world.spec.joint_names).position
    assert np.all(np.abs(gap / speed - 0.035) < 0.015)


def test_time_that_fills_no_whole_step_is_carried_over(world: World) -> None:
    world.reset(0)
    for _ in range(100):
        world.step(0.0033)
    assert world.time_s == pytest.approx(0.33, abs=1e-9)


def test_a_cube_in_the_air_that_nobody_holds_is_no_success(world: World) -> None:
    world.reset(0)
    for _ in range(50):
        address = world.task._cube._address
        world._data.qpos[address + 2] = 0.3
        world._data.qvel[:] = 0.0
        world.step(0.01)
    assert world.task_state()["lift"] > lift.LIFT_HEIGHT
    assert not world.task_state()["held"]
    assert not world.success()


@pytest.mark.parametrize("q", [np.zeros(6), np.full(7, np.nan)])
def test_a_broken_command_is_refused_and_the_last_one_stays(world: World, q: np.ndarray) -> None:
    world.reset(0)
    before = world._data.ctrl.copy()
    with pytest.raises(SparkError):
        world.command(q, 0.04)
    with pytest.raises(SparkError):
        world.command(world.spec.home, float("nan"))
    np.testing.assert_array_equal(world._data.ctrl, before)


def test_a_command_beyond_the_limits_is_clamped(world: World) -> None:
    world.reset(0)
    world.command(np.full(7, 9.0), 1.0)
    np.testing.assert_allclose(world._data.ctrl[:7], world.spec.limits.position_upper)
    assert world._data.ctrl[7:].sum() == pytest.approx(world.spec.gripper.max_width)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"task": "juggle"}, "lift"),
        ({"robot": "r2d2"}, "fr3"),
        ({"cameras": ["front", "back"]}, "wrist"),
        ({"image_size": 0}, "pixels"),
    ],
)
def test_an_unknown_name_is_refused_with_what_there_is(arguments: dict, named: str) -> None:
    with pytest.raises(SparkError, match=named):
        World(render=False, **arguments)


def test_a_negative_seed_is_refused(world: World) -> None:
    with pytest.raises(SparkError, match="non-negative"):
        world.reset(-1)


def test_a_world_without_pictures_says_so(world: World) -> None:
    with pytest.raises(SparkError, match="render=True"):
        world.render("front")


def test_joints_of_another_name_are_refused_in_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    spec = load_robot("fr3")
    renamed = tuple(name.replace("fr3", "arm") for name in spec.joint_names)
    monkeypatch.setattr(world_module, "load_robot", lambda name: replace(spec, joint_names=renamed))
    with pytest.raises(SparkError, match=r"robot fr3 has joints arm_joint1, .* its simulated arm has .*fr3_joint1"):
        World(render=False)
