"""The labels a policy is trained on, from episodes whose motion is known exactly."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from synthetic_episode import METADATA, T0, Script

from spark_ros import topics
from spark_ros.contracts import ActionKind, SparkError
from spark_ros.data.align import ObservationAligner
from spark_ros.data.codec import ActionCodec, Proprioception
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.episode_reader import Episode, read_episode
from spark_ros.data.episode_writer import EpisodeWriter
from spark_ros.data.samples import PolicySamples, load_samples
from spark_ros.data.validate import check_episode
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import RobotSpec

CAMERAS = ("front", "wrist")


@pytest.fixture
def load(spec: RobotSpec, kinematics: Kinematics) -> Callable[..., PolicySamples]:
    def load(folder: DemoFolder, kind: ActionKind = ActionKind.JOINT_POSITION, **options: object) -> PolicySamples:
        codec = ActionCodec(kind, 10, 0.1, kinematics)
        return load_samples(folder, CAMERAS, Proprioception(kinematics, spec.gripper), codec, **options)

    return load


def record(folder: Path, script: Script) -> DemoFolder:
    demos = DemoFolder(folder)
    with demos.recording():
        writer = demos.start_episode(METADATA)
        script.write(writer)
        demos.keep(writer, {"success": True})
    return demos


def test_samples_hold_what_was_seen_measured_and_commanded(
    demo_folder: DemoFolder, load: Callable[..., PolicySamples], script: Callable[..., Script]
) -> None:
    samples, expected = load(demo_folder), script()
    assert [len(episode) for episode in samples.episodes] == [30, 25]  # the failed one is left out
    first = samples.episodes[0]
    np.testing.assert_array_equal(first.stamps_ns, T0 + np.arange(30) * 100_000_000)
    assert first.valid.all()
    for i in (0, 13, 19):
        t = i / 10
        np.testing.assert_array_equal(first.image("wrist", i), expected.image("wrist", t))
        np.testing.assert_allclose(first.proprioception[i, :7], expected.measured(t), atol=1e-6)
        np.testing.assert_allclose(first.proprioception[i, -1], expected.width(t), atol=1e-6)
        for step in range(10):
            due = min(t + (step + 1) * 0.1, 2.99)
            np.testing.assert_allclose(first.action[i, step, :7], expected.q(due) - expected.measured(t), atol=1e-6)
            np.testing.assert_allclose(first.action[i, step, 7], expected.width(due), atol=1e-6)
    assert len(load(demo_folder, only_successes=False).episodes) == 3


def test_tool_labels_point_to_the_tool_pose_of_the_commanded_joints(
    demo_folder: DemoFolder,
    load: Callable[..., PolicySamples],
    script: Callable[..., Script],
    kinematics: Kinematics,
) -> None:
    samples, expected = load(demo_folder, ActionKind.EE_POSE), script()
    assert samples.action_names[:3] == ("dx", "dy", "dz")
    here, there = kinematics.forward(expected.measured(1.0)), kinematics.forward(expected.q(1.5))
    np.testing.assert_allclose(samples.episodes[0].action[10, 4, :3], there.position - here.position, atol=1e-6)


def test_joints_are_interpolated_at_the_oldest_frame_of_skewed_cameras(
    tmp_path: Path, load: Callable[..., PolicySamples], script: Callable[..., Script]
) -> None:
    scripted = script(skew_s=-0.004)
    episode = load(record(tmp_path, scripted)).episodes[0]
    sample = 4  # the first wrist frame is older than the first setpoint and so not a sample
    t = (episode.stamps_ns[sample] - T0) * 1e-9
    assert t == pytest.approx(0.496)
    np.testing.assert_allclose(episode.proprioception[sample, :7], scripted.measured(t), atol=1e-6)
    np.testing.assert_allclose(episode.action[sample, 0, :7], scripted.q(t + 0.1) - scripted.measured(t), atol=1e-6)


def test_steps_not_for_imitation_cut_the_chunk(
    tmp_path: Path, load: Callable[..., PolicySamples], script: Callable[..., Script]
) -> None:
    episode = load(record(tmp_path, script(excluded=(1.05, 1.5)))).episodes[0]
    valid_steps = episode.valid.sum(axis=1)
    assert valid_steps[0] == 10  # 0.0 s: the chunk ends at 1.0 s
    assert valid_steps[1] == 9  # 0.1 s: step 10 is due at 1.1 s, after the operator left the task at 1.05 s
    assert valid_steps[9] == 1
    assert (valid_steps[10:15] == 0).all()
    assert (valid_steps[15:] == 10).all()  # 1.5 s: back on the task


def test_live_and_offline_give_the_same_proprioception_and_frames(
    tmp_path: Path, load: Callable[..., PolicySamples], script: Callable[..., Script], kinematics: Kinematics
) -> None:
    scripted = script(skew_s=0.007)
    offline = load(record(tmp_path, scripted)).episodes[0]
    episode, spec = read_episode(tmp_path / "episode_000001.mcap"), scripted.spec
    encoder = Proprioception(kinematics, spec.gripper)
    names = (*spec.joint_names, *spec.gripper.joint_names)
    live: ObservationAligner[int] = ObservationAligner(CAMERAS, names)
    # Features arrive 40 and 60 ms after the frames, joint states at once.
    arrivals = [(state.stamp_ns, 0, "", 0, state) for state in episode.joints.states()]
    for camera, delay in (("front", 40), ("wrist", 60)):
        arrivals += [
            (int(stamp) + delay * 1_000_000, 1, camera, index, int(stamp))
            for index, stamp in enumerate(episode.cameras[camera].stamps_ns)
        ]
    seen = {}
    for _, is_frame, camera, index, item in sorted(arrivals, key=lambda entry: entry[:2]):
        new = live.add_frame_or_features(camera, index, item) if is_frame else live.add_joints(item)
        seen.update({found.stamp_ns: found for found in new})
    assert list(seen) == offline.stamps_ns.tolist()
    for i, found in enumerate(seen.values()):
        np.testing.assert_array_equal(encoder.encode(found.joints), offline.proprioception[i])
        assert all(found.items[camera] == offline.frame_index[camera][i] for camera in CAMERAS)


def test_another_robot_or_an_empty_folder_is_refused(
    demo_folder: DemoFolder, tmp_path: Path, load: Callable[..., PolicySamples], script: Callable[..., Script]
) -> None:
    demos = DemoFolder(tmp_path / "other")
    with demos.recording():
        with pytest.raises(SparkError, match="holds no successful episode"):
            load(demos)
        writer = demos.start_episode({**METADATA, "robot": "ur5e"})
        script(duration=0.5).write(writer)
        demos.keep(writer, {"success": True})
    with pytest.raises(SparkError, match=r"episode_000001\.mcap was recorded with robot 'ur5e', expected 'fr3'"):
        load(demos)


@pytest.fixture
def episode(tmp_path: Path, script: Callable[..., Script]) -> Episode:
    writer = EpisodeWriter(tmp_path / "one.mcap", METADATA)
    script(duration=1.0).write(writer)
    return read_episode(writer.close())


def check(episode: Episode, spec: RobotSpec, cameras: tuple[str, ...] = CAMERAS) -> None:
    check_episode(episode, cameras, (*spec.joint_names, *spec.gripper.joint_names))


def test_a_good_episode_passes(episode: Episode, spec: RobotSpec) -> None:
    check(episode, spec)


def test_a_missing_camera_is_named_with_the_ones_found(episode: Episode, spec: RobotSpec) -> None:
    with pytest.raises(SparkError, match=r"one\.mcap: /camera/side/.* not recorded \(cameras found: front, wrist\)"):
        check(episode, spec, ("front", "side"))


@pytest.mark.parametrize("topic", [topics.JOINT_STATES, topics.GATEWAY_SETPOINT])
def test_gaps_nan_backward_stamps_and_missing_joints_are_named(episode: Episode, spec: RobotSpec, topic: str) -> None:
    stream = "joints" if topic == topics.JOINT_STATES else "setpoints"
    series = getattr(episode, stream)

    def broken(**changes: object) -> Episode:
        return replace(episode, **{stream: replace(series, **changes)})

    late = series.stamps_ns.copy()
    late[40:] += 1_000_000_000
    with pytest.raises(SparkError, match=rf"one\.mcap: {topic} pauses for 1\.01 s at 0\.39 s, expected at most 0\.25"):
        check(broken(stamps_ns=late), spec)
    twice = series.stamps_ns.copy()
    twice[7] = twice[6]
    with pytest.raises(SparkError, match=rf"{topic} has a stamp not after its predecessor at message 7"):
        check(broken(stamps_ns=twice), spec)
    position = series.position.copy()
    position[30, 2] = np.nan
    with pytest.raises(SparkError, match=rf"{topic} is not finite for joint {spec.joint_names[2]} at 0\.30 s"):
        check(broken(position=position), spec)
    with pytest.raises(SparkError, match=rf"{topic} lacks joints {spec.joint_names[0]}"):
        check(broken(names=("a", *series.names[1:])), spec)
    empty = {"stamps_ns": late[:0], "position": position[:0], "velocity": position[:0], "names": ()}
    with pytest.raises(SparkError, match=rf"{topic} was not recorded"):
        check(broken(**empty), spec)


def test_an_operator_who_lets_go_is_not_imitated(episode: Episode) -> None:
    assert episode.teleop is not None
    deadman = episode.teleop.deadman.copy()
    deadman[10:12] = False
    deadman[-1] = False
    spans = (replace(episode.teleop, deadman=deadman).excluded_spans() - T0) * 1e-9
    np.testing.assert_allclose(spans[0], [0.5, 0.6])
    assert spans[1][0] == pytest.approx(0.95) and spans[1][1] > 1e9
    assert episode.teleop.excluded_spans().shape == (0, 2)
