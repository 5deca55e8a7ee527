from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from expert_episode import run_expert

from spark_ros.contracts import SparkError
from spark_ros.sim import distractors, shifts
from spark_ros.sim.render import Renderer
from spark_ros.sim.shifts import SHIFTS
from spark_ros.sim.tasks import cube
from spark_ros.sim.world import World

SHIFTED = [name for name in SHIFTS if name != "nominal"]
SIZE = 64


@pytest.fixture(scope="module")
def nominal() -> Iterator[World]:
    world = World(image_size=SIZE)
    yield world
    world.close()


@pytest.fixture(scope="module", params=SHIFTED)
def shifted(request: pytest.FixtureRequest) -> Iterator[World]:
    world = World(image_size=SIZE, shift=request.param)
    yield world
    world.close()


def pictures(world: World) -> dict[str, np.ndarray]:
    return {name: world.render(name).astype(int) for name in world.camera_names}


def trace(world: World, seed: int) -> np.ndarray:
    """The arm, then the cube, while the arm grasps where it stands."""
    world.reset(seed)
    states = []
    for tick in range(20):
        world.command(world.spec.home, 0.004 * tick)
        world.step(0.01)
        states.append(world.snapshot().qpos)
    return np.array(states)


def test_every_shift_is_seen_by_both_cameras_on_every_seed(nominal: World, shifted: World) -> None:
    for seed in range(4):
        nominal.reset(seed)
        shifted.reset(seed)
        before, after = pictures(nominal), pictures(shifted)
        for camera in before:
            changed = np.abs(after[camera] - before[camera]).max(axis=-1) > 12
            assert changed.sum() >= 4, f"{shifted.shift.name} {camera} seed {seed}"


def test_a_seed_has_the_same_layout_under_every_shift(nominal: World, shifted: World) -> None:
    for seed in (3, 11):
        nominal.reset(seed)
        shifted.reset(seed)
        ours, theirs = nominal.task_state(), shifted.task_state()
        assert ours["cube_position"][:2] == theirs["cube_position"][:2]
        assert ours["cube_yaw"] == theirs["cube_yaw"]
        assert abs(theirs["lift"]) < 1e-9, "a resized cube still rests on the table"
        np.testing.assert_array_equal(nominal.joint_state(0).position, shifted.joint_state(0).position)


def test_all_but_the_size_leave_the_physics_alone(nominal: World, shifted: World) -> None:
    if shifted.shift.name == "cube_size":
        assert not np.array_equal(trace(nominal, 5), trace(shifted, 5))
    else:
        np.testing.assert_array_equal(trace(nominal, 5), trace(shifted, 5))


def test_a_shifted_episode_belongs_to_its_seed_whatever_came_before(shifted: World) -> None:
    shifted.reset(1)
    first = pictures(shifted)
    shifted.reset(2)
    other = pictures(shifted)
    shifted.reset(1)
    again = pictures(shifted)
    for camera in first:
        np.testing.assert_array_equal(again[camera], first[camera])
        assert np.any(other[camera] != first[camera])


def test_a_renderer_of_its_own_draws_what_the_world_draws(shifted: World) -> None:
    shifted.reset(1)
    late = Renderer(shifted.model, SIZE)  # made when the model has been changed already
    shifted.reset(2)
    with late:
        np.testing.assert_array_equal(late.render(shifted.snapshot(), "front"), shifted.render("front"))


def test_nominal_is_the_world_without_any_shift(nominal: World) -> None:
    nominal.reset(1)
    assert nominal.snapshot().look is None
    for name in ("cube_colour", "camera"):  # another world in the same process leaves no trace
        before = pictures(nominal)
        other = World(image_size=SIZE, shift=name)
        other.reset(1)
        other.render("front")
        other.close()
        np.testing.assert_array_equal(pictures(nominal)["front"], before["front"])


def test_a_resized_cube_is_the_model_compiled_with_that_size(monkeypatch: pytest.MonkeyPatch) -> None:
    scale = 1.2
    resized = World(render=False)
    for name, values in shifts._resized(resized.model, "cube", scale).items():
        getattr(resized.model, name)[...] = values
    monkeypatch.setattr(cube, "EDGE", scale * cube.EDGE)
    monkeypatch.setattr(cube, "MASS", scale**3 * cube.MASS)
    compiled = World(render=False)
    for name in shifts.SIZE_FIELDS:
        expected = getattr(compiled.model, name)
        np.testing.assert_allclose(getattr(resized.model, name), expected, rtol=1e-9, atol=1e-12, err_msg=name)


def test_cube_sizes_are_never_nominal_and_always_fit_the_hand() -> None:
    world = World(render=False, shift="cube_size")
    edges = []
    for seed in range(40):
        world.reset(seed)
        edges.append(2 * world.task._cube.half_edge)
    edges = np.array(edges)
    assert np.all(np.abs(edges - cube.EDGE) > 0.005)
    assert 0.03 < edges.min() < 0.035 and 0.055 < edges.max() < 0.06 < world.spec.gripper.max_width


def test_distractors_keep_clear_of_the_tasks_objects_and_of_each_other() -> None:
    world = World(render=False, shift="distractors")
    counts = set()
    for seed in range(40):
        world.reset(seed)
        x, y, _ = world.task_state()["cube_position"]
        bodies = [world.model.body(distractors._name(i)) for i in range(len(distractors.KINDS))]
        circles = [
            (*body.pos[:2], kind[3]) for body, kind in zip(bodies, distractors.KINDS, strict=True) if body.pos[2] > 0
        ]
        counts.add(len(circles))
        for number, (px, py, radius) in enumerate(circles):
            assert np.hypot(px - x, py - y) > radius + cube.ROOM
            for qx, qy, other in circles[:number]:
                assert np.hypot(px - qx, py - qy) > radius + other
    assert counts == {2, 3, 4}


def test_the_expert_lifts_cubes_of_other_sizes() -> None:
    world = World(render=False, shift="cube_size")
    for seed in range(3):
        world.reset(seed)
        assert run_expert(world).success


def test_an_unknown_shift_is_refused_with_what_there_is() -> None:
    with pytest.raises(SparkError, match="nominal, light"):
        World(render=False, shift="fog")


@pytest.mark.parametrize("task", ["place", "drawer"])
@pytest.mark.parametrize("name", SHIFTED)
def test_the_other_tasks_have_their_layouts_and_physics_under_every_shift(task: str, name: str) -> None:
    nominal, shifted = World(task, render=False), World(task, render=False, shift=name)
    ours, theirs = trace(nominal, 7), trace(shifted, 7)
    if name == "cube_size":
        assert ours.shape == theirs.shape
    else:
        np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("task", ["place", "drawer"])
def test_both_cameras_see_the_main_object_of_the_other_tasks_at_the_start(task: str) -> None:
    world = World(task, image_size=112)
    for seed in range(12):
        world.reset(seed)
        for camera in world.camera_names:
            red, green, blue = np.moveaxis(world.render(camera).astype(int), -1, 0)
            assert np.sum((red > 60) & (red > 3 * green) & (red > 3 * blue)) > 8, f"{camera} seed {seed}"
    world.close()
