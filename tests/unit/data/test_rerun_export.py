"""Recordings are read back by Rerun's own reader: what the viewer will show is what was recorded."""

from __future__ import annotations

import resource
import signal
import subprocess
import sys
from collections import defaultdict
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from synthetic_episode import METADATA, MS, T0, Script

from spark_ros import cli
from spark_ros.contracts import SparkError
from spark_ros.data.cdr_messages import encode_text
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.episode_reader import Episode, read_episode
from spark_ros.data.image_storage import ImageStorage, pack_image
from spark_ros.data.rerun_export import RerunOptions, export_episode, export_folder
from spark_ros.data.rerun_images import RerunImages
from spark_ros.robots.kinematics import Kinematics
from spark_ros.topics import GATEWAY_MODE, camera_image

pytest.importorskip("rerun", reason="rerun-sdk needs Python 3.11")
from rerun.chunk import RrdReader

QUIET = RerunOptions(progress=False)
PNG = RerunOptions(RerunImages.PNG, progress=False)


class Recorded:
    """A recording's columns by entity and component, each row as a numpy array or a text."""

    def __init__(self, path: Path) -> None:
        reader = RrdReader(path)
        (self.store,) = reader.recordings()
        self.layouts = len(reader.blueprints())
        self._columns: defaultdict[tuple[str, str], list] = defaultdict(list)
        for chunk in reader.stream(store=self.store).to_chunks():
            batch = chunk.to_record_batch()
            columns = dict(zip(batch.schema.names[1:], batch.columns[1:], strict=True))
            times = {name: columns.pop(name).cast("int64").to_pylist() for name in chunk.timeline_names}
            for name, column in columns.items():
                # A component is a list of instances, here of one each.
                self._columns[chunk.entity_path, name] += [value[0] for value in column.to_pylist()]
                for timeline, stamps in times.items():
                    self._columns[chunk.entity_path, f"{timeline} of {name}"] += stamps

    def stamps(self, entity: str, component: str, timeline: str = "stamp") -> list[int]:
        return self._columns[entity, f"{timeline} of {component}"]

    def values(self, entity: str, component: str) -> list:
        return self._columns[entity, component]


@pytest.fixture
def episode(demo_folder: DemoFolder) -> Episode:
    return demo_folder.read(demo_folder.episodes()[0])


@pytest.fixture
def exported(episode: Episode, tmp_path: Path) -> Recorded:
    export_episode(episode.path, tmp_path / "one.rrd", PNG)
    return Recorded(tmp_path / "one.rrd")


def test_joints_setpoints_and_gripper_have_their_numbers_and_their_true_stamps(
    exported: Recorded, episode: Episode
) -> None:
    for kind, series in (("measured", episode.joints), ("commanded", episode.setpoints)):
        for column, name in enumerate(series.names):
            entity = f"/joints/{kind}/{name}"
            assert exported.stamps(entity, "Scalars:scalars") == series.stamps_ns.tolist()
            assert exported.values(entity, "Scalars:scalars") == series.position[:, column].tolist()
        fingers = series.columns(["fr3_finger_joint1", "fr3_finger_joint2"]).sum(axis=1)
        assert exported.values(f"/gripper/{kind}", "Scalars:scalars") == pytest.approx(fingers.tolist(), abs=1e-12)
    speed = exported.values("/joints/speed/fr3_joint3", "Scalars:scalars")
    assert speed == episode.joints.velocity[:, episode.joints.names.index("fr3_joint3")].tolist()
    since = exported.stamps("/joints/measured/fr3_joint1", "Scalars:scalars", "since_start")
    assert since == (episode.joints.stamps_ns - T0).tolist()


def test_the_tool_is_where_the_robots_kinematics_put_it(
    exported: Recorded, episode: Episode, kinematics: Kinematics
) -> None:
    for kind, series in (("measured", episode.joints), ("commanded", episode.setpoints)):
        entity = f"/world/tool/{kind}"
        assert exported.stamps(entity, "Transform3D:quaternion") == series.stamps_ns.tolist()
        poses = [kinematics.forward(q) for q in series.columns(kinematics.spec.joint_names)]
        # Rerun keeps poses in single precision.
        positions, turns = (exported.values(entity, f"Transform3D:{name}") for name in ("translation", "quaternion"))
        np.testing.assert_allclose(positions, [pose.position for pose in poses], atol=1e-6)
        np.testing.assert_allclose(turns, [pose.quaternion for pose in poses], atol=1e-6)


