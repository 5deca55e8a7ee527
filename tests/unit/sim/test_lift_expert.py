from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from expert_episode import run_expert

from spark_ros.contracts import Pose, SparkError
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import multiply_quaternions, quaternion_from_rotvec
from spark_ros.sim.experts import reaching
from spark_ros.sim.registry import make_expert
from spark_ros.sim.world import World


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World(render=False)
    yield world
    world.close()


def start_at(world: World, position: list[float], yaw: float, width: float) -> None:
    """Puts the arm there, at rest, pointing down."""
    kinematics = Kinematics(world.spec)
    home = kinematics.forward(world.spec.home)
    quaternion = multiply_quaternions(quaternion_from_rotvec([0.0, 0.0, yaw]), home.quaternion)
    q, reached = kinematics.solve(Pose(np.array(position), quaternion), world.spec.home)
    assert reached
    world._data.qpos[world._positions] = world._controls_for(q, width)
    world.command(q, width)
    world.step(0.1)


@pytest.mark.parametrize("seed", range(4))
def test_the_expert_lifts_the_cube_through_the_gateway(world: World, seed: int) -> None:
    world.reset(seed)
    episode = run_expert(world)
    assert episode.success and episode.duration_s < 6.0
    assert all(teleop.imitate and teleop.deadman for teleop in episode.inputs)


@pytest.mark.parametrize("seed", range(4))
def test_the_expert_recovers_from_its_own_excursions(world: World, seed: int) -> None:
    world.reset(seed)
    episode = run_expert(world, seed, perturb=True)
    assert episode.success
    assert 0.5 < np.mean([teleop.imitate for teleop in episode.inputs]) < 0.95


@pytest.mark.parametrize(
    ("aside", "height", "yaw", "width"),
    [
        ((0.09, 0.0), 0.03, 0.0, 0.0),  # closed, low, in front of the cube
        ((0.0, -0.10), 0.03, 0.6, 0.08),  # open, low, beside the cube, turned
        ((0.0, 0.0), 0.10, 0.0, 0.0),  # closed, right above it
        ((-0.12, 0.12), 0.25, -0.9, 0.04),  # half open, turned far
    ],
)
def test_the_expert_knows_what_to_do_wherever_it_starts(
    world: World, aside: tuple[float, float], height: float, yaw: float, width: float
) -> None:
    world.reset(5)
    x, y, _ = world.task_state()["cube_position"]
    start_at(world, [x + aside[0], y + aside[1], height], yaw, width)
    assert run_expert(world).success


def test_the_same_seeds_give_the_same_demonstration(world: World) -> None:
    runs = []
    for _ in range(2):
        world.reset(9)
        runs.append(np.array(run_expert(world, 9, perturb=True).joints))
    np.testing.assert_array_equal(runs[0], runs[1])


def test_the_expert_has_no_memory(world: World) -> None:
    """An operator who has just arrived asks for the same as one who has been there from the start."""
    world.reset(2)
    old = make_expert("lift", world)
    for stamp in range(30):
        old.act(stamp)
        world.command(world.spec.home + 0.01 * stamp, 0.05)
        world.step(0.05)
        new = make_expert("lift", world).act(stamp)
        np.testing.assert_array_equal(old.act(stamp).twist, new.twist)


def test_the_expert_stays_within_its_speeds(world: World) -> None:
    world.reset(3)
    for teleop in run_expert(world).inputs:
        assert np.linalg.norm(teleop.twist[:3]) <= reaching.LINEAR_SPEED + 1e-9
        assert np.linalg.norm(teleop.twist[3:]) <= reaching.ANGULAR_SPEED + 1e-9


def test_the_grasp_is_never_more_than_an_eighth_turn_away() -> None:
    for cube_yaw in np.linspace(-np.pi / 4, np.pi / 4, 19):
        for present in np.linspace(-0.5, 0.5, 11):
            c, s = np.cos(present), np.sin(present)
            axes = np.array([[c, s, 0.0], [s, -c, 0.0], [0.0, 0.0, -1.0]])
            grasp = reaching.grasp_axes(axes, cube_yaw)
            turn = np.arccos(np.clip((np.trace(grasp @ axes.T) - 1) / 2, -1, 1))
            assert turn <= np.pi / 4 + 1e-6
            assert np.linalg.det(grasp) == pytest.approx(1.0)


def test_an_unknown_task_has_no_expert(world: World) -> None:
    with pytest.raises(SparkError, match="lift"):
        make_expert("juggle", world)
