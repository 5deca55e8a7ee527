"""What an operator is shown of real nodes, and what becomes of what he asks for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from arm_for_tests import PerfectArm
from cell_for_tests import CAMERAS, SPEC, Robot, start_recorder
from graph_for_tests import GraphUnderTest, until

from spark_ros import topics
from spark_ros.console.session import Command, Level, Outcome
from spark_ros.data.cdr_messages import decode_frame
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.recorder_status import RecorderState, RecorderStatus
from spark_ros.nodes.ros_session import RosSession

pytestmark = pytest.mark.ros


@pytest.fixture
def session(graph: GraphUnderTest) -> Iterator[RosSession]:
    """Seen through the graph's client, which is spun by a thread of its own."""
    yield RosSession(graph.client)


def status(session: RosSession) -> RecorderStatus | None:
    return session.snapshot().recorder.status


def in_state(session: RosSession, state: RecorderState) -> bool:
    now = status(session)
    return now is not None and now.state is state


def test_without_nodes_nothing_is_there_and_a_stop_is_said_to_be_unanswered(session: RosSession) -> None:
    snapshot = session.snapshot()
    assert not snapshot.gateway.present and not snapshot.recorder.present and snapshot.recorder.status is None
    assert [command for command in Command if snapshot.allows(command)] == [Command.STOP]
    answer = session.command(Command.STOP)
    assert answer.outcome is Outcome.UNANSWERED and "no service /gateway/stop" in answer.message
    assert session.mark("episode_000001.mcap", success=True).outcome is Outcome.UNANSWERED
    assert session.describe("lift").outcome is Outcome.UNANSWERED


def test_an_episode_is_recorded_marked_and_watched(graph: GraphUnderTest, session: RosSession, tmp_path: Path) -> None:
    start_recorder(graph, tmp_path / "demos")
    assert until(lambda: session.snapshot().recorder.present)
    graph.change("recorder", 1)
    assert until(lambda: in_state(session, RecorderState.INACTIVE))
    graph.change("recorder", 3)
    assert until(lambda: in_state(session, RecorderState.WAITING))
    refused = session.command(Command.START)
    assert refused.outcome is Outcome.REFUSED and "nothing arrives on" in refused.message
    robot = Robot(graph)
    assert until(lambda: in_state(session, RecorderState.READY)), graph.logs()
    assert session.snapshot().allows(Command.START) and not session.snapshot().allows(Command.KEEP)

    assert session.describe("fold the towel").outcome is Outcome.DONE
    assert session.command(Command.START).outcome is Outcome.DONE
    assert until(lambda: in_state(session, RecorderState.RECORDING) and status(session).elapsed_s > 2.0)
    now = status(session)
    assert now.episode == "episode_000001.mcap" and now.task == "fold the towel"
    rates = {stream.topic: stream for stream in now.streams}
    assert rates[topics.camera_image("front")].hz == pytest.approx(10, abs=3)
    assert rates[topics.JOINT_STATES].hz > 50 and rates[topics.JOINT_STATES].age_s < 1.0
    assert 0.0 <= now.camera_skew_s < 0.03 and now.free_disk_mb > 0
    assert session.mark(now.episode, success=False, note="slipped").outcome is Outcome.DONE
    kept = session.command(Command.KEEP)
    assert kept.outcome is Outcome.DONE and "marked as a failure" in kept.message
    assert until(lambda: status(session).kept == 1 and not status(session).episode)
    assert session.mark("episode_000001.mcap", success=True).outcome is Outcome.DONE
    assert until(lambda: status(session).marks == 1)
    (entry,) = DemoFolder(status(session).folder).episodes()
    assert (entry.success, entry.note, entry.task) == (True, "slipped", "fold the towel")

    assert set(CAMERAS) <= set(session.snapshot().cameras)
    assert session.picture("front") is None
    session.watch({"front"})
    assert until(lambda: session.picture("front") is not None and session.picture("front")[0] > 3)
    assert decode_frame(session.picture("front")[1], "front").image.shape == (24, 32, 3)
    assert session.picture("wrist") is None
    session.watch(set())
    assert until(lambda: session.picture("front") is None)

    robot.moving = robot.frozen = True
    assert session.command(Command.START).outcome is Outcome.DONE
    assert until(lambda: any(stream.frozen for stream in status(session).streams))
    assert until(lambda: any("frozen" in sentence for sentence in status(session).warnings))
    assert session.command(Command.AGAIN).outcome is Outcome.DONE
    assert session.command(Command.DISCARD).outcome is Outcome.DONE


def test_a_stop_latches_the_gateway_and_one_that_is_killed_is_gone(graph: GraphUnderTest, session: RosSession) -> None:
    gateway = graph.start("gateway")
    PerfectArm(graph, SPEC)
    graph.activate("gateway")
    assert until(lambda: session.snapshot().gateway.present and session.snapshot().gateway.mode == "idle")
    assert until(lambda: session.command(Command.ENGAGE_TELEOP).outcome is Outcome.DONE), graph.logs()
    assert until(lambda: session.snapshot().gateway.mode == "teleop")
    assert session.command(Command.STOP).outcome is Outcome.DONE
    assert until(lambda: session.snapshot().gateway.mode == "fault")
    assert until(lambda: "asked to stop" in session.snapshot().gateway.reason)
    assert session.command(Command.ENGAGE_TELEOP).outcome is Outcome.REFUSED
    assert until(lambda: session.command(Command.RESET).outcome is Outcome.DONE)
    assert until(lambda: session.snapshot().gateway.mode == "idle")
    gateway.process.kill()
    gateway.process.wait()
    assert until(lambda: not session.snapshot().gateway.present)
    assert {node.name: node.level for node in session.snapshot().nodes}["gateway"] is Level.STALE
    assert session.command(Command.STOP).outcome is Outcome.UNANSWERED
    graph.nodes.remove(gateway)
