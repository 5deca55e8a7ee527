"""Whatever the arm is told, its links keep their distance from each other and from the table."""

import numpy as np
import pytest

from spark_ros.contracts import SparkError
from spark_ros.control.collision_guard import CollisionGuard
from spark_ros.control.config import GatewayConfig
from spark_ros.control.limiter import Limiter
from spark_ros.robots.clearance import Clearance
from spark_ros.robots.spec import load_robot

PERIOD, MARGIN = 0.01, 0.02
POINTS = np.linspace(0, 1, 41)


def rotation(rpy):
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    return np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]]) @ y @ x


def slow_clearance(spec, q):
    """The smallest distance by brute force, with points along every capsule; a little more than the truth."""
    turned, at = np.eye(3), np.zeros(3)
    frames = [(turned, at)]
    for origin, angle in zip(spec.joint_origins, q, strict=True):
        at = at + turned @ origin.xyz
        turned = turned @ rotation(origin.rpy) @ rotation(np.array([0.0, 0.0, angle]))
        frames.append((turned, at))
    shapes, least = spec.collision, np.inf
    touching = {frozenset(pair) for pair in shapes.touching}
    bodies = []
    for capsule in shapes.capsules:
        turned, at = frames[capsule.link]
        line = capsule.start + POINTS[:, None] * (capsule.end - capsule.start)
        bodies.append((capsule, line @ turned.T + at))
    for i, (one, line) in enumerate(bodies):
        if one.table and one.link > 0:
            least = min(least, line[:, 2].min() - one.radius - shapes.table_z)
        for other, far in bodies[i + 1 :]:
            if abs(one.link - other.link) < 2 or frozenset((one.link, other.link)) in touching:
                continue
            gap = np.linalg.norm(line[:, None] - far[None], axis=2).min() - one.radius - other.radius
            least = min(least, gap)
    return least


@pytest.fixture
def clearance(fr3):
    return Clearance(fr3)


@pytest.fixture
def limiter(fr3, clearance):
    return Limiter(fr3, GatewayConfig(), guard=CollisionGuard(clearance, MARGIN).permits)


def clear_posture(spec, clearance, rng):
    while True:
        q = rng.uniform(spec.limits.position_lower + 0.1, spec.limits.position_upper - 0.1)
        if clearance.distance(q.tolist()) > MARGIN + 0.01:
            return q


@pytest.mark.parametrize("name", ["fr3", "ur5e"])
def test_distances_are_those_of_a_slow_computation(name):
    spec = load_robot(name)
    clearance = Clearance(spec)
    rng = np.random.default_rng(0)
    for _ in range(40):
        q = rng.uniform(spec.limits.position_lower, spec.limits.position_upper)
        slow = slow_clearance(spec, q)
        if slow > 0:  # where capsules overlap, points on their axes say less
            assert slow - 0.004 <= clearance.distance(q.tolist()) <= slow + 1e-6


@pytest.mark.parametrize("name", ["fr3", "ur5e"])
def test_no_distance_changes_faster_than_its_levers_say(name):
    spec = load_robot(name)
    clearance = Clearance(spec)
    rng = np.random.default_rng(1)
    for _ in range(300):
        q = rng.uniform(spec.limits.position_lower, spec.limits.position_upper)
        change = rng.normal(0, 0.05, len(q))
        moved = abs(clearance.distance((q + change).tolist()) - clearance.distance(q.tolist()))
        assert moved <= np.abs(change) @ clearance.levers + 1e-9


def test_home_is_far_from_everything(fr3, clearance):
    assert clearance.distance(fr3.home.tolist()) > 0.1


@pytest.mark.parametrize(("name", "seed"), [*(("fr3", seed) for seed in range(5)), ("ur5e", 0), ("ur5e", 1)])
def test_targets_inside_the_arm_or_the_table_end_before_contact(name, seed):
    spec = load_robot(name)
    clearance = Clearance(spec)
    limiter = Limiter(spec, GatewayConfig(), guard=CollisionGuard(clearance, MARGIN).permits)
    rng = np.random.default_rng(seed)
    limiter.reset(clear_posture(spec, clearance, rng))
    closest = np.inf
    for step in range(900):
        if step % 90 == 0:
            target = rng.uniform(spec.limits.position_lower, spec.limits.position_upper)
            if step % 180 == 0:
                while clearance.distance(target.tolist()) > 0:
                    target = rng.uniform(spec.limits.position_lower, spec.limits.position_upper)
        setpoint = limiter.track(target, rng.normal(0, 1, len(target)), PERIOD)
        closest = min(closest, slow_clearance(spec, setpoint.position) if step % 5 == 0 else np.inf)
        assert clearance.distance(setpoint.position.tolist()) > MARGIN - 0.003
    assert closest > MARGIN - 0.003


