"""The recorder as a process: whole episodes, made of the bytes that travelled, or a refusal that says why."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import time
from pathlib import Path

import numpy as np
import pytest
from cell_for_tests import CAMERAS, SPEC, Robot, start_recorder
from graph_for_tests import PATIENCE_S, GraphUnderTest, until
from rcl_interfaces.srv import SetParametersAtomically
from rclpy.parameter import Parameter
from rosbags.highlevel import AnyReader
from sensor_msgs.msg import Image, JointState
from trajectory_msgs.msg import JointTrajectory

from spark_ros import topics
from spark_ros.contracts import JointState as Joints
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.mcap_scan import McapScan
from spark_ros.nodes.calls import call
from spark_ros.nodes.messages import message_from_joints

pytestmark = pytest.mark.ros


def start_episode(graph: GraphUnderTest) -> None:
    """As soon as every stream arrives."""
    assert until(lambda: graph.trigger(topics.RECORDER_START).success), graph.logs()


def test_a_kept_episode_holds_what_was_sent_and_opens_in_rosbags(graph: GraphUnderTest, tmp_path: Path) -> None:
    start_recorder(graph, tmp_path / "demos", seed=7)
    robot = Robot(graph)
    graph.activate("recorder")
    start_episode(graph)
    begun = len(robot.sent)
    assert until(lambda: len(robot.sent) >= begun + 10)
    expected = robot.sent[begun + 1 : begun + 9]
    answer = graph.trigger(topics.RECORDER_KEEP)
    assert answer.success, answer.message

    folder = DemoFolder(tmp_path / "demos")
    (entry,) = folder.episodes()
    assert (entry.task, entry.seed, entry.success) == ("lift the cube", 7, True)
    episode = folder.read(entry)
    assert episode.metadata.operator == "test"
    for camera in CAMERAS:
        assert set(expected) <= set(episode.cameras[camera].stamps_ns.tolist())
    assert len(episode.joints) > 10 and len(episode.setpoints) > 10
    with AnyReader([tmp_path / "demos" / entry.file]) as reader:
        kinds = {connection.topic: connection.msgtype for connection in reader.connections}
        assert kinds[topics.camera_image("front")] == "sensor_msgs/msg/Image"
        for connection, _, raw in reader.messages():
            reader.deserialize(raw, connection.msgtype)


def hz(graph: GraphUnderTest, topic: str) -> float:
    """Rate of a stream in the recorder's newest report; 0 before its first."""
    _, _, values = graph.health.get("recorder", (0, "", {}))
    return float(values.get(f"{topic} Hz", 0))


def test_commands_are_recorded_on_whichever_interface_they_are_given(graph: GraphUnderTest, tmp_path: Path) -> None:
    start_recorder(graph, tmp_path / "demos")
    Robot(graph)
    graph.activate("recorder")
    topic = "/joint_trajectory_controller/joint_trajectory"
    trajectories = graph.advertise(JointTrajectory, topic)
    start_episode(graph)
    graph.client.create_timer(0.02, lambda: trajectories.publish(JointTrajectory(joint_names=list(SPEC.joint_names))))
    for heard in (topic, topics.GATEWAY_SETPOINT):
        assert until(lambda heard=heard: hz(graph, heard) > 0), graph.logs()
    answer = graph.trigger(topics.RECORDER_KEEP)
    assert answer.success, answer.message
    folder = DemoFolder(tmp_path / "demos")
    with AnyReader([folder.file(folder.episodes()[0])]) as reader:
        kinds = {connection.topic: connection.msgtype for connection in reader.connections}
        assert kinds[topic] == "trajectory_msgs/msg/JointTrajectory"
        commands = [reader.deserialize(raw, c.msgtype) for c, _, raw in reader.messages() if c.topic == topic]
    assert commands and tuple(commands[0].joint_names) == SPEC.joint_names


def test_an_episode_does_not_start_while_a_stream_is_missing(graph: GraphUnderTest, tmp_path: Path) -> None:
    start_recorder(graph, tmp_path / "demos")
    robot = Robot(graph)
    robot.cameras.remove("wrist")
    graph.activate("recorder")
    assert until(lambda: "joint_states" not in graph.trigger(topics.RECORDER_START).message)
    answer = graph.trigger(topics.RECORDER_START)
    assert not answer.success
    assert answer.message.startswith("nothing arrives on /camera/wrist/color/image_raw: start the node or driver")
    robot.cameras.add("wrist")
    start_episode(graph)


