"""What LeRobot itself makes of an export is in tests/unit/lerobot; here is what needs no LeRobot."""

from __future__ import annotations

import hashlib
import json
import resource
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from synthetic_episode import METADATA, Script

from benchmarks.lerobot import demos
from benchmarks.lerobot.barcodes import barcode, read_barcode
from spark_ros.contracts import ActionKind, SparkError
from spark_ros.data.clips import open_clips
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.lerobot_export import ExportOptions, export_lerobot
from spark_ros.data.lerobot_stats import PixelCounts, vector_statistics

QUIET = ExportOptions(progress=False)


@pytest.fixture(scope="module")
def known(tmp_path_factory: pytest.TempPathFactory) -> DemoFolder:
    return demos.write_demos(tmp_path_factory.mktemp("known") / "demos")


@pytest.fixture(scope="module")
def exported(known: DemoFolder, tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("exported") / "dataset"
    export_lerobot(known, out, QUIET)
    return out


def hashes(folder: Path) -> dict[str, str]:
    files = sorted(path for path in folder.rglob("*") if path.is_file())
    return {str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}


def test_every_row_has_its_frames_and_its_true_stamps(exported: Path) -> None:
    rows = pq.read_table(exported / "data/chunk-000/file-000.parquet").to_pydict()
    for number, camera in enumerate(demos.CAMERAS):
        clips = open_clips(exported, [camera])
        seen = [read_barcode(image) for clip in clips for image in clip.images()]
        stamps = [demos.frame_stamps(episode, number) for episode in rows["episode_index"]]
        at = rows[f"time.{camera}_ns"]
        assert seen == [(true.index(taken), number) for true, taken in zip(stamps, at, strict=True)]
    both = zip(rows["time.front_ns"], rows["time.wrist_ns"], strict=True)
    assert rows["time.stamp_ns"] == [min(pair) for pair in both]
    assert rows["task_index"] == [[0, 1, 0][episode] for episode in rows["episode_index"]]


def test_actions_are_what_was_commanded_one_period_later(exported: Path) -> None:
    rows = pq.read_table(exported / "data/chunk-000/file-000.parquet").to_pydict()
    for episode, stamp, action in zip(rows["episode_index"], rows["time.stamp_ns"], rows["action"], strict=True):
        later = stamp + 100_000_000
        expected = [*demos.commanded(episode, later), demos.width(episode, later)]
        np.testing.assert_allclose(action, expected, atol=2e-6)


def test_the_description_fits_the_files(exported: Path) -> None:
    info = json.loads((exported / "meta/info.json").read_text())
    rows = pq.read_table(exported / "data/chunk-000/file-000.parquet")
    assert (info["codebase_version"], info["fps"], info["robot_type"]) == ("v3.0", 10, "fr3")
    assert info["total_frames"] == rows.num_rows and info["splits"] == {"train": "0:3"}
    videos = {f"observation.images.{camera}" for camera in demos.CAMERAS}
    assert set(info["features"]) == {*rows.column_names, *videos}
    episodes = pq.read_table(exported / "meta/episodes/chunk-000/file-000.parquet").to_pylist()
    assert [row["tasks"] for row in episodes] == [[task] for task in demos.TASKS]
    assert [row["dataset_from_index"] for row in episodes] == [0, *(row["dataset_to_index"] for row in episodes[:-1])]
    assert [row["seed"] for row in episodes] == [0, 1, 2] and all(row["success"] for row in episodes)
    tasks = pq.read_table(exported / "meta/tasks.parquet")
    assert tasks.to_pydict() == {"task_index": [0, 1], "task": ["lift the cube", "push the cube"]}
    assert json.loads(tasks.schema.metadata[b"pandas"])["index_columns"] == ["task"]


@pytest.mark.parametrize("images", [False, True])
def test_the_same_demonstrations_give_the_same_bytes(known: DemoFolder, tmp_path: Path, images: bool) -> None:
    before = hashes(known.path)
    for name in ("one", "two"):
        export_lerobot(known, tmp_path / name, ExportOptions(images=images, progress=False))
    assert hashes(tmp_path / "one") == hashes(tmp_path / "two")
    assert hashes(known.path) == before


def test_full_files_end_between_episodes(known: DemoFolder, tmp_path: Path) -> None:
    export_lerobot(known, tmp_path / "out", ExportOptions(video_mb=1e-4, data_mb=1e-4, progress=False))
    assert len(list((tmp_path / "out").rglob("*.mp4"))) == 3 * len(demos.CAMERAS)
    assert len(list((tmp_path / "out/data").rglob("*.parquet"))) == 3
    for number, camera in enumerate(demos.CAMERAS):
        for clip in open_clips(tmp_path / "out", [camera]):
            seen = [read_barcode(image) for image in clip.images()]
            assert [found for found, _ in seen] == list(range(seen[0][0], seen[0][0] + len(seen)))
            assert {of for _, of in seen} == {number}


def test_images_are_kept_without_loss(known: DemoFolder, tmp_path: Path) -> None:
    export_lerobot(known, tmp_path / "out", ExportOptions(images=True, progress=False))
    clip = open_clips(tmp_path / "out", ["wrist"])[0]
    first = read_barcode(clip.image(0))[0]
    np.testing.assert_array_equal(clip.image(3), barcode(first + 3, 1))


def test_tool_poses_are_actions_too(known: DemoFolder, tmp_path: Path) -> None:
    export_lerobot(known, tmp_path / "out", ExportOptions(action=ActionKind.EE_POSE, images=True, progress=False))
    info = json.loads((tmp_path / "out/meta/info.json").read_text())
    assert info["features"]["action"]["names"] == "ee_x ee_y ee_z ee_qx ee_qy ee_qz ee_qw gripper_width".split()
    rows = pq.read_table(tmp_path / "out/data/chunk-000/file-000.parquet").to_pydict()
    poses, state = np.array(rows["action"]), np.array(rows["observation.state"])
    assert np.abs(np.linalg.norm(poses[:, 3:7], axis=1) - 1.0).max() < 1e-5
    assert np.abs(poses[:, :3] - state[:, 7:10]).max() < 0.1  # m, of an arm that moves slowly


def test_statistics_count_every_value() -> None:
    images = np.random.default_rng(0).integers(0, 256, (7, 6, 5, 3)).astype(np.uint8)
    counts = PixelCounts()
    for image in images:
        counts.add(image)
    found, pixels = counts.statistics(), images.reshape(-1, 3) / 255.0
    for name, expected in {"mean": pixels.mean(0), "std": pixels.std(0), "min": pixels.min(0)}.items():
        np.testing.assert_allclose(np.array(found[name]).reshape(3), expected)
    median = np.quantile(pixels, 0.5, axis=0, method="inverted_cdf")
    np.testing.assert_allclose(np.array(found["q50"]).reshape(3), median)
    assert np.array(found["q99"]).shape == (3, 1, 1) and found["count"] == [7]
    stamps = np.array([[1_700_000_000_123_456_789], [1_700_000_000_123_456_791]])
    assert vector_statistics(stamps)["max"] == [1_700_000_000_123_456_791]


def test_motion_that_is_not_to_be_imitated_is_marked(tmp_path: Path, script: Callable[..., Script]) -> None:
    folder = DemoFolder(tmp_path / "demos")
    with folder.recording():
        writer = folder.start_episode(METADATA)
        script(duration=2.0, excluded=(0.8, 1.2)).write(writer)
        folder.keep(writer, {"success": True})
    export_lerobot(folder, tmp_path / "out", ExportOptions(images=True, progress=False))
    imitate = pq.read_table(tmp_path / "out/data/chunk-000/file-000.parquet")["imitate"].to_pylist()
    assert imitate == [not 7 <= row < 12 for row in range(len(imitate))]  # row 7's way, 0.7 to 0.8 s, ends in it


def test_failures_are_left_out_unless_asked_for(demo_folder: DemoFolder, tmp_path: Path) -> None:
    assert export_lerobot(demo_folder, tmp_path / "a", QUIET).episodes == 2
    assert export_lerobot(demo_folder, tmp_path / "b", ExportOptions(failures=True, progress=False)).episodes == 3


def test_bad_input_is_one_sentence_and_leaves_nothing(
    demo_folder: DemoFolder, tmp_path: Path, script: Callable[..., Script]
) -> None:
    (tmp_path / "full").mkdir()
    (tmp_path / "full" / "file").write_text("mine")
    with pytest.raises(SparkError, match="exists already and is never overwritten"):
        export_lerobot(demo_folder, tmp_path / "full", QUIET)
    with pytest.raises(SparkError, match="camera/back/color/image_raw was not recorded"):
        export_lerobot(demo_folder, tmp_path / "out", ExportOptions(cameras=("back",), progress=False))
    with pytest.raises(SparkError, match=r"10\.00 observations per second, expected 20"):
        export_lerobot(demo_folder, tmp_path / "out", ExportOptions(fps=20, progress=False))
    with demo_folder.recording():
        writer = demo_folder.start_episode(METADATA)
        for stamp, topic, (msg_type, cdr) in script(duration=1.0).messages():
            if "wrist" not in topic:
                writer.write(topic, msg_type, cdr, stamp, stamp)
        demo_folder.keep(writer, {"success": True})
    with pytest.raises(SparkError, match="has the cameras front, the episodes before it have front, wrist"):
        export_lerobot(demo_folder, tmp_path / "out", QUIET)
    with pytest.raises(SparkError, match="holds no successful episode"):
        (tmp_path / "none").mkdir()
        export_lerobot(DemoFolder(tmp_path / "none"), tmp_path / "out", QUIET)
    assert not [path for path in tmp_path.iterdir() if "out" in path.name]


@pytest.mark.parametrize("images", [False, True])
def test_a_full_disk_is_one_sentence_and_leaves_nothing(known: DemoFolder, tmp_path: Path, images: bool) -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (4_000, hard))
    try:
        with pytest.raises(SparkError, match=r"cannot write .*out: .*; make room or choose another folder"):
            export_lerobot(known, tmp_path / "out", ExportOptions(images=images, progress=False))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert list(tmp_path.iterdir()) == []
