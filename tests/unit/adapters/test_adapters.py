"""Every command interface is told exactly the gateway's setpoint: right joints, right frame, no motion at the end."""

from importlib import resources
from itertools import pairwise

import numpy as np
import pytest
import yaml

from spark_ros.adapters.registry import ARM_ADAPTERS, GRIPPER_ADAPTERS, make_arm_adapter, make_gripper_adapter
from spark_ros.contracts import Command, SparkError
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot, robot_names

STAMP = 1_700_000_000_123_456_789
UR5E, FR3 = load_robot("ur5e"), load_robot("fr3")
# As a driver's /joint_states has them, sorted by name: the elbow first.
SORTED = ("elbow_joint", "shoulder_lift_joint", "shoulder_pan_joint", "wrist_1_joint", "wrist_2_joint", "wrist_3_joint")
VELOCITY = np.array([0.3, -0.2, 0.4, 0.1, -0.3, 0.2])


def command_of(spec, position, velocity, width=0.03):
    return Command(spec.joint_names, np.array(position), np.array(velocity), width, None)


def moving(velocity=VELOCITY):
    return command_of(UR5E, UR5E.home, velocity)


def resting(spec=UR5E):
    return command_of(spec, spec.home, np.zeros(len(spec.joint_names)))


@pytest.mark.parametrize("name", robot_names())
def test_every_interface_that_a_shipped_robot_lists_is_spoken(name):
    spec = load_robot(name)
    for interface in spec.vendor.arm:
        adapter = make_arm_adapter(spec, interface.kind)
        assert adapter.topic == interface.topic
        assert isinstance(adapter.convert(resting(spec), spec.home, STAMP), adapter.form)
        farewell = adapter.farewell(STAMP)
        assert farewell is None or isinstance(farewell, adapter.form)
    gripper = make_gripper_adapter(spec)
    assert gripper.topic == spec.vendor.gripper_command_topic
    assert isinstance(gripper.convert(resting(spec), None, STAMP), gripper.form)


def test_the_usual_interface_is_the_first_listed_and_positions_everywhere():
    for name in robot_names():
        assert load_robot(name).vendor.arm[0].kind == "forward_position"


@pytest.mark.parametrize("kind", sorted(ARM_ADAPTERS))
def test_joints_are_ordered_by_name_whatever_order_a_command_has(kind, tmp_path):
    spec = _with_interface(UR5E, kind, tmp_path)
    ordered = moving()
    index = [spec.joint_names.index(name) for name in SORTED]
    shuffled = Command(SORTED, ordered.position[index], ordered.velocity[index], ordered.gripper_width, None)
    adapter = make_arm_adapter(spec, kind)
    measured = np.array(spec.home) + 0.001
    assert repr(adapter.convert(shuffled, measured, STAMP)) == repr(adapter.convert(ordered, measured, STAMP))


def test_forward_positions_are_the_setpoint_to_the_last_bit():
    position = np.random.default_rng(0).normal(size=7)
    values = make_arm_adapter(FR3).convert(command_of(FR3, position, np.ones(7)), None, STAMP).values
    assert values == tuple(position.tolist())


def test_forward_velocities_are_the_planned_ones_of_an_arm_that_is_where_it_should_be():
    adapter = make_arm_adapter(UR5E, "forward_velocity")
    assert adapter.convert(moving(), UR5E.home, STAMP).values == pytest.approx(VELOCITY)
    assert adapter.convert(moving(), None, STAMP).values == pytest.approx(VELOCITY)  # nothing measured, nothing added


def test_velocities_lead_back_a_drifted_arm_slowly_and_leave_a_resting_one_alone():
    adapter = make_arm_adapter(UR5E, "forward_velocity")
    drift = np.array([0.0, 0.01, 0.0, 0.0, 0.0, 0.0])
    assert adapter.convert(resting(), UR5E.home - drift, STAMP).values == pytest.approx([0, 0.02, 0, 0, 0, 0])
    assert adapter.convert(resting(), UR5E.home - 50 * drift, STAMP).values == pytest.approx([0, 0.1, 0, 0, 0, 0])
    assert adapter.convert(resting(), UR5E.home - 0.1 * drift, STAMP).values == (0.0,) * 6
    fastest = adapter.convert(moving(UR5E.limits.velocity), UR5E.home - drift, STAMP).values
    assert np.all(np.abs(fastest) <= UR5E.limits.velocity)


