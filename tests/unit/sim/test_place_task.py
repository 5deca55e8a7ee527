from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from expert_episode import run_expert

from spark_ros.sim.registry import make_expert
from spark_ros.sim.tasks import place
from spark_ros.sim.world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World("place", render=False)
    yield world
    world.close()


def put_cube(world: World, x: float, y: float, z: float) -> None:
    """There, at rest and flat."""
    address = world.task._cube._address
    world._data.qpos[address : address + 7] = [x, y, z, 1.0, 0.0, 0.0, 0.0]
    world._data.qvel[:] = 0.0


@pytest.mark.parametrize(("seed", "perturb"), [(0, False), (1, False), (2, True), (3, True)])
def test_the_expert_puts_the_cube_into_the_bin_and_leaves(world: World, seed: int, perturb: bool) -> None:
    world.reset(seed)
    episode = run_expert(world, seed, perturb)
    assert episode.success and episode.duration_s < world.task.max_duration_s - 1.0
    state = world.task_state()
    assert state["in_bin"] and not state["held"]
    assert world.spec.gripper.width(world.joint_state(0)) >= place.OPEN
    assert all(teleop.imitate for teleop in episode.inputs) is not perturb


def test_cube_and_bin_lie_anywhere_in_their_ranges_and_never_touch(world: World) -> None:
    cubes, bins = [], []
    for seed in range(60):
        world.reset(seed)
        state = world.task_state()
        cubes.append(state["cube_position"][:2])
        bins.append([*state["bin_position"][:2], state["bin_yaw"]])
        gap = np.hypot(*(np.array(bins[-1][:2]) - cubes[-1]))
        assert gap > 0.75 * place.INNER + 0.045 and not state["in_bin"]
    for drawn, ranges in (
        (cubes, [place.X_RANGE, place.Y_RANGE]),
        (bins, [place.BIN_X_RANGE, place.BIN_Y_RANGE, place.BIN_YAW_RANGE]),
    ):
        low, high = np.array(ranges).T
        slack = 0.1 * (high - low)
        assert np.all(np.min(drawn, axis=0) >= low) and np.all(np.min(drawn, axis=0) <= low + slack)
        assert np.all(np.max(drawn, axis=0) <= high) and np.all(np.max(drawn, axis=0) >= high - slack)


@pytest.mark.parametrize(
    ("along", "height", "width", "done"),
    [
        (0.0, 0.0275, 0.08, True),  # in the bin, hand open and high
        (0.0, 0.0275, 0.02, False),  # hand closed
        (0.0, 0.15, 0.08, False),  # above the bin
        (0.15, 0.0225, 0.08, False),  # beside it
    ],
)
def test_success_is_a_cube_in_the_bin_and_an_open_hand_above(
    world: World, along: float, height: float, width: float, done: bool
) -> None:
    world.reset(4)
    x, y, _ = world.task_state()["bin_position"]
    q = world.joint_state(0).select(world.spec.joint_names).position
    world.command(q, width)
    world.step(0.5)
    for _ in range(50):
        put_cube(world, x - along, y, height)
        world.step(0.01)
    assert world.success() is done


def test_a_hand_that_is_still_low_has_not_left(world: World) -> None:
    world.reset(4)
    x, y, _ = world.task_state()["bin_position"]
    put_cube(world, x, y, 0.0275)
    world.step(0.01)
    assert world.task_state()["in_bin"]
    world.task._grip.tool_height = lambda data: place.CLEAR - 0.01  # type: ignore[method-assign]
    try:
        assert not world.task.is_done(world._data)
    finally:
        del world.task._grip.tool_height
    assert world.task.is_done(world._data)


def test_a_bump_does_not_throw_the_bin(world: World) -> None:
    world.reset(6)
    before = np.array(world.task._bin.pose(world._data))
    body = world.model.body("bin").id
    world._data.xfrc_applied[body, :2] = [20.0, 20.0]  # 28 N, for half a second
    world.step(0.5)
    world._data.xfrc_applied[:] = 0.0
    np.testing.assert_allclose(world.task._bin.pose(world._data), before, atol=0.01)


def test_the_expert_has_no_memory(world: World) -> None:
    world.reset(2)
    old = make_expert("place", world)
    for stamp in range(20):
        old.act(stamp)
        world.command(world.spec.home + 0.01 * stamp, 0.05)
        world.step(0.05)
        np.testing.assert_array_equal(old.act(stamp).twist, make_expert("place", world).act(stamp).twist)