def test_an_episode_without_commands_or_task_is_refused(graph: GraphUnderTest, tmp_path: Path) -> None:
    start_recorder(graph, tmp_path / "demos", task="")
    robot = Robot(graph)
    robot.commands = False
    graph.activate("recorder")
    answer = graph.trigger(topics.RECORDER_START)
    assert not answer.success and "parameter task is empty" in answer.message
    graph.set("recorder", task="lift the cube")
    start_episode(graph)
    assert not graph.trigger(topics.RECORDER_START).success
    answer = graph.trigger(topics.RECORDER_KEEP)
    assert not answer.success and "holds no commands" in answer.message
    assert graph.trigger(topics.RECORDER_DISCARD).success
    assert DemoFolder(tmp_path / "demos").episodes() == []
    assert not list((tmp_path / "demos").glob("*.mcap*"))


def test_a_kept_episode_is_a_success_unless_it_was_called_a_failure(graph: GraphUnderTest, tmp_path: Path) -> None:
    start_recorder(graph, tmp_path / "demos")
    robot = Robot(graph)
    graph.activate("recorder")
    for success in (True, False, True):
        start_episode(graph)
        begun = len(robot.sent)
        assert until(lambda begun=begun: len(robot.sent) > begun + 3)
        if not success:
            graph.set("recorder", success=False)
        answer = graph.trigger(topics.RECORDER_KEEP)
        assert answer.success and ("failure" in answer.message) is not success, answer.message
    folder = DemoFolder(tmp_path / "demos")
    assert [entry.success for entry in folder.episodes()] == [True, False, True]
    assert folder.read(folder.episodes()[1]).metadata.success is False


def test_what_is_said_of_an_episode_can_be_changed_while_it_is_recorded_and_later(
    graph: GraphUnderTest, tmp_path: Path
) -> None:
    def mark(**values: object) -> tuple[bool, str]:
        parameters = [Parameter(name, value=value).to_parameter_msg() for name, value in values.items()]
        request = SetParametersAtomically.Request(parameters=parameters)
        result = call(graph.client, SetParametersAtomically, topics.RECORDER_MARK, request, PATIENCE_S).result
        return result.successful, result.reason

    start_recorder(graph, tmp_path / "demos")
    robot = Robot(graph)
    graph.activate("recorder")
    start_episode(graph)
    begun = len(robot.sent)
    assert until(lambda: len(robot.sent) > begun + 3)
    name = "episode_000001.mcap"
    assert mark(file=name, success=False, note="dropped it") == (True, f"{name}: a failure, noted")
    assert graph.trigger(topics.RECORDER_KEEP).success
    folder = DemoFolder(tmp_path / "demos")
    (entry,) = folder.episodes()
    assert (entry.success, entry.note) == (False, "dropped it")
    assert mark(file=name, success=True) == (True, f"{name}: a success")
    (entry,) = folder.episodes()
    assert (entry.success, entry.note) == (True, "dropped it")
    assert folder.read(entry).metadata.success is False  # the file stays as it was recorded
    for wrong in ({"file": name}, {"success": True}, {"file": name, "success": "yes"}, {"file": name, "grade": 1}):
        done, reason = mark(**wrong)
        assert not done and "expected file, and success (bool) or note (text)" in reason
    assert not mark(file="../episode_000001.mcap", success=False)[0]


@pytest.mark.parametrize("topic", [topics.camera_image("wrist"), topics.JOINT_STATES])
def test_an_episode_does_not_start_with_two_robots_on_the_graph(
    graph: GraphUnderTest, tmp_path: Path, topic: str
) -> None:
    start_recorder(graph, tmp_path / "demos")
    Robot(graph)
    graph.activate("recorder")
    other = graph.client.create_publisher(JointState if topic == topics.JOINT_STATES else Image, topic, 10)
    refusal = f"{topic} has 2 publishers (client, client), so that an episode would mix two robots"
    assert until(lambda: graph.trigger(topics.RECORDER_START).message.startswith(refusal)), graph.logs()
    graph.client.destroy_publisher(other)
    start_episode(graph)


def test_arm_and_gripper_may_publish_their_joints_separately(graph: GraphUnderTest, tmp_path: Path) -> None:
    start_recorder(graph, tmp_path / "demos")
    robot = Robot(graph)
    robot.fingers = False
    graph.activate("recorder")
    fingers = graph.advertise(JointState, topics.JOINT_STATES)
    closed = Joints(SPEC.gripper.joint_names, np.zeros(2), np.zeros(2), 1)
    graph.client.create_timer(0.05, lambda: fingers.publish(message_from_joints(closed)))
    start_episode(graph)


