"""Frames, tool and velocities of a chain are those that pinocchio computes from the same joint table."""

import numpy as np
import pinocchio as pin
import pytest

from spark_ros.robots.chain import Chain
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot, robot_names


@pytest.mark.parametrize("name", robot_names())
def test_places_and_speeds_are_pinocchios(name):
    spec = load_robot(name)
    chain, kinematics, rng = Chain(spec), Kinematics(spec), np.random.default_rng(3)
    for _ in range(200):
        q, velocity = rng.uniform(-6, 6, spec.home.size), rng.normal(0, 2, spec.home.size)
        chain.place(q.tolist())
        twist = kinematics.jacobian(q) @ velocity
        np.testing.assert_allclose([chain.x, chain.y, chain.z], kinematics.forward(q).position, atol=1e-12)
        np.testing.assert_allclose(chain.twist(velocity.tolist()), twist, atol=1e-12)
        speeds = np.linalg.norm(twist[:3]), np.linalg.norm(twist[3:])
        np.testing.assert_allclose(chain.speeds(velocity.tolist()), speeds, atol=1e-12)


@pytest.mark.parametrize("name", robot_names())
def test_frames_are_pinocchios(name):
    spec = load_robot(name)
    chain, model, parent = Chain(spec), pin.Model(), 0
    for origin in spec.joint_origins:
        placement = pin.SE3(pin.rpy.rpyToMatrix(np.array(origin.rpy)), np.array(origin.xyz))
        parent = model.addJoint(parent, pin.JointModelRZ(), placement, f"joint {parent}")
    data, rng = model.createData(), np.random.default_rng(4)
    for _ in range(50):
        q = rng.uniform(-3, 3, spec.home.size)
        chain.place(q.tolist())
        pin.forwardKinematics(model, data, q)
        frames = np.array(chain.frames).reshape(-1, 12)
        for frame, expected in zip(frames, data.oMi, strict=True):
            np.testing.assert_allclose(frame[:9].reshape(3, 3).T, expected.rotation, atol=1e-12)
            np.testing.assert_allclose(frame[9:], expected.translation, atol=1e-12)


def test_too_few_joints_are_refused():
    with pytest.raises(IndexError):
        Chain(load_robot("fr3")).place([0.0] * 6)
