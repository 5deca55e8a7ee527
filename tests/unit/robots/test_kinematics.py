"""Forward kinematics agrees with the maker's model; inverse kinematics finds what it can and says what it cannot."""

from importlib import resources
from xml.etree import ElementTree

import numpy as np
import pytest

from spark_ros.contracts import Pose
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import matrix_from_quaternion, multiply_quaternions, pose_distance, quaternion_from_rotvec
from spark_ros.robots.spec import load_robot

SPEC = load_robot("fr3")
KINEMATICS = Kinematics(SPEC)


def random_joints(rng, margin=0.0):
    return rng.uniform(SPEC.limits.position_lower + margin, SPEC.limits.position_upper - margin)


def test_forward_agrees_with_the_mujoco_model_of_the_arm():
    mujoco = pytest.importorskip("mujoco")
    assets = pytest.importorskip("franky_sim") and resources.files("franky_sim") / "assets"
    root = ElementTree.fromstring((assets / "fr3.xml").read_text())
    for parent in root.iter():  # the meshes play no part in kinematics and take seconds to load
        for child in list(parent):
            if child.tag == "mesh" or (child.tag == "geom" and "mesh" in child.attrib):
                parent.remove(child)
    hand = next(body for body in root.iter("body") if body.get("name") == "hand")
    ElementTree.SubElement(hand, "site", name="tcp", pos="0 0 0.1034")
    model = mujoco.MjModel.from_xml_string(ElementTree.tostring(root, encoding="unicode"))
    data = mujoco.MjData(model)
    addresses = [model.joint(name).qposadr[0] for name in SPEC.joint_names]
    rng = np.random.default_rng(0)
    for _ in range(50):
        q = random_joints(rng)
        data.qpos[addresses] = q
        mujoco.mj_kinematics(model, data)
        pose = KINEMATICS.forward(q)
        np.testing.assert_allclose(pose.position, data.site("tcp").xpos, atol=1e-6)
        np.testing.assert_allclose(
            matrix_from_quaternion(pose.quaternion), data.site("tcp").xmat.reshape(3, 3), atol=1e-6
        )


def test_forward_agrees_with_the_makers_urdf():
    pin = pytest.importorskip("pinocchio")
    assets = pytest.importorskip("franky_sim") and resources.files("franky_sim") / "assets"
    model = pin.buildModelFromUrdf(str(assets / "fr3.urdf"))
    data = model.createData()
    frame = model.getFrameId(SPEC.ee_frame)
    rng = np.random.default_rng(1)
    for _ in range(50):
        q = random_joints(rng)
        full = pin.neutral(model)
        for name, value in zip(SPEC.joint_names, q, strict=True):
            full[model.joints[model.getJointId(name)].idx_q] = value
        pin.framesForwardKinematics(model, data, full)
        pose = KINEMATICS.forward(q)
        np.testing.assert_allclose(pose.position, data.oMf[frame].translation, atol=1e-9)
        np.testing.assert_allclose(matrix_from_quaternion(pose.quaternion), data.oMf[frame].rotation, atol=1e-9)


def test_home_points_the_tool_down():
    pose = KINEMATICS.forward(SPEC.home)
    np.testing.assert_allclose(matrix_from_quaternion(pose.quaternion), np.diag([1, -1, -1]), atol=1e-9)
    np.testing.assert_allclose(pose.position, [0.3069, 0.0, 0.4869], atol=1e-4)


def test_jacobian_is_the_derivative_of_forward():
    rng = np.random.default_rng(2)
    q, h = random_joints(rng, 0.2), 1e-6
    jacobian = KINEMATICS.jacobian(q)
    for joint in range(q.size):
        step = np.zeros_like(q)
        step[joint] = h
        before, after = KINEMATICS.forward(q - step), KINEMATICS.forward(q + step)
        np.testing.assert_allclose(jacobian[:3, joint], (after.position - before.position) / (2 * h), atol=1e-6)
        turned = matrix_from_quaternion(after.quaternion) @ matrix_from_quaternion(before.quaternion).T
        axis = np.array([turned[2, 1], turned[0, 2], turned[1, 0]]) / (2 * h)
        np.testing.assert_allclose(jacobian[3:, joint], axis, atol=1e-6)


def test_solve_reaches_reachable_targets_within_the_joint_limits():
    rng = np.random.default_rng(3)
    solved = 0
    for _ in range(200):
        goal = random_joints(rng, 0.1)
        target = KINEMATICS.forward(goal)
        q, converged = KINEMATICS.solve(target, goal + rng.normal(0, 0.2, goal.size))
        assert np.all(q >= SPEC.limits.position_lower) and np.all(q <= SPEC.limits.position_upper)
        if converged:
            metres, angle = pose_distance(KINEMATICS.forward(q), target)
            assert metres < 1e-6 and angle < 1e-4
            solved += 1
    assert solved >= 196


def test_solve_follows_a_path_without_jumps_and_settles_the_elbow():
    rng = np.random.default_rng(4)
    start = KINEMATICS.forward(SPEC.home)
    q = SPEC.home + np.array([0.4, 0.0, -0.4, 0.0, 0.0, 0.0, 0.0])  # same kind of reach, twisted elbow
    q, converged = KINEMATICS.solve(start, q)
    assert converged
    twisted = np.abs(q - SPEC.home).max()
    turn = quaternion_from_rotvec(0.3 * rng.normal(size=3) / np.sqrt(3))
    target = Pose(start.position, multiply_quaternions(turn, start.quaternion))
    q, converged = KINEMATICS.solve(target, q)
    for step in range(600):  # 6 s at 100 Hz along a circle of 10 cm, 0.1 m/s
        angle = 0.1 * 0.01 / 0.1 * step
        position = start.position + 0.1 * np.array([np.cos(angle) - 1, np.sin(angle), 0])
        following, converged = KINEMATICS.solve(Pose(position, start.quaternion), q)
        assert converged
        if step > 0:
            assert np.abs(following - q).max() < 0.05 * np.abs(twisted) + 0.01
        q = following
    back, _ = KINEMATICS.solve(start, q)
    for _ in range(600):
        back, _ = KINEMATICS.solve(start, back)
    assert np.abs(back - SPEC.home).max() < 0.1 * twisted


def test_an_unreachable_target_gives_the_closest_pose_and_says_so():
    target = Pose(np.array([2.0, 0.0, 0.5]), KINEMATICS.forward(SPEC.home).quaternion)
    q, converged = KINEMATICS.solve(target, SPEC.home)
    assert not converged
    assert np.all(q >= SPEC.limits.position_lower) and np.all(q <= SPEC.limits.position_upper)
    assert KINEMATICS.forward(q).position[0] > 0.6  # stretched towards it