def test_a_second_recorder_on_the_folder_is_refused(graph: GraphUnderTest, tmp_path: Path) -> None:
    start_recorder(graph, tmp_path / "demos")
    assert graph.change("recorder", 1)
    with DemoFolder(tmp_path / "other").recording():
        graph.change("recorder", 2)
        graph.set("recorder", folder=str(tmp_path / "other"))
        assert not graph.change("recorder", 1)
    graph.complaint("recorder", f"recorder refuses to configure: process .* is recording into {tmp_path}/other")
    assert graph.change("recorder", 1), "the folder is free again"


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_in_mid_episode_leaves_only_whole_episodes(
    graph: GraphUnderTest, tmp_path: Path, number: signal.Signals
) -> None:
    node = start_recorder(graph, tmp_path / "demos")
    robot = Robot(graph)
    graph.activate("recorder")
    for _ in range(2):
        start_episode(graph)
        begun = len(robot.sent)
        assert until(lambda begun=begun: len(robot.sent) > begun + 3)
        if not DemoFolder(tmp_path / "demos").episodes():
            assert graph.trigger(topics.RECORDER_KEEP).success
    assert node.end(number) == 0, node.output
    assert "discarded episode_000002.mcap: it was still being recorded" in node.output
    folder = DemoFolder(tmp_path / "demos")
    assert [entry.file for entry in folder.episodes()] == ["episode_000001.mcap"]
    assert folder.unfinished() == []


def outcome_of(path: Path) -> dict[str, str]:
    scan = McapScan(path)
    assert sum(1 for _ in scan) > 0 and scan.complete
    return {**scan.metadata["episode"], **scan.metadata["outcome"]}


def record(graph: GraphUnderTest, robot: Robot, frames: int = 6) -> str:
    """Begin an episode and keep it after some frames; what the recorder says."""
    start_episode(graph)
    begun = len(robot.sent)
    assert until(lambda: len(robot.sent) > begun + frames)
    answer = graph.trigger(topics.RECORDER_KEEP)
    assert answer.success, answer.message
    return answer.message


def test_a_kept_file_is_read_only_and_says_who_what_and_how_well(graph: GraphUnderTest, tmp_path: Path) -> None:
    (tmp_path / "calibration").mkdir()
    (tmp_path / "calibration" / "front.yaml").write_text("fx: 600\n")
    start_recorder(graph, tmp_path / "demos", calibration=str(tmp_path / "calibration"))
    robot = Robot(graph)
    graph.activate("recorder")
    graph.set("recorder", note="the cube slipped once")
    for _ in range(2):
        record(graph, robot)
    folder = DemoFolder(tmp_path / "demos")
    entry = folder.episodes()[-1]
    path = folder.file(entry)
    assert stat.S_IMODE(path.stat().st_mode) == 0o444
    assert folder.episodes()[0].note == "the cube slipped once" and entry.note == ""
    said = outcome_of(path)
    assert json.loads(said["calibration"]).keys() == {"front.yaml"}
    assert json.loads(said["streams"])[topics.JOINT_STATES]["messages"] > 20
    assert json.loads(said["messages_lost"]) == {}


@pytest.mark.parametrize("storage", ["png", "jpeg"])
def test_images_are_packed_by_threads_of_their_own_without_losing_any(
    graph: GraphUnderTest, tmp_path: Path, storage: str
) -> None:
    start_recorder(graph, tmp_path / "demos", images=storage)
    robot = Robot(graph)
    graph.activate("recorder")
    start_episode(graph)
    begun = len(robot.sent)
    assert until(lambda: len(robot.sent) >= begun + 10)
    expected = robot.sent[begun + 1 : begun + 9]
    assert graph.trigger(topics.RECORDER_KEEP).success
    folder = DemoFolder(tmp_path / "demos")
    episode = folder.read(folder.episodes()[0])
    for camera in CAMERAS:
        stamps = episode.cameras[camera].stamps_ns.tolist()
        assert set(expected) <= set(stamps)
        level = int(episode.cameras[camera][stamps.index(expected[3])].image[0, 0, 0])
        assert abs(level - (begun + 5)) <= (0 if storage == "png" else 2)


def test_stale_clocks_refuse_the_start_and_frozen_or_silent_cameras_are_said_at_once(
    graph: GraphUnderTest, tmp_path: Path
) -> None:
    start_recorder(graph, tmp_path / "demos")
    robot = Robot(graph)
    robot.lag_ns = 10_000_000_000
    graph.activate("recorder")
    assert until(lambda: "synchronise the clocks" in graph.trigger(topics.RECORDER_START).message), graph.logs()
    robot.lag_ns = 0
    time.sleep(0.3)
    assert until(lambda: graph.trigger(topics.RECORDER_START).success), graph.logs()
    robot.frozen = robot.moving = True
    graph.complaint("recorder", r"recording .*: .*/camera/front/color/image_raw is frozen")
    robot.cameras.remove("wrist")
    graph.complaint("recorder", r"/camera/wrist/color/image_raw has been silent for")
    answer = graph.trigger(topics.RECORDER_KEEP)
    assert "flagged" in answer.message and "was frozen" in answer.message and "paused for" in answer.message
    (entry,) = DemoFolder(tmp_path / "demos").episodes()
    assert any("was frozen" in flag for flag in entry.flags)


