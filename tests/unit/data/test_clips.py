"""Every source gives the frames it was made of, with their times; what is wrong with a folder is said in a sentence."""

from __future__ import annotations

import json
import random
import shutil
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from synthetic_episode import METADATA, MS, T0, Script
from video_for_tests import change_info, read_barcode, write_lerobot, write_video

from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.data.cdr_messages import encode_text
from spark_ros.data.clips import open_clips
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.video_reader import VideoReader
from spark_ros.robots.kinematics import Kinematics

UNEVEN_MS = [0, 33, 66, 133, 140, 500, *range(600, 3000, 33)]


def barcodes(clip) -> list[int]:
    return [read_barcode(image) for image in clip.images()]


def test_episodes_give_a_clip_per_camera_with_the_frames_as_recorded(demo_folder: DemoFolder, script) -> None:
    clips = open_clips(demo_folder.path)
    assert [(clip.name, clip.camera) for clip in clips[:3]] == [
        ("demos/episode_000001.mcap", "front"),
        ("demos/episode_000001.mcap", "wrist"),
        ("demos/episode_000002.mcap", "front"),
    ]
    np.testing.assert_allclose(clips[0].stamps_s, np.arange(30) / 10, atol=1e-9)
    np.testing.assert_array_equal(clips[1].image(7), script().image("wrist", 0.7))
    assert len({clip.fingerprint for clip in clips}) == len(clips) == 6


def test_proprioception_of_an_episode_is_that_at_the_frames_stamps(
    tmp_path: Path, script: Callable[..., Script], kinematics: Kinematics
) -> None:
    made = script(skew_s=0.004)  # the wrist camera is not in step with the joints
    write_episode(tmp_path / "demos", made)
    (clip,) = open_clips(tmp_path / "demos", ["wrist"])
    expected = np.stack([made.measured(i / 10 + 0.004) for i in range(30)])
    np.testing.assert_allclose(clip.proprioception[:, :7], expected, atol=1e-6)
    position = kinematics.forward(expected[12]).position
    np.testing.assert_allclose(clip.proprioception[12, 7:10], position, atol=1e-6)
    assert clip.object_state is None


def test_what_a_simulator_knew_is_given_at_the_frames_stamps(tmp_path: Path, script) -> None:
    def state(t: float) -> str:
        return json.dumps({"task": "lift", "seed": 3, "held": False, "cube_position": [t, 2 * t, 0.5], "lift": -t})

    extra = [(T0 + i * 35 * MS, topics.SIM_STATE, encode_text(state(0.035 * i))) for i in range(90)]
    write_episode(tmp_path / "demos", script(), extra)
    (clip,) = open_clips(tmp_path / "demos", ["front"])
    found = clip.object_state
    assert set(found) == {"cube_position", "lift", "tool_position"}
    t = np.arange(30) / 10
    np.testing.assert_allclose(found["cube_position"], np.stack([t, 2 * t, np.full(30, 0.5)], axis=1), atol=1e-9)
    np.testing.assert_allclose(found["lift"], -t, atol=1e-9)
    np.testing.assert_allclose(found["tool_position"], clip.proprioception[:, 7:10], atol=1e-6)


@pytest.mark.parametrize("codec, name", [("libx264", "a.mp4"), ("libx264", "a.mkv"), ("mpeg4", "a.avi")])
def test_any_frame_of_a_video_is_found_in_any_order_by_any_thread(tmp_path: Path, codec: str, name: str) -> None:
    write_video(tmp_path / "deep" / name, UNEVEN_MS, codec)
    (clip,) = open_clips(tmp_path)
    assert barcodes(clip) == list(range(len(UNEVEN_MS)))
    indices = random.Random(0).choices(range(len(UNEVEN_MS)), k=80)
    with ThreadPoolExecutor(3) as pool:
        assert [read_barcode(image) for image in pool.map(clip.image, indices)] == indices


def test_stamps_of_a_video_are_its_true_times(tmp_path: Path) -> None:
    write_video(tmp_path / "a.mkv", UNEVEN_MS)
    np.testing.assert_allclose(open_clips(tmp_path)[0].stamps_s, np.array(UNEVEN_MS) / 1000, atol=1e-9)


