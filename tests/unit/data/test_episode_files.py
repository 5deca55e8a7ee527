"""What is on disk: others can open it, a killed recorder loses a second, finished episodes never change."""

from __future__ import annotations

import hashlib
import os
import resource
import signal
import subprocess
import sys
import time
import tracemalloc
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from mcap.reader import make_reader
from rosbags.highlevel import AnyReader
from synthetic_episode import METADATA, T0, Script

from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.data.cdr_messages import encode_text
from spark_ros.data.episode_reader import read_episode
from spark_ros.data.episode_writer import EpisodeWriter, recover_episode
from spark_ros.data.mcap_scan import McapScan


@pytest.fixture
def episode_path(tmp_path: Path, script: Callable[..., Script]) -> Path:
    writer = EpisodeWriter(tmp_path / "one.mcap", METADATA)
    script().write(writer)
    return writer.close({"success": True})


def test_what_was_written_is_read(episode_path: Path, script: Callable[..., Script]) -> None:
    expected, episode = script(), read_episode(episode_path)
    meta = episode.metadata
    assert (meta.task, meta.robot, meta.seed, meta.success) == ("lift the cube", "fr3", 7, True)
    assert list(episode.cameras) == ["front", "wrist"]
    assert len(episode.cameras["front"]) == 30 and len(episode.joints) == len(episode.setpoints) == 300
    np.testing.assert_array_equal(episode.joints.stamps_ns[:2], [T0, T0 + 10_000_000])
    np.testing.assert_array_equal(episode.joints.columns(expected.spec.joint_names)[50], expected.measured(0.5))
    for camera, frames in episode.cameras.items():
        for i in (29, 0, 17):  # in any order
            np.testing.assert_array_equal(frames[i].image, expected.image(camera, i / 10))
            assert frames[i].stamp_ns == T0 + i * 100_000_000


def test_the_mcap_package_reads_it_as_a_ros2_file(episode_path: Path) -> None:
    with episode_path.open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        assert reader.get_header().profile == "ros2"
        summary = reader.get_summary()
        assert summary is not None and summary.statistics is not None
        assert {schema.encoding for schema in summary.schemas.values()} == {"ros2msg"}
        assert {channel.message_encoding for channel in summary.channels.values()} == {"cdr"}
        assert all("offered_qos_profiles" in channel.metadata for channel in summary.channels.values())
        times = [(m.log_time, m.publish_time) for _, _, m in reader.iter_messages(topics=[topics.JOINT_STATES])]
        assert times[0] == (T0 + 3_000_000, T0) and len(times) == 300
        assert [record.name for record in reader.iter_metadata()] == ["episode", "outcome"]


def test_an_hour_of_recording_hardly_needs_more_memory_than_a_minute(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spark_ros.data.episode_writer._CHUNK_BYTES", 20)  # a message each
    chunks = 5_000
    kind, cdr = encode_text("policy")
    with EpisodeWriter(tmp_path / "long.mcap", METADATA) as writer:
        for number in range(chunks + 1):
            if number == 1:
                tracemalloc.start()
                before = tracemalloc.get_traced_memory()[0]
            writer.write(topics.GATEWAY_MODE, kind, cdr, T0 + number, T0 + number)
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
        path = writer.close()
    assert grown < 200 * chunks, "bytes: two cameras fill 100,000 chunks an hour"
    with path.open("rb") as stream:
        reader = make_reader(stream, validate_crcs=True)
        summary = reader.get_summary()
        assert summary is not None and len(summary.chunk_indexes) == chunks + 1
        late = [message.log_time for _, _, message in reader.iter_messages(starting_at=T0 + chunks - 1)]
    assert late == [T0 + chunks - 1, T0 + chunks]


def test_rosbags_reads_it_with_the_schemas_in_the_file(episode_path: Path) -> None:
    with AnyReader([episode_path]) as reader:
        counts = Counter(connection.topic for connection, _, _ in reader.messages())
        assert counts[topics.GATEWAY_SETPOINT] == 300 and counts[topics.camera_image("wrist")] == 30
        latched = {c.topic for c in reader.connections if c.ext.offered_qos_profiles[0].durability.name != "VOLATILE"}
        assert latched == {topics.GATEWAY_MODE}
        images = [c for c in reader.connections if c.topic == topics.camera_image("front")]
        connection, _, cdr = next(reader.messages(images))
        assert reader.deserialize(cdr, connection.msgtype).encoding == "rgb8"


def test_rclpy_deserializes_the_messages(episode_path: Path) -> None:
    serialization = pytest.importorskip("rclpy.serialization")
    from sensor_msgs.msg import Image, JointState

    with AnyReader([episode_path]) as reader:
        for topic, msg_class in ((topics.JOINT_STATES, JointState), (topics.camera_image("front"), Image)):
            connection = next(c for c in reader.connections if c.topic == topic)
            cdr = next(iter(reader.messages([connection])))[2]
            message = serialization.deserialize_message(bytes(cdr), msg_class)
            assert message.header.stamp.sec == T0 // 10**9
            assert serialization.serialize_message(message)[:12] == bytes(cdr)[:12]


def test_a_file_carries_its_name_only_when_it_is_whole(tmp_path: Path, script: Callable[..., Script]) -> None:
    with pytest.raises(RuntimeError), EpisodeWriter(tmp_path / "one.mcap", METADATA) as writer:
        script(duration=1.0).write(writer)
        raise RuntimeError("the recorder fails")
    assert [path.name for path in tmp_path.iterdir()] == ["one.mcap.part"]


def test_a_full_disk_is_one_sentence_and_what_was_written_is_kept(
    tmp_path: Path, script: Callable[..., Script]
) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, hard))
    try:
        with pytest.raises(SparkError, match=r"cannot write .*one\.mcap\.part: File too large; make room"):
            with EpisodeWriter(tmp_path / "one.mcap", METADATA) as writer:
                script(duration=10.0).write(writer)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert len(read_episode(recover_episode(writer.part_path)).joints) > 100