def test_every_frame_is_there_pixel_by_pixel_at_its_capture_time(exported: Recorded, episode: Episode) -> None:
    for camera, frames in episode.cameras.items():
        entity = f"/camera/{camera}"
        assert exported.stamps(entity, "EncodedImage:blob") == frames.stamps_ns.tolist()
        assert set(exported.values(entity, "EncodedImage:media_type")) == {"image/png"}
        for frame, blob in zip(frames, exported.values(entity, "EncodedImage:blob"), strict=True):
            seen = cv2.cvtColor(cv2.imdecode(np.array(blob, np.uint8), cv2.IMREAD_COLOR), cv2.COLOR_BGR2RGB)
            assert np.array_equal(seen, frame.image)


def test_what_was_said_of_the_episode_is_text_and_properties(exported: Recorded, episode: Episode) -> None:
    (text,) = exported.values("/episode", "TextDocument:text")
    for line in ("**task**: lift the cube", "**success**: yes", "**operator**: expert", "**seed**: 7"):
        assert line in text
    assert exported.values("/__properties/episode", "task") == ["lift the cube"]
    assert exported.values("/__properties/episode", "success") == ["yes"]
    assert exported.values("/__properties", "RecordingInfo:name") == [episode.path.stem]
    assert exported.values("/__properties", "RecordingInfo:start_time") == [T0]
    assert exported.layouts == 1  # how the viewer arranges it


def test_interventions_and_what_is_not_to_be_imitated_are_labelled(
    tmp_path: Path, script: Callable[..., Script]
) -> None:
    folder = DemoFolder(tmp_path / "corrections")
    modes = ((0.2, "policy"), (1.0, "teleop"), (2.0, "policy"))
    with folder.recording():
        writer = folder.start_episode({**METADATA, "operator": "policy"})
        messages = [m for m in script(excluded=(1.5, 1.8)).messages() if m[1] != GATEWAY_MODE]
        messages += [(T0 + round(at * 1e9), GATEWAY_MODE, encode_text(mode)) for at, mode in modes]
        for stamp, topic, (kind, cdr) in sorted(messages, key=lambda message: message[0]):
            writer.write(topic, kind, cdr, stamp, stamp)
        entry = folder.keep(writer, {"success": True, "note": "a *second* try"})
    export_episode(folder.file(entry), tmp_path / "one.rrd", QUIET)
    recorded = Recorded(tmp_path / "one.rrd")
    state, at = "StateChange:state", [T0 + round(s * 1e9) for s, _ in modes]
    assert recorded.values("/labels/mode", state) == ["policy", "teleop", "policy"]
    assert recorded.values("/labels/driver", state) == ["policy", "intervention", "policy"]
    assert recorded.stamps("/labels/driver", state) == recorded.stamps("/labels/mode", state) == at
    assert recorded.values("/labels/teleop", state) == ["to imitate", "not to imitate", "to imitate"]
    assert recorded.stamps("/labels/teleop", state) == [T0, T0 + 1500 * MS, T0 + 1800 * MS]
    assert recorded.values("/__properties/episode", "note") == ["a *second* try"]


def test_images_that_were_packed_stay_the_bytes_they_are(tmp_path: Path, script: Callable[..., Script]) -> None:
    folder = DemoFolder(tmp_path / "packed")
    with folder.recording():
        writer = folder.start_episode(METADATA)
        for stamp, topic, (kind, cdr) in script(duration=1.0).messages():
            if topic == camera_image("front"):
                kind, cdr = pack_image(cdr, ImageStorage.JPEG, 70) or pytest.fail("not packed")
                topic += "/compressed"
            writer.write(topic, kind, cdr, stamp, stamp)
        entry = folder.keep(writer, {"success": None})
    export_episode(folder.file(entry), tmp_path / "one.rrd", PNG)
    recorded, frames = Recorded(tmp_path / "one.rrd"), read_episode(folder.file(entry)).cameras["front"]
    packed = [frames.packed(index) for index in range(len(frames))]
    assert packed[0] is not None and packed[0].startswith(b"\xff\xd8")
    assert [bytes(blob) for blob in recorded.values("/camera/front", "EncodedImage:blob")] == packed
    assert set(recorded.values("/camera/front", "EncodedImage:media_type")) == {"image/jpeg"}
    assert set(recorded.values("/camera/wrist", "EncodedImage:media_type")) == {"image/png"}


