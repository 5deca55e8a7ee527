"""Chunks of changes travel in the stock messages, on topics of their own, and lead the arm from its setpoint."""

from __future__ import annotations

import numpy as np
import pytest
from arm_for_tests import PerfectArm
from graph_for_tests import GraphUnderTest, until

from spark_ros import topics
from spark_ros.contracts import ActionChunk, ActionKind
from spark_ros.nodes.motion_messages import chunk_from_ee_message, chunk_from_joint_message, message_from_chunk
from spark_ros.nodes.relative_messages import as_changes, as_sent, chunk_channel
from spark_ros.robots.spec import load_robot

pytestmark = pytest.mark.ros

SPEC = load_robot("fr3")
RELATIVE = [kind for kind in ActionKind if kind.is_relative]


def chunk(kind: ActionKind, values: np.ndarray, stamp: int) -> ActionChunk:
    names = SPEC.joint_names if kind.is_joint else ()
    return ActionChunk(kind, values, np.linspace(0.08, 0.04, len(values)), names, 0.1, stamp)


@pytest.mark.parametrize("kind", RELATIVE)
def test_changes_arrive_as_they_were_sent(kind: ActionKind) -> None:
    values = np.random.default_rng(1).uniform(-0.5, 0.5, (10, 7 if kind.is_joint else 6))
    sent = chunk(kind, values, 123)
    read = chunk_from_joint_message if kind.is_joint else chunk_from_ee_message
    arrived = as_changes(read(message_from_chunk(as_sent(sent), SPEC), SPEC))
    assert arrived.kind is (ActionKind.JOINT_DELTA if kind.is_joint else ActionKind.EE_DELTA)
    np.testing.assert_allclose(arrived.values, values * (0.1 if kind.is_rate else 1.0), atol=1e-12)
    np.testing.assert_allclose(arrived.gripper_width, sent.gripper_width, atol=1e-12)
    assert (arrived.joint_names, arrived.dt_s, arrived.stamp_ns) == (sent.joint_names, 0.1, 123)


def test_no_kind_shares_a_topic_with_another_meaning() -> None:
    meanings = {(chunk_channel(kind)[1], kind.is_joint, kind.is_relative) for kind in ActionKind}
    assert len(meanings) == len({chunk_channel(kind)[1] for kind in ActionKind}) == 4


@pytest.mark.parametrize("kind", [ActionKind.EE_TWIST, ActionKind.JOINT_DELTA])
def test_the_gateway_follows_changes(graph: GraphUnderTest, kind: ActionKind) -> None:
    graph.start("gateway")
    graph.activate("gateway")
    arm = PerfectArm(graph, SPEC)
    publisher = graph.advertise(*chunk_channel(kind))
    step = np.zeros(7 if kind.is_joint else 6)
    step[0] = 0.005 / (0.1 if kind.is_rate else 1.0)

    def speak() -> None:
        stamp = graph.client.get_clock().now().nanoseconds
        publisher.publish(message_from_chunk(as_sent(chunk(kind, np.tile(step, (10, 1)), stamp)), SPEC))

    graph.client.create_timer(0.1, speak)
    assert until(lambda: graph.trigger(topics.GATEWAY_ENGAGE_POLICY).success), graph.logs()
    assert until(lambda: np.abs(arm.q - SPEC.home).max() > 0.02), graph.logs()