def test_discard_leaves_nothing(tmp_path: Path, script: Callable[..., Script]) -> None:
    writer = EpisodeWriter(tmp_path / "one.mcap", METADATA)
    script(duration=0.5).write(writer)
    writer.discard()
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_ever_overwritten(episode_path: Path) -> None:
    before = episode_path.read_bytes()
    with pytest.raises(SparkError, match="exists already"):
        EpisodeWriter(episode_path, METADATA)
    assert episode_path.read_bytes() == before


def test_metadata_without_a_task_is_refused(tmp_path: Path) -> None:
    with pytest.raises(SparkError, match="needs task"):
        EpisodeWriter(tmp_path / "one.mcap", {"robot": "fr3"})
    assert list(tmp_path.iterdir()) == []


def test_a_topic_keeps_its_type_and_has_possible_stamps(tmp_path: Path) -> None:
    with EpisodeWriter(tmp_path / "one.mcap", METADATA) as writer:
        writer.write("/a", "std_msgs/msg/String", b"\0\1\0\0\1\0\0\0\0", 1, 1)
        with pytest.raises(SparkError, match="/a carried std_msgs/msg/String"):
            writer.write("/a", "std_msgs/msg/Bool", b"\0\1\0\0\1", 2, 2)
        with pytest.raises(SparkError, match="/a carries a stamp before 1970"):
            writer.write("/a", "std_msgs/msg/String", b"\0\1\0\0\1\0\0\0\0", 2, -1)


@pytest.mark.parametrize("part_of_file", [0.5, 0.75, 0.98])
def test_a_torn_file_is_readable_up_to_the_tear(
    tmp_path: Path, script: Callable[..., Script], part_of_file: float
) -> None:
    with EpisodeWriter(tmp_path / "one.mcap", METADATA) as writer:
        script(duration=6.0).write(writer)
    whole = writer.part_path.read_bytes()
    writer.part_path.write_bytes(whole[: int(len(whole) * part_of_file)])
    path = recover_episode(writer.part_path)
    assert [entry.name for entry in tmp_path.iterdir()] == ["one.mcap"] == [path.name]
    episode = read_episode(path)
    assert 6.0 * part_of_file - 1.6 < len(episode.joints) / 100 <= 6.0 * part_of_file + 0.5
    assert (episode.metadata.task, episode.metadata.success) == ("lift the cube", None)
    np.testing.assert_array_equal(episode.joints.stamps_ns, T0 + np.arange(len(episode.joints)) * 10_000_000)
    with AnyReader([path]) as reader:
        assert sum(1 for _ in reader.messages()) > 100


