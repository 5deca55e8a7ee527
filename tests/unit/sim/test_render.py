from __future__ import annotations

import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from spark_ros.contracts import SparkError
from spark_ros.sim.render import Renderer
from spark_ros.sim.scene import look_at
from spark_ros.sim.tasks import lift
from spark_ros.sim.world import World

ROOT = Path(__file__).resolve().parents[3]


@pytest.fixture(scope="module")
def world() -> Iterator[World]:
    world = World(image_size=128)
    yield world
    world.close()


def cube_pixels(image: np.ndarray) -> np.ndarray:
    """(N, 2) x, y of pixels as red as nothing but the cube."""
    red, green, blue = (image[..., channel].astype(int) for channel in range(3))
    rows, columns = np.nonzero((red > 60) & (red > 3 * green) & (red > 3 * blue))
    return np.stack([columns, rows], axis=1)


def place_cube(world: World, x: float, y: float, yaw: float) -> None:
    address = world.task._cube._address
    world._data.qpos[address : address + 2] = [x, y]
    world._data.qpos[address + 3 : address + 7] = [np.cos(yaw / 2), 0.0, 0.0, np.sin(yaw / 2)]


@pytest.mark.parametrize("x", lift.X_RANGE)
@pytest.mark.parametrize("y", lift.Y_RANGE)
def test_both_cameras_see_the_cube_at_the_start_wherever_it_lies(world: World, x: float, y: float) -> None:
    for seed in range(3):  # other starts of the arm
        world.reset(seed)
        place_cube(world, x, y, 0.3)
        assert len(cube_pixels(world.render("front"))) > 80
        assert len(cube_pixels(world.render("wrist"))) > 15


def test_intrinsics_project_the_cube_onto_its_pixels(world: World) -> None:
    world.reset(4)
    camera = world.scene.cameras["front"]
    axes = look_at(np.array(camera.position), np.array(camera.target), np.array(camera.up))
    cube = np.array(world.task_state()["cube_position"])
    in_camera = axes.T @ (cube - camera.position)
    optical = in_camera * [1.0, -1.0, -1.0]  # OpenGL's camera looks along -z with y up
    pixel = world.camera_intrinsics("front") @ (optical / optical[2])
    seen = cube_pixels(world.render("front")).mean(axis=0)
    np.testing.assert_allclose(pixel[:2], seen, atol=1.5)


def test_the_same_state_gives_the_same_picture(world: World) -> None:
    world.reset(1)
    first = world.render("wrist")
    world.reset(2)
    assert np.any(world.render("wrist") != first)
    world.reset(1)
    np.testing.assert_array_equal(world.render("wrist"), first)
    assert first.shape == (128, 128, 3) and first.dtype == np.uint8


def test_another_thread_draws_a_snapshot_while_the_world_goes_on(world: World) -> None:
    world.reset(1)
    expected = world.render("front")
    snapshot = world.snapshot()
    pictures = []

    def draw() -> None:
        with Renderer(world.model, world.image_size) as renderer:
            pictures.append(renderer.render(snapshot, "front"))

    thread = threading.Thread(target=draw)
    thread.start()
    world.command(world.spec.home, 0.0)
    world.step(0.5)
    thread.join()
    np.testing.assert_array_equal(pictures[0], expected)


def test_a_renderer_refuses_a_second_thread(world: World) -> None:
    world.render("front")
    errors = []

    def draw() -> None:
        try:
            world.render("front")
        except SparkError as error:
            errors.append(str(error))

    thread = threading.Thread(target=draw)
    thread.start()
    thread.join()
    assert len(errors) == 1 and "each thread" in errors[0]


def test_an_unknown_camera_is_refused(world: World) -> None:
    with pytest.raises(SparkError, match="front"):
        world.render("rear")
    with pytest.raises(SparkError, match="front"):
        world.camera_intrinsics("rear")


def test_missing_graphics_are_one_sentence_with_the_apt_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "mujoco.egl", None)
    monkeypatch.delenv("MUJOCO_GL", raising=False)
    world = World()
    world.step(0.1)  # physics does not care
    with pytest.raises(SparkError, match="apt-get install -y libegl1 libegl-mesa0 libgl1-mesa-dri"):
        world.render("front")
    world.close()


def test_a_program_that_forgets_to_close_ends_without_noise() -> None:
    code = "from spark_ros.sim.world import World\nworld = World(image_size=32)\nprint(world.render('front').shape)"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT)
    assert (result.returncode, result.stdout, result.stderr) == (0, "(32, 32, 3)\n", "")


def test_ctrl_c_while_graphics_open_leaves_a_renderer_that_closes_and_opens(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World(image_size=32)

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("spark_ros.sim.render.mujoco.MjrContext", interrupted)
        with pytest.raises(KeyboardInterrupt):
            world.render("front")
    world.close()
    assert world.render("front").any()
    world.close()
