"""The gateway speaks to other drivers than position controllers, and never leaves one of them with a velocity."""

from __future__ import annotations

import time

import numpy as np
import pytest
from arm_for_tests import PerfectArm
from geometry_msgs.msg import TwistStamped
from graph_for_tests import GraphUnderTest, until
from sensor_msgs.msg import Joy
from std_msgs.msg import String

from spark_ros import topics
from spark_ros.contracts import TeleopInput
from spark_ros.nodes.motion_messages import messages_from_teleop
from spark_ros.nodes.qos import LATCHED
from spark_ros.robots.spec import load_robot

pytestmark = pytest.mark.ros

UR5E = load_robot("ur5e")


def test_a_ur_is_moved_by_twists_in_its_own_base_and_its_last_one_is_zero(graph: GraphUnderTest) -> None:
    graph.start("gateway", robot="ur5e", arm_interface="twist")
    twists = graph.listen(TwistStamped, "/twist_controller/twist")
    modes = graph.listen(String, topics.GATEWAY_MODE, LATCHED)
    graph.activate("gateway")
    PerfectArm(graph, UR5E)  # does not obey twists, so it is soon found to be off track
    joy, operator = graph.advertise(Joy, topics.TELEOP_JOY), graph.advertise(TwistStamped, topics.TELEOP_TWIST)
    clock = graph.client.get_clock()

    def speak() -> None:
        wanted = np.array([0.05, 0.02, 0.0, 0.0, 0.0, 0.0])
        twist, buttons = messages_from_teleop(TeleopInput(wanted, 0.05, True, True, clock.now().nanoseconds), UR5E)
        joy.publish(buttons)
        operator.publish(twist)

    graph.client.create_timer(0.05, speak)
    assert until(lambda: graph.trigger(topics.GATEWAY_ENGAGE_TELEOP).success), graph.logs()
    assert until(lambda: twists and twists[-1].twist.linear.x < -0.02), graph.logs()  # `base` is turned by pi
    assert twists[-1].header.frame_id == "base" and twists[-1].twist.linear.y < 0.0
    assert until(lambda: modes[-1].data == "fault"), graph.logs()
    assert until(lambda: graph.trigger(topics.GATEWAY_RESET).success), graph.logs()
    time.sleep(0.3)
    last = twists[-1].twist
    assert (last.linear.x, last.linear.y, last.linear.z) == (0.0, 0.0, 0.0)
    assert (last.angular.x, last.angular.y, last.angular.z) == (0.0, 0.0, 0.0)


def test_an_interface_that_the_arm_has_not_is_refused_when_the_gateway_is_configured(graph: GraphUnderTest) -> None:
    node = graph.start("gateway", robot="fr3", arm_interface="twist")
    assert not graph.change("gateway", 1)
    assert "lists no arm interface 'twist'" in node.output