def test_a_torn_or_damaged_file_is_not_read_as_an_episode(episode_path: Path) -> None:
    whole = episode_path.read_bytes()
    episode_path.chmod(0o644)  # finished files are read-only
    episode_path.write_bytes(whole[:-200])
    with pytest.raises(SparkError, match=r"one\.mcap is torn or damaged: it ends at byte"):
        read_episode(episode_path)
    episode_path.write_bytes(whole)
    chunks = {message.location.chunk for message in McapScan(episode_path)}
    assert len(chunks) > 1
    for chunk in chunks:
        assert chunk is not None
        damaged = bytearray(whole)
        damaged[chunk + 100] ^= 0xFF
        episode_path.write_bytes(damaged)
        with pytest.raises(SparkError, match=rf"one\.mcap is torn or damaged: its record at byte {chunk} is damaged"):
            read_episode(episode_path)
    episode_path.write_bytes(b"not an mcap file")
    with pytest.raises(SparkError, match="not an MCAP file"):
        read_episode(episode_path)


def test_an_empty_part_file_cannot_be_recovered_and_stays(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "one.mcap", METADATA)  # and killed at once
    with pytest.raises(SparkError, match="no complete chunk"):
        recover_episode(writer.part_path)
    assert writer.part_path.exists()
    writer.discard()


KILLED_RECORDER = """
import sys
sys.path.insert(0, {tests!r})
from synthetic_episode import METADATA, Script
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.robots.spec import load_robot
folder, script = DemoFolder(sys.argv[1]), Script(load_robot("fr3"), duration=1.0)
with folder.recording():
    for _ in range(2):
        writer = folder.start_episode(METADATA)
        script.write(writer)
        folder.keep(writer, {{"success": True}})
    writer = folder.start_episode(METADATA)
    script.duration = 4.0
    script.write(writer)
    print("writing", flush=True)
    import time; time.sleep(60)
"""


def test_kill_9_keeps_finished_episodes_and_frees_the_folder(tmp_path: Path) -> None:
    from spark_ros.data.dataset_folder import DemoFolder

    program = KILLED_RECORDER.format(tests=str(Path(__file__).parent))
    process = subprocess.Popen([sys.executable, "-c", program, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "writing\n"
    finished = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in tmp_path.glob("*.mcap")}
    folder = DemoFolder(tmp_path)
    with pytest.raises(SparkError, match=rf"process {process.pid} is recording"), folder.recording():
        pass
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    time.sleep(0.05)

    entries = folder.episodes()
    assert {entry.file: entry.sha256 for entry in entries} == finished and len(finished) == 2
    for entry in entries:
        folder.read(entry)
    assert [path.name for path in folder.unfinished()] == ["episode_000003.mcap.part"]
    with folder.recording():
        assert folder.start_episode(METADATA).path.name == "episode_000004.mcap"
        recovered = folder.recover(folder.unfinished()[0])
    assert 2.5 < recovered.duration_s <= 4.0 and recovered.success is None
    assert len(folder.episodes()) == 3


@pytest.mark.parametrize(
    ("topic", "camera"),
    [("/camera/front/color/image_raw", "front"), ("/camera/a/b/color/image_raw", None), ("/joint_states", None)],
)
def test_cameras_are_found_by_topic(topic: str, camera: str | None) -> None:
    assert topics.camera_of(topic) == camera


def test_a_persons_corrections_of_a_policy_are_labelled_step_by_step(tmp_path: Path) -> None:
    writer = EpisodeWriter(tmp_path / "one.mcap", METADATA)
    for second, mode in ((0, "policy"), (2, "teleop"), (4, "hold"), (5, "policy"), (7, "teleop")):
        writer.write(topics.GATEWAY_MODE, *encode_text(mode), T0 + second * 1_000_000_000, 0)
    modes = read_episode(writer.close()).modes
    steps = T0 + np.arange(-1, 9) * 1_000_000_000 + 500_000_000
    assert modes.interventions(steps).astype(int).tolist() == [0, 0, 0, 1, 1, 0, 0, 0, 1, 1]
    assert modes.driven_by("policy", steps).astype(int).tolist() == [0, 1, 1, 0, 0, 0, 1, 1, 0, 0]


def test_a_demonstration_without_a_policy_has_no_corrections(episode_path: Path) -> None:
    episode = read_episode(episode_path)
    assert episode.modes.driven_by("teleop", episode.setpoints.stamps_ns)[1:].all()
    assert not episode.modes.interventions(episode.setpoints.stamps_ns).any()