def test_a_video_damaged_within_is_refused_by_name_and_never_painted_over(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mkv", UNEVEN_MS)
    content = bytearray(path.read_bytes())
    for place in range(len(content) // 2, len(content) - 300, 40):
        content[place] ^= 0x5A
    path.write_bytes(content)
    reader = VideoReader(path)
    numbers = []
    with pytest.raises(SparkError, match=r"a\.mkv is (damaged: frame \d+ of|not a readable video)"):
        for image in reader.frames(0, len(UNEVEN_MS)):
            numbers.append(read_barcode(image))
    assert numbers == list(range(len(numbers)))


def test_a_file_that_is_no_video_is_refused_by_name_or_skipped_with_a_warning(tmp_path: Path) -> None:
    write_video(tmp_path / "good.mp4", UNEVEN_MS[:20])
    (tmp_path / "bad.mp4").write_bytes(b"no video at all" * 100)
    with pytest.raises(SparkError, match=r"bad\.mp4 is not a readable video"):
        open_clips(tmp_path)
    with pytest.warns(UserWarning, match=r"left out: .*bad\.mp4"):
        (clip,) = open_clips(tmp_path, damaged="skip")
    assert clip.name.endswith("good.mp4")
    with pytest.raises(SparkError, match="damaged is 'hide'"):
        open_clips(tmp_path, damaged="hide")


def test_a_lerobot_dataset_gives_each_episode_its_own_frames_and_state(tmp_path: Path) -> None:
    folder = write_lerobot(tmp_path / "set", [12, 30, 7], ["front", "wrist"])
    clips = open_clips(folder)
    assert [(clip.name, clip.camera) for clip in clips[2:4]] == [
        ("set/episode_000001", "front"),
        ("set/episode_000001", "wrist"),
    ]
    assert [barcodes(clip) for clip in clips[2:4]] == [list(range(12, 42)), list(range(112, 142))]
    assert read_barcode(clips[4].image(3)) == 45
    np.testing.assert_allclose(clips[2].stamps_s, np.arange(30) / 20)
    np.testing.assert_array_equal(clips[4].proprioception, np.stack([np.arange(42, 49), -np.arange(42, 49)], axis=1))
    assert len({clip.fingerprint for clip in clips}) == 6
    assert [clip.camera for clip in open_clips(folder, ["wrist"])] == ["wrist"] * 3
    assert len(open_clips(folder, ["observation.images.wrist"])) == 3


def test_a_lerobot_dataset_of_links_as_download_caches_make_them_is_read(tmp_path: Path) -> None:
    folder = write_lerobot(tmp_path / "set", [12])
    video = next(folder.rglob("*.mp4"))
    shutil.move(video, tmp_path / "blob")
    video.symlink_to(tmp_path / "blob")
    assert barcodes(open_clips(folder)[0]) == list(range(12))


def test_a_video_that_lacks_frames_of_its_episode_is_refused(tmp_path: Path) -> None:
    folder = write_lerobot(tmp_path / "set", [12, 12])
    times = [round(1000 * i / 20) for i in range(24)]
    del times[15]  # all frames after it would belong to the row before theirs
    write_video(next(folder.rglob("*.mp4")), times)
    first, second = open_clips(folder)
    assert barcodes(first) == list(range(12))
    with pytest.raises(SparkError, match=r"file-000\.mp4 has no frame for each of the 12 rows of episode 1"):
        second.image(0)


def remove(pattern: str) -> Callable[[Path], None]:
    return lambda folder: next(folder.rglob(pattern)).unlink()


BROKEN = {
    "another version": (lambda folder: change_info(folder, codebase_version="v2.1"), r"dataset v2\.1, expected v3\.0"),
    "no video file": (remove("*.mp4"), r"file-000\.mp4 is missing, episode 0"),
    "no table": (remove("data/**/*.parquet"), r"data.*file-000\.parquet is missing, episode 0"),
    "no episodes": (remove("episodes/**/*.parquet"), "describes no episode"),
    "description damaged": (lambda folder: (folder / "meta/info.json").write_text("{"), r"info\.json is damaged"),
    "out of the folder": (
        lambda folder: change_info(folder, video_path="../{video_key}-{chunk_index}-{file_index}.mp4"),
        "expected one inside: do not use",
    ),
    "out of the root": (lambda folder: change_info(folder, data_path="/etc/passwd"), "expected one inside: do not use"),
    "unknown pattern": (lambda folder: change_info(folder, video_path="{nothing}"), "incompletely"),
    "no rate": (lambda folder: change_info(folder, fps=0), "incomplete"),
}


@pytest.mark.parametrize("case", BROKEN)
def test_a_broken_lerobot_dataset_is_refused_when_it_is_opened(tmp_path: Path, case: str) -> None:
    folder = write_lerobot(tmp_path / "set", [5])
    damage, sentence = BROKEN[case]
    damage(folder)
    with pytest.raises(SparkError, match=sentence):
        open_clips(folder)


def test_a_damaged_table_is_refused_by_name_when_it_is_needed(tmp_path: Path) -> None:
    folder = write_lerobot(tmp_path / "set", [5])
    next((folder / "data").rglob("*.parquet")).write_bytes(b"PAR1 no longer")
    (clip,) = open_clips(folder)
    with pytest.raises(SparkError, match=r"file-000\.parquet is missing or damaged"):
        _ = clip.proprioception


def test_a_camera_that_is_not_there_is_refused_with_those_that_are(tmp_path: Path, demo_folder: DemoFolder) -> None:
    with pytest.raises(SparkError, match=r"episode_000001\.mcap has no camera 'side', it has front, wrist"):
        open_clips(demo_folder.path, ["side"])
    with pytest.raises(SparkError, match="has no camera 'side', it has front"):
        open_clips(write_lerobot(tmp_path / "set", [5]), ["side"])


def test_a_folder_without_video_is_refused(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("later")
    with pytest.raises(SparkError, match=r"neither episodes .* nor a LeRobot dataset .* nor video files"):
        open_clips(tmp_path)
    with pytest.raises(SparkError, match="there is no folder"):
        open_clips(tmp_path / "nowhere")
    (tmp_path / "episode_000001.mcap").write_bytes(b"")
    with pytest.raises(SparkError, match="lists no episode"):
        open_clips(tmp_path)


def write_episode(path: Path, made: Script, extra: list[tuple[int, str, tuple[str, bytes]]] | None = None) -> None:
    folder = DemoFolder(path)
    with folder.recording():
        writer = folder.start_episode(METADATA)
        made.write(writer)
        for stamp, topic, (msg_type, cdr) in extra or []:
            writer.write(topic, msg_type, cdr, stamp, stamp)
        folder.keep(writer, {"success": True})
