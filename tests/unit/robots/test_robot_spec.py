"""An arm is one YAML file, complete and consistent, and says so in one sentence where it is not."""

from importlib import resources

import numpy as np
import pytest
import yaml

from spark_ros.contracts import JointState, SparkError
from spark_ros.robots.spec import load_robot, robot_names

FR3_TEXT = (resources.files("spark_ros.robots") / "specs" / "fr3.yaml").read_text(encoding="utf-8")


@pytest.mark.parametrize("name", robot_names())
def test_every_shipped_robot_is_complete_and_its_home_is_safe(name):
    spec = load_robot(name)
    limits = spec.limits
    assert spec.name == name
    assert len(spec.joint_names) == len(set(spec.joint_names)) == len(spec.joint_origins) == spec.home.size
    assert np.all(spec.home > limits.position_lower + 0.1) and np.all(spec.home < limits.position_upper - 0.1)
    assert np.all(spec.workspace.lower < spec.workspace.upper)
    assert spec.gripper.max_width > 0 and spec.gripper.max_speed > 0


def test_arrays_of_a_spec_cannot_be_changed_by_accident():
    with pytest.raises(ValueError, match="read-only"):
        load_robot("fr3").limits.velocity[0] = 99.0


def test_velocity_bounds_taper_towards_the_position_limits_and_never_let_a_joint_pass():
    limits = load_robot("fr3").limits
    lower, upper = limits.velocity_bounds((limits.position_lower + limits.position_upper) / 2)
    np.testing.assert_allclose(upper, limits.velocity)
    np.testing.assert_allclose(lower, -limits.velocity)
    lower, upper = limits.velocity_bounds(limits.position_upper)
    assert np.all(upper < 0.05) and np.all(upper >= 0)
    np.testing.assert_allclose(lower, -limits.velocity)
    lower, upper = limits.velocity_bounds(limits.position_lower)
    assert np.all(lower > -0.05) and np.all(lower <= 0)


def test_gripper_width_is_the_sum_of_the_fingers_found_by_name():
    gripper = load_robot("fr3").gripper
    names = ("other", gripper.joint_names[1], gripper.joint_names[0])
    assert gripper.width(JointState(names, np.array([9.0, 0.01, 0.02]), np.zeros(3), 0)) == pytest.approx(0.03)
    with pytest.raises(SparkError, match="lacks fr3_finger_joint1"):
        gripper.width(JointState(("other",), np.zeros(1), np.zeros(1), 0))


def test_a_robot_of_ones_own_is_loaded_from_its_path(tmp_path):
    path = tmp_path / "mine.yaml"
    document = yaml.safe_load(FR3_TEXT)
    document["name"] = "mine"
    del document["limits"]["taper"]
    path.write_text(yaml.safe_dump(document))
    spec = load_robot(path)
    assert spec.name == "mine"
    np.testing.assert_array_equal(spec.limits.velocity_bounds(spec.limits.position_upper)[1], spec.limits.velocity)


def _without_home(document):
    del document["home"]


def _short_home(document):
    document["home"] = [0.0]


def _crossed_limits(document):
    document["limits"]["position_lower"][0] = 9.0


def _text_in_numbers(document):
    document["limits"]["jerk"] = "fast"


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (_without_home, "lacks the key 'home'"),
        (_short_home, "'home' must be 7 finite numbers"),
        (_crossed_limits, "not below"),
        (_text_in_numbers, "malformed"),
    ],
)
def test_a_damaged_description_is_refused_with_what_is_wrong(tmp_path, damage, says):
    document = yaml.safe_load(FR3_TEXT)
    damage(document)
    path = tmp_path / "broken.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(SparkError, match=says) as caught:
        load_robot(path)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("name", ["fr4", "missing.yaml"])
def test_an_unknown_robot_is_refused_with_the_known_ones(name):
    with pytest.raises(SparkError, match="fr3"):
        load_robot(name)


def test_a_status_that_nobody_would_listen_to_is_refused(tmp_path):
    document = yaml.safe_load(FR3_TEXT)
    document["vendor"]["status"] = {"saftey_mode": "/safety"}
    path = tmp_path / "mine.yaml"
    path.write_text(yaml.safe_dump(document))
    with pytest.raises(SparkError, match=r"vendor.status knows no saftey_mode: choose among program_running"):
        load_robot(path)