def test_an_arm_that_is_told_velocities_follows_a_setpoint_and_ends_where_it_should():
    adapter = make_arm_adapter(UR5E, "forward_velocity")
    setpoint, arm, seen = np.array(UR5E.home), UR5E.home + 0.02, []
    for tick in range(1500):
        velocity = VELOCITY if tick < 500 else np.zeros(6)
        setpoint = setpoint + 0.01 * velocity
        seen.append(arm)
        late = seen[max(0, tick - 5)]  # 50 ms
        arm = arm + 0.01 * 0.97 * np.array(adapter.convert(command_of(UR5E, setpoint, velocity), late, STAMP).values)
    assert np.abs(arm - setpoint).max() < 0.003


def test_a_trajectory_leads_on_from_the_setpoint_and_ends_at_rest_within_the_acceleration():
    adapter = make_arm_adapter(UR5E, "joint_trajectory")
    trajectory = adapter.convert(moving(), UR5E.home, STAMP)
    assert adapter.topic == "/scaled_joint_trajectory_controller/joint_trajectory"
    assert trajectory.joint_names == UR5E.joint_names
    soon, stopped = trajectory.points
    np.testing.assert_allclose(soon.position, UR5E.home + 0.05 * VELOCITY)
    np.testing.assert_allclose(soon.velocity, VELOCITY)
    assert soon.after_s == 0.05
    assert not stopped.velocity.any()
    braking_s = stopped.after_s - soon.after_s
    assert braking_s == pytest.approx(0.4 / 5.0)
    np.testing.assert_allclose(stopped.position - soon.position, VELOCITY * braking_s / 2)  # even braking
    assert np.all(np.abs(VELOCITY) / braking_s <= UR5E.limits.acceleration + 1e-12)


def test_a_trajectory_of_a_resting_arm_is_where_it_rests_and_none_leaves_the_limits():
    adapter = make_arm_adapter(UR5E, "joint_trajectory")
    (only,) = adapter.convert(resting(), UR5E.home, STAMP).points
    np.testing.assert_array_equal(only.position, UR5E.home)
    assert not only.velocity.any()
    edge = command_of(UR5E, UR5E.limits.position_upper - 1e-3, np.ones(6))
    for point in adapter.convert(edge, None, STAMP).points:
        assert np.all(point.position <= UR5E.limits.position_upper)


@pytest.mark.parametrize(("kind", "frame", "sign"), [("twist", "base", -1.0), ("moveit_servo", "base_link", 1.0)])
def test_twists_are_the_motion_of_the_tool_in_the_drivers_own_frame(kind, frame, sign):
    adapter = make_arm_adapter(UR5E, kind)
    twist = adapter.convert(moving(), UR5E.home, STAMP)
    assert (twist.frame, twist.stamp_ns) == (frame, STAMP)
    kinematics, step = Kinematics(UR5E), 1e-6
    after, before = (kinematics.forward(UR5E.home + side * step * VELOCITY).position for side in (1, -1))
    linear = (after - before) / (2 * step)
    np.testing.assert_allclose(twist.vector[:3], linear * [sign, sign, 1.0], atol=1e-6)  # `base` is turned by pi
    angular = kinematics.jacobian(UR5E.home)[3:] @ VELOCITY
    np.testing.assert_allclose(twist.vector[3:], angular * [sign, sign, 1.0], atol=1e-12)


