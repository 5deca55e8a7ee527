"""A recorded episode moves the arm of a running graph through the gateway, from where it is, and leaves it held."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from arm_for_tests import PerfectArm
from graph_for_tests import GraphUnderTest, until
from std_msgs.msg import String
from synthetic_episode import METADATA, Script
from trajectory_msgs.msg import JointTrajectory

from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.data.episode_reader import read_episode
from spark_ros.data.episode_writer import EpisodeWriter
from spark_ros.data.replay import Replay
from spark_ros.nodes.qos import LATCHED
from spark_ros.nodes.replay import replay_on_arm
from spark_ros.robots.spec import load_robot

pytestmark = pytest.mark.ros

FR3 = load_robot("fr3")


def test_a_replay_begins_where_the_arm_is_and_ends_held(graph: GraphUnderTest, tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "one.mcap", METADATA)
    script = Script(FR3, duration=1.0)
    script.write(writer)
    episode = read_episode(writer.close({"success": True}))
    graph.start("gateway", robot="fr3", joint_timeout_s=2.0, chunk_timeout_s=2.0)  # a test machine may be slow
    modes = graph.listen(String, topics.GATEWAY_MODE, LATCHED)
    graph.activate("gateway")
    arm = PerfectArm(graph, FR3)
    arm.q = FR3.home + 0.1
    assert until(lambda: bool(modes)), graph.logs()
    seconds: list[float] = []
    replay_on_arm(Replay(episode, FR3), FR3, seconds.append, graph.client.context.get_domain_id())
    assert np.abs(arm.commands[0] - (FR3.home + 0.1)).max() < 0.02
    assert np.abs(arm.commands[-1] - script.q(0.99)).max() < 0.02
    assert len(seconds) > 3 and until(lambda: modes[-1].data == "hold"), graph.logs()

    graph.client.create_publisher(JointTrajectory, topics.JOINT_CHUNK, 1)
    with pytest.raises(SparkError, match="a policy publishes on /policy/joint_chunk: stop it before replaying"):
        assert until(lambda: graph.client.count_publishers(topics.JOINT_CHUNK) > 0)
        replay_on_arm(Replay(episode, FR3), FR3, seconds.append, graph.client.context.get_domain_id())
