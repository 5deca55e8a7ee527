from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from synthetic_episode import METADATA, T0, Script

from spark_ros import topics
from spark_ros.contracts import Frame, JointState
from spark_ros.data.cdr_messages import Message, encode_frame, encode_joints
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.validate_folder import validate_folder
from spark_ros.data.validation_page import Inspected, validation_page

Change = Callable[[int, str, Message], "list[tuple[int, str, Message]]"]
FRONT = topics.camera_image("front")


def pattern() -> Change:
    """Pictures that differ from frame to frame, as a camera's do."""

    def change(stamp: int, topic: str, message: Message) -> list[tuple[int, str, Message]]:
        camera = (topics.camera_image("wrist") == topic and "wrist") or "front"
        if "image_raw" not in topic:
            return [(stamp, topic, message)]
        image = np.random.default_rng(stamp % 2**32).integers(0, 255, (24, 32, 3)).astype(np.uint8)
        return [(stamp, topic, encode_frame(Frame(camera, image, stamp)))]

    return change


@pytest.fixture
def inspected(tmp_path: Path, script: Callable[..., Script]) -> Callable[..., Inspected]:
    """Inspects an episode whose messages were changed."""

    def inspect(change: Change | None = None, **options: object) -> Inspected:
        folder, one = DemoFolder(tmp_path / "demos"), script(duration=3.0, **options)
        real = pattern()
        messages = [new for entry in one.messages() for new in real(*entry)]
        messages = [new for entry in messages for new in (change(*entry) if change else [entry])]
        with folder.recording():
            writer = folder.start_episode(METADATA)
            for stamp, topic, message in sorted(messages, key=lambda entry: entry[0]):
                writer.write(topic, *message, stamp, stamp)
            folder.keep(writer, {"success": True})
        return list(validate_folder(folder, plots=False))[-1]

    return inspect


def joints(stamp: int, spec, offset: dict[int, float]) -> Message:
    """A joint state like the script's, with some joints moved by so much."""
    one = Script(spec)
    position = np.concatenate([one.measured((stamp - T0) * 1e-9), np.full(2, 0.02)])
    for joint, by in offset.items():
        position[joint] += by
    names = (*spec.joint_names, *spec.gripper.joint_names)
    return encode_joints(JointState(names, position, np.zeros(9), stamp))


def found(episode: Inspected) -> str:
    return "\n".join(f"{finding.severity.value} {finding.sentence}" for finding in episode.findings)


def test_a_good_episode_has_no_finding(inspected) -> None:
    episode = inspected()
    assert (found(episode), episode.verdict) == ("", "good")
    assert episode.inspection.rates_hz[FRONT] == pytest.approx(10.0)
    assert episode.inspection.observations >= 29 and episode.inspection.skew_ms == (0.0, 0.0)


def test_skew_between_cameras_is_measured(inspected) -> None:
    assert inspected(skew_s=0.03).inspection.skew_ms == (30.0, 30.0)


def test_a_lost_message_and_a_long_pause(inspected) -> None:
    def lose(stamp, topic, message):
        return [] if topic == FRONT and 1.0 <= (stamp - T0) * 1e-9 < 1.25 else [(stamp, topic, message)]

    assert f"odd {FRONT} pauses 1 times, longest 0.400 s where 0.100 s is usual (at 0.90 s)" in found(inspected(lose))

    def lose_more(stamp, topic, message):
        return [] if topic == FRONT and 1.0 <= (stamp - T0) * 1e-9 < 1.75 else [(stamp, topic, message)]

    assert f"bad {FRONT} pauses for 0.90 s at 0.90 s, expected at most 0.5 s" in found(inspected(lose_more))


def test_repeated_stamps(inspected) -> None:
    def repeat(stamp, topic, message):
        twice = topic == FRONT and stamp == T0 + 1_000_000_000
        return [(stamp, topic, message)] * (2 if twice else 1)

    assert f"bad {FRONT} has 1 messages with the stamp of the one before (at 1.00 s)" in found(inspected(repeat))


def test_a_camera_that_froze_while_the_arm_moved(inspected) -> None:
    image = np.random.default_rng(0).integers(0, 255, (24, 32, 3)).astype(np.uint8)

    def freeze(stamp, topic, message):
        if topic == FRONT and (stamp - T0) * 1e-9 >= 2.0:
            message = encode_frame(Frame("front", image, stamp))
        return [(stamp, topic, message)]

    assert f"bad {FRONT} is frozen: 10 frames are the same while the arm moves (at 2.00 s)" in found(inspected(freeze))


def test_joints_that_jump_or_leave_their_limits_or_are_no_numbers(inspected, spec) -> None:
    def bend(offset: dict[int, float]) -> Change:
        def change(stamp, topic, message):
            if topic == topics.JOINT_STATES and (stamp - T0) * 1e-9 >= 1.5:
                message = joints(stamp, spec, offset)
            return [(stamp, topic, message)]

        return change

    jump = found(inspected(bend({2: 0.3})))
    assert f"bad {topics.JOINT_STATES} jumps 1 times: joint {spec.joint_names[2]} by 0.3" in jump
    beyond = found(inspected(bend({6: 4.0})))
    assert f"bad {topics.JOINT_STATES} has joint {spec.joint_names[6]}" in beyond and "beyond its limit" in beyond
    assert "is not finite for joint" in found(inspected(bend({1: float("nan")})))


def test_a_camera_on_another_clock(inspected) -> None:
    def shift(stamp, topic, message):
        if topic != FRONT:
            return [(stamp, topic, message)]
        late = stamp + 2_000_000_000
        image = np.random.default_rng(stamp % 2**32).integers(0, 255, (24, 32, 3)).astype(np.uint8)
        return [(late, topic, encode_frame(Frame("front", image, late)))]

    said = found(inspected(shift))
    assert f"odd {FRONT} begins and ends 2.00 s after the joint states: its clock is another one" in said
    assert "observations could be formed" in said


def test_episodes_that_are_the_same(demo_folder: DemoFolder, script: Callable[..., Script]) -> None:
    with demo_folder.recording():
        writer = demo_folder.start_episode({**METADATA, "operator": "somebody else"})
        script(duration=3.0).write(writer)
        demo_folder.keep(writer, {"success": True})
    episodes = list(validate_folder(demo_folder, plots=False))
    assert "episode is a duplicate: every frame is that of episode_000001.mcap" in found(episodes[-1])


def test_a_damaged_episode_does_not_hide_the_others(demo_folder: DemoFolder) -> None:
    path = demo_folder.file(demo_folder.episodes()[1])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes()[:-100])
    episodes = list(validate_folder(demo_folder, plots=False))
    assert len(episodes) == 3 and episodes[1].verdict == "bad" and "has SHA-256" in found(episodes[1])


def test_the_page_shows_every_episode_and_escapes_what_it_shows(demo_folder: DemoFolder) -> None:
    pytest.importorskip("matplotlib")
    episodes = list(validate_folder(demo_folder))
    page = validation_page("<b>demos</b>", episodes, "now")
    assert page.count("data:image/png;base64,") == 3 and "&lt;b&gt;demos" in page
    assert all(f"id='{episode.entry.file}'" in page for episode in episodes)
