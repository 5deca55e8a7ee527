import pytest

from spark_ros.evaluation.cell import Cell
from spark_ros.sim.world import World


@pytest.fixture(scope="session")
def small_world():
    """Shared, because compiling a world takes half a second; every episode resets it."""
    world = World(image_size=32)
    yield world
    world.close()


@pytest.fixture
def cell(small_world):
    return Cell(small_world)