def test_a_twist_leads_back_a_drifted_tool_and_leaves_a_resting_one_alone():
    adapter, kinematics = make_arm_adapter(UR5E, "moveit_servo"), Kinematics(UR5E)
    assert not adapter.convert(resting(), UR5E.home + 1e-4, STAMP).vector.any()
    here = np.array(UR5E.home)
    here[0] += 0.02
    twist = adapter.convert(resting(), here, STAMP).vector
    gap = kinematics.forward(UR5E.home).position - kinematics.forward(here).position
    np.testing.assert_allclose(twist[:3], 2.0 * gap, atol=1e-9)
    np.testing.assert_allclose(twist[3:], [0.0, 0.0, -0.04], atol=1e-9)
    here[0] += 1.0
    twist = adapter.convert(resting(), here, STAMP).vector
    assert np.linalg.norm(twist[:3]) == pytest.approx(0.03) and np.linalg.norm(twist[3:]) == pytest.approx(0.1)


@pytest.mark.parametrize("kind", ["forward_velocity", "twist", "moveit_servo"])
def test_a_driver_that_would_go_on_for_ever_is_told_zero_before_silence(kind):
    farewell = make_arm_adapter(UR5E, kind).farewell(STAMP)
    assert not np.any(farewell.values if kind == "forward_velocity" else farewell.vector)


def test_a_target_pose_is_where_the_commanded_joints_put_the_tool():
    target = make_arm_adapter(FR3, "target_pose").convert(resting(FR3), None, STAMP)
    expected = Kinematics(FR3).forward(FR3.home)
    assert (target.frame, target.stamp_ns) == ("fr3_link0", STAMP)
    np.testing.assert_allclose(target.pose.position, expected.position)
    np.testing.assert_allclose(target.pose.quaternion, expected.quaternion)


def test_grippers_are_told_one_joint_in_its_own_unit():
    assert make_gripper_adapter(FR3).convert(resting(FR3), None, STAMP).values == (0.015,)
    (angle,) = make_gripper_adapter(UR5E).convert(resting(), None, STAMP).values
    assert angle == UR5E.gripper.joint_positions(0.03)[0]


def test_an_interface_that_is_not_listed_or_not_spoken_is_refused_with_those_that_are(tmp_path):
    with pytest.raises(SparkError, match="lists no arm interface 'twist': choose forward_position"):
        make_arm_adapter(FR3, "twist")
    with pytest.raises(SparkError, match=f"choose one of {', '.join(ARM_ADAPTERS)}"):
        make_arm_adapter(_with_interface(UR5E, "telepathy", tmp_path), "telepathy")
    with pytest.raises(SparkError, match="lists no gripper interface 'telepathy': choose joint_position"):
        make_gripper_adapter(FR3, "telepathy")
    listed = {interface.kind for name in robot_names() for interface in load_robot(name).vendor.gripper}
    assert listed == set(GRIPPER_ADAPTERS)


def test_a_gripper_behind_actions_is_told_the_opening():
    for spec, kind in ((FR3, "franka_gripper"), (UR5E, "gripper_command")):
        assert make_gripper_adapter(spec, kind).convert(resting(spec), None, STAMP).width == 0.03


def _with_interface(spec, kind, folder):
    """The robot with this arm interface added, if it has none of this kind."""
    text = (resources.files("spark_ros.robots") / "specs" / f"{spec.name}.yaml").read_text(encoding="utf-8")
    document = yaml.safe_load(text)
    if kind not in [entry["kind"] for entry in document["vendor"]["arm"]]:
        document["vendor"]["arm"].append({"kind": kind, "topic": "/elsewhere"})
    path = folder / "robot.yaml"
    path.write_text(yaml.safe_dump(document))
    return load_robot(path)


def test_a_trajectory_of_an_arm_that_hardly_moves_has_no_two_points_at_once():
    for speed in (1e-17, 1e-6, 4e-3):
        points = make_arm_adapter(UR5E, "joint_trajectory").convert(moving(np.full(6, speed)), None, STAMP).points
        times = [point.after_s for point in points]
        assert all(after > before for before, after in pairwise(times))
        assert not points[-1].velocity.any()