def test_messages_lost_while_the_recorder_stood_still_are_counted_one_by_one_and_flagged(
    graph: GraphUnderTest, tmp_path: Path
) -> None:
    node = start_recorder(graph, tmp_path / "demos")
    robot = Robot(graph)
    graph.activate("recorder")
    start_episode(graph)
    begun = len(robot.sent)
    assert until(lambda: len(robot.sent) > begun + 5)
    node.process.send_signal(signal.SIGSTOP)
    begun = len(robot.felt)
    assert until(lambda: len(robot.felt) > begun + 800), "more than the transport's queue of 512 holds"
    node.process.send_signal(signal.SIGCONT)
    begun = len(robot.sent)
    assert until(lambda: len(robot.sent) > begun + 5)
    answer = graph.trigger(topics.RECORDER_KEEP)
    assert answer.success and "flagged" in answer.message and "/joint_states lost" in answer.message, answer.message

    folder = DemoFolder(tmp_path / "demos")
    episode = folder.read(folder.episodes()[0])
    stored = {topics.JOINT_STATES: episode.joints.stamps_ns.tolist()}
    stored |= {topics.camera_image(camera): frames.stamps_ns.tolist() for camera, frames in episode.cameras.items()}
    lost = json.loads(outcome_of(episode.path)["messages_lost"])
    for topic, stamps in stored.items():
        sent = robot.felt if topic == topics.JOINT_STATES else robot.sent
        assert lost.get(topic, 0) == sum(stamps[0] <= stamp <= stamps[-1] for stamp in sent) - len(stamps), topic


def test_again_discards_and_starts_at_once(graph: GraphUnderTest, tmp_path: Path) -> None:
    start_recorder(graph, tmp_path / "demos")
    robot = Robot(graph)
    graph.activate("recorder")
    start_episode(graph)
    answer = graph.trigger(topics.RECORDER_AGAIN)
    assert answer.message == "discarded episode_000001.mcap, recording episode_000001.mcap", answer.message
    begun = len(robot.sent)
    assert until(lambda: len(robot.sent) > begun + 3)
    assert graph.trigger(topics.RECORDER_KEEP).success
    assert len(DemoFolder(tmp_path / "demos").episodes()) == 1


def test_a_disk_that_runs_out_ends_the_episode_whole(graph: GraphUnderTest, tmp_path: Path) -> None:
    start_recorder(graph, tmp_path / "demos", start_disk_mb=1e9)
    robot = Robot(graph)
    graph.activate("recorder")
    assert until(lambda: "MB of free disk" in graph.trigger(topics.RECORDER_START).message), graph.logs()
    graph.set("recorder", start_disk_mb=10.0)
    record(graph, robot)
    start_episode(graph)
    begun = len(robot.sent)
    assert until(lambda: len(robot.sent) > begun + 5)
    graph.set("recorder", stop_disk_mb=1e9)
    graph.complaint("recorder", "MB of free disk, .*; keep or discard the episode")
    answer = graph.trigger(topics.RECORDER_KEEP)
    assert answer.success and "recording stopped early" in answer.message
    folder = DemoFolder(tmp_path / "demos")
    for entry in folder.episodes():
        folder.read(entry)
    assert len(folder.episodes()) == 2 and folder.unfinished() == []


def test_a_full_file_system_costs_no_finished_episode(graph: GraphUnderTest, tmp_path: Path) -> None:
    disk = tmp_path / "small"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=3m", "tmpfs", str(disk)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode != 0:
        pytest.skip("mounting a small file system needs root")
    try:
        start_recorder(graph, disk / "demos", start_disk_mb=0.0, stop_disk_mb=0.0)
        robot = Robot(graph)
        graph.activate("recorder")
        record(graph, robot)
        start_episode(graph)
        (disk / "ballast").write_bytes(b"\0" * (os.statvfs(disk).f_bavail * os.statvfs(disk).f_frsize - 4096))
        graph.complaint("recorder", "cannot write .*No space left on device.*keep or discard the episode")
        answer = graph.trigger(topics.RECORDER_KEEP)
        assert not answer.success and "was not kept" in answer.message and "data recover" in answer.message
        (disk / "ballast").unlink()
        folder = DemoFolder(disk / "demos")
        (entry,) = folder.episodes()
        assert folder.read(entry).metadata.success
        record(graph, robot)
        assert len(folder.episodes()) == 2
    finally:
        graph.close_nodes()
        subprocess.run(["umount", "-l", str(disk)], check=True)
