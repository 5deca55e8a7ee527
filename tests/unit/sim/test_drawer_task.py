from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from expert_episode import run_expert

from spark_ros.sim.registry import make_expert
from spark_ros.sim.tasks import drawer
from spark_ros.sim.world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World("drawer", render=False)
    yield world
    world.close()


@pytest.mark.parametrize(("seed", "perturb"), [(0, False), (1, False), (2, True), (3, True)])
def test_the_expert_opens_the_drawer_and_hardly_moves_the_cabinet(world: World, seed: int, perturb: bool) -> None:
    world.reset(seed)
    before = np.array(world.task._cabinet.pose(world._data))
    episode = run_expert(world, seed, perturb)
    assert episode.success and episode.duration_s < world.task.max_duration_s - 1.0
    assert world.task_state()["opening"] >= drawer.OPEN
    np.testing.assert_allclose(world.task._cabinet.pose(world._data), before, atol=0.04 if perturb else 0.01)
    assert all(teleop.imitate for teleop in episode.inputs) is not perturb


def test_the_cabinet_stands_anywhere_in_its_range_with_its_drawer_shut(world: World) -> None:
    poses = []
    for seed in range(60):
        world.reset(seed)
        state = world.task_state()
        poses.append([*state["cabinet_position"][:2], state["cabinet_yaw"]])
        assert state["opening"] == 0.0 and not state["held"]
    low, high = np.array([drawer.X_RANGE, drawer.Y_RANGE, drawer.YAW_RANGE]).T
    slack = 0.1 * (high - low)
    assert np.all(np.min(poses, axis=0) >= low) and np.all(np.min(poses, axis=0) <= low + slack)
    assert np.all(np.max(poses, axis=0) <= high) and np.all(np.max(poses, axis=0) >= high - slack)


def test_the_handle_moves_with_the_drawer_along_the_cabinets_axis(world: World) -> None:
    world.reset(1)
    shut = world.task_state()
    world._data.qpos[world.task._slide] = 0.1
    world.step(0.01)
    opened = world.task_state()
    yaw = shut["cabinet_yaw"]
    way = np.array(opened["handle_position"]) - shut["handle_position"]
    np.testing.assert_allclose(way, [-0.1 * np.sin(yaw), 0.1 * np.cos(yaw), 0.0], atol=2e-3)


@pytest.mark.parametrize(("opening", "done"), [(drawer.OPEN - 0.01, False), (drawer.OPEN + 0.01, True)])
def test_success_is_an_open_drawer(world: World, opening: float, done: bool) -> None:
    world.reset(1)
    world._data.qpos[world.task._slide] = opening
    world.step(0.5)
    assert world.success() is done


def test_nothing_moves_by_itself(world: World) -> None:
    world.reset(3)
    before = world.snapshot().qpos[9:]
    world.step(1.0)
    np.testing.assert_allclose(world.snapshot().qpos[9:], before, atol=1e-6)


def test_the_expert_has_no_memory(world: World) -> None:
    world.reset(2)
    old = make_expert("drawer", world)
    for stamp in range(20):
        old.act(stamp)
        world.command(world.spec.home + 0.01 * stamp, 0.05)
        world.step(0.05)
        np.testing.assert_array_equal(old.act(stamp).twist, make_expert("drawer", world).act(stamp).twist)