def test_a_stop_on_the_way_to_contact_keeps_the_margin_too(fr3, clearance, limiter):
    rng = np.random.default_rng(11)
    for _ in range(6):
        limiter.reset(clear_posture(fr3, clearance, rng))
        target = rng.uniform(fr3.limits.position_lower, fr3.limits.position_upper)
        for _ in range(int(rng.integers(10, 60))):
            limiter.track(target, np.zeros(7), PERIOD)
        while not limiter.at_rest:
            limiter.stop(PERIOD)
            assert clearance.distance(limiter.setpoint.position.tolist()) > MARGIN - 0.003


def test_an_arm_that_starts_within_the_margin_may_leave_it_and_comes_no_closer(fr3, clearance, limiter):
    rng = np.random.default_rng(5)
    while True:
        start = rng.uniform(fr3.limits.position_lower + 0.1, fr3.limits.position_upper - 0.1)
        if 0.002 < clearance.distance(start.tolist()) < 0.5 * MARGIN:
            break
    begin = clearance.distance(start.tolist())
    limiter.reset(start)
    for _ in range(300):
        setpoint = limiter.track(fr3.home, np.zeros(7), PERIOD)
        assert clearance.distance(setpoint.position.tolist()) > begin - 0.001
    for _ in range(200):
        limiter.track(start + 0.5, np.zeros(7), PERIOD)
    assert clearance.distance(limiter.setpoint.position.tolist()) > begin - 0.001


def test_near_nothing_the_guard_changes_nothing(fr3, clearance, limiter):
    free = Limiter(fr3, GatewayConfig())
    for step in range(300):
        q = fr3.home + 0.2 * np.sin(0.02 * step + np.arange(7))
        guarded, unguarded = limiter.track(q, np.zeros(7), PERIOD), free.track(q, np.zeros(7), PERIOD)
        np.testing.assert_array_equal(guarded.position, unguarded.position)


def test_the_capsules_hold_every_vertex_of_the_arms_meshes(fr3):
    mujoco, franky_sim = pytest.importorskip("mujoco"), pytest.importorskip("franky_sim")
    from pathlib import Path

    assets = Path(franky_sim.__file__).parent / "assets"
    spec = mujoco.MjSpec.from_file(str(assets / "fr3.xml"))
    spec.meshdir = "meshes"
    model = spec.compile()
    links = {"hand": 7, **{f"fr3_link{link}": link for link in range(8)}}
    hand = rotation(np.array([0, 0, -np.pi / 4])), np.array([0, 0, 0.107])
    checked = 0
    for geom in range(model.ngeom):
        body, mesh = model.body(model.geom_bodyid[geom]).name, model.geom_dataid[geom]
        if body not in links or model.geom_type[geom] != mujoco.mjtGeom.mjGEOM_MESH:
            continue
        first = model.mesh_vertadr[mesh]
        vertices = model.mesh_vert[first : first + model.mesh_vertnum[mesh]]
        turn = np.zeros(9)
        mujoco.mju_quat2Mat(turn, model.geom_quat[geom])
        vertices = vertices @ turn.reshape(3, 3).T + model.geom_pos[geom]
        if body == "hand":
            vertices = vertices @ hand[0].T + hand[1]
        outside = np.full(len(vertices), np.inf)
        for capsule in fr3.collision.capsules:
            if capsule.link == links[body]:
                along = capsule.end - capsule.start
                part = np.clip((vertices - capsule.start) @ along / (along @ along), 0, 1)
                gap = np.linalg.norm(vertices - capsule.start - part[:, None] * along, axis=1) - capsule.radius
                outside = np.minimum(outside, gap)
        assert outside.max() < 0.001, f"{body}: {outside.max():.4f} m"
        checked += 1
    assert checked >= 9


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ("table_z: 0.0", "table: 0.0"),
        ("radius: 0.117", "radius: -1"),
        ("{link: 7, from: [0.033", "{link: 8, from: [0.033"),
        ("from: [0.033, 0.033, 0.082]", "from: [0.033, 0.033]"),
    ],
)
def test_a_description_of_a_shape_that_makes_no_sense_is_refused(tmp_path, old, new):
    from importlib import resources

    text = (resources.files("spark_ros.robots") / "specs" / "fr3.yaml").read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "arm.yaml"
    path.write_text(text.replace(old, new), encoding="utf-8")
    with pytest.raises(SparkError, match="robot description"):
        load_robot(path)