def test_video_shows_every_frame_at_its_true_time(episode: Episode, tmp_path: Path) -> None:
    av = pytest.importorskip("av", reason="PyAV comes with training; the gate installs it")
    export_episode(episode.path, tmp_path / "one.rrd", RerunOptions(RerunImages.VIDEO, progress=False))
    recorded, decoder = Recorded(tmp_path / "one.rrd"), av.CodecContext.create("h264", "r")
    frames = episode.cameras["wrist"]
    assert recorded.stamps("/camera/wrist", "VideoStream:sample") == frames.stamps_ns.tolist()
    assert recorded.values("/camera/wrist", "VideoStream:is_keyframe")[0]
    samples = [bytes(sample) for sample in recorded.values("/camera/wrist", "VideoStream:sample")]
    shown = [image for sample in samples for image in decoder.decode(av.Packet(sample))] + decoder.decode(None)
    assert len(shown) == len(frames)
    for image, frame in zip(shown, frames, strict=True):
        apart = image.to_ndarray(format="rgb24").astype(int) - frame.image
        assert np.abs(apart).mean() < 4.0  # h264 loses a little


def test_the_same_episode_gives_the_same_recording(episode: Episode, tmp_path: Path) -> None:
    files = [tmp_path / "one.rrd", tmp_path / "two.rrd"]
    for file in files:
        export_episode(episode.path, file, QUIET)
    compared = subprocess.run(
        [sys.executable, "-m", "rerun_cli", "rrd", "compare", "--unordered", *map(str, files)],
        capture_output=True,
        text=True,
        env={"HOME": str(tmp_path), "PATH": ""},  # where Rerun may leave its settings
    )
    assert compared.returncode == 0, compared.stderr
    assert Recorded(files[0]).store.recording_id == Recorded(files[1]).store.recording_id


def test_a_folder_becomes_a_folder_of_recordings_or_one_of_them(
    demo_folder: DemoFolder, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    written = export_folder(demo_folder, tmp_path / "all", QUIET)
    assert [path.name for path in written] == [f"episode_{n:06d}.rrd" for n in (1, 2, 3)]
    assert len({Recorded(path).store.recording_id for path in written}) == 3
    assert Recorded(written[1]).values("/__properties/episode", "success") == ["no"]
    command = ["data", "export", "rerun", str(demo_folder.path)]
    assert cli.main([*command, "--episode", "1", "--out", str(tmp_path / "one.rrd")]) == 0
    first = Recorded(tmp_path / "one.rrd")
    assert first.values("/__properties/episode", "file") == ["episode_000002.mcap"]
    assert cli.main([*command, "--episode", "3", "--out", str(tmp_path / "none.rrd")]) == cli.REFUSED
    assert cli.main([*command, "--episode", "0", "--out", str(tmp_path / "one.rrd")]) == cli.REFUSED
    assert cli.main([*command, "--episode", "0", "--out", str(tmp_path / "one.mcap")]) == cli.REFUSED
    said = capsys.readouterr().err
    assert "has 3 episodes" in said and "never overwritten" in said and "ends in .rrd" in said


def test_a_full_disk_leaves_no_half_recording_behind(episode: Episode, tmp_path: Path) -> None:
    ignored = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (60_000, before[1]))
    try:
        with pytest.raises(SparkError, match="make room"):
            export_episode(episode.path, tmp_path / "one.rrd", QUIET)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
        signal.signal(signal.SIGXFSZ, ignored)
    assert not list(tmp_path.glob("*.rrd*")) and not list(tmp_path.glob(".*"))


def test_without_rerun_one_sentence_says_what_to_install(
    episode: Episode, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "rerun", None)
    with pytest.raises(SparkError, match=r"pip install 'spark_ros\[rerun\]'"):
        export_episode(episode.path, tmp_path / "one.rrd", QUIET)
