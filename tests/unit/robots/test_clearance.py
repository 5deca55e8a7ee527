"""Distances between capsules are those that coal computes."""

from dataclasses import replace

import coal
import numpy as np
import pytest

from spark_ros.contracts import SparkError
from spark_ros.robots.chain import Chain
from spark_ros.robots.clearance import Clearance
from spark_ros.robots.shapes import Capsule
from spark_ros.robots.spec import load_robot, robot_names


def by_coal(spec, q):
    """The smallest distance, pair by pair."""
    chain, shapes = Chain(spec), spec.collision
    chain.place(q.tolist())
    frames = np.array(chain.frames).reshape(-1, 12)
    placed = []
    for capsule in shapes.capsules:
        turned, at = frames[capsule.link][:9].reshape(3, 3).T, frames[capsule.link][9:]
        start, end = (turned @ point + at for point in (capsule.start, capsule.end))
        placed.append((capsule, start, end))
    touching, least = {frozenset(pair) for pair in shapes.touching}, np.inf
    for n, (one, *ends) in enumerate(placed):
        if one.table and one.link > 0:
            least = min(least, min(end[2] for end in ends) - one.radius - shapes.table_z)
        for other, *far in placed[n + 1 :]:
            if abs(one.link - other.link) > 1 and frozenset((one.link, other.link)) not in touching:
                least = min(least, apart(one.radius, *ends, other.radius, *far))
    return least


def apart(radius, start, end, other_radius, other_start, other_end):
    shapes, places = [], []
    for r, a, b in ((radius, start, end), (other_radius, other_start, other_end)):
        along, length = b - a, np.linalg.norm(b - a)
        axis = along / length if length > 0 else np.array([0.0, 0.0, 1.0])
        aside = np.cross(axis, [1.0, 0.0, 0.0] if abs(axis[0]) < 0.9 else [0.0, 1.0, 0.0])
        aside /= np.linalg.norm(aside)
        shapes.append(coal.Capsule(r, length))
        places.append(coal.Transform3s(np.column_stack([aside, np.cross(axis, aside), axis]), (a + b) / 2))
    return coal.distance(shapes[0], places[0], shapes[1], places[1], coal.DistanceRequest(), coal.DistanceResult())


@pytest.fixture
def fr3():
    return load_robot("fr3")


@pytest.mark.parametrize("name", robot_names())
def test_distances_anywhere(name):
    spec = load_robot(name)
    clearance, rng, touching = Clearance(spec), np.random.default_rng(6), 0
    for _ in range(60):
        q = rng.uniform(spec.limits.position_lower, spec.limits.position_upper)
        expected = by_coal(spec, q)
        touching += expected < 0
        assert clearance.distance(q.tolist()) == pytest.approx(expected, abs=1e-6)
    assert 0 < touching < 60


ENDS = {
    "crossing": ([0.3, -0.2, 0.5], [0.3, 0.2, 0.5]),
    "along": ([0.2, 0.1, 0.4], [0.2, 0.1, 0.6]),
    "a point": ([0.2, 0.1, 0.5], [0.2, 0.1, 0.5]),
    "end to end": ([0.0, 0.0, 1.0], [0.0, 0.0, 1.4]),
    "far": ([2.0, 1.0, 0.4], [2.5, 1.0, 0.4]),
}


@pytest.mark.parametrize("still", ENDS)
@pytest.mark.parametrize("moved", ["upright", "a point"])
def test_capsules_in_every_relation(fr3, still, moved):
    """One in the base, one that the last joint carries, in a posture in which its frame lies somewhere askew."""
    q, radii = fr3.home + 0.3, (0.05, 0.02)
    chain = Chain(fr3)
    chain.place(q.tolist())
    frame = np.array(chain.frames).reshape(-1, 12)[7]
    turned, at = frame[:9].reshape(3, 3).T, frame[9:]
    start = np.array([0.0, 0.0, 0.3])
    ends = start, start + (np.array([0.0, 0.0, 0.4]) if moved == "upright" else 0.0)
    carried = Capsule(7, *(turned.T @ (end - at) for end in ends), radii[0], False)
    resting = Capsule(0, *map(np.array, ENDS[still]), radii[1], False)
    spec = replace(fr3, collision=replace(fr3.collision, capsules=(resting, carried), touching=()))
    expected = apart(radii[0], *ends, radii[1], resting.start, resting.end)
    assert Clearance(spec).closest(q.tolist()) == (pytest.approx(expected, abs=1e-6), "link 0", "link 7")


def test_an_arm_of_unknown_shape_is_refused(fr3):
    with pytest.raises(SparkError, match="no section 'collision'"):
        Clearance(replace(fr3, collision=None))
