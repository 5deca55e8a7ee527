from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_episode import METADATA, Script

from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.episode_writer import EpisodeWriter
from spark_ros.data.file_hash import file_sha256


def edit_index(folder: DemoFolder, **changes: object) -> None:
    path = folder.path / "index.json"
    index = json.loads(path.read_text())
    index["episodes"][0].update(changes)
    path.write_text(json.dumps(index))


def test_the_index_says_what_counts(demo_folder: DemoFolder) -> None:
    entries = demo_folder.episodes()
    assert [entry.file for entry in entries] == [f"episode_00000{n}.mcap" for n in (1, 2, 3)]
    assert [entry.success for entry in entries] == [True, False, True]
    first = entries[0]
    assert (first.task, first.robot, first.seed, first.frames) == ("lift the cube", "fr3", 7, 30)
    assert first.duration_s == pytest.approx(2.99)
    assert first.sha256 == file_sha256(demo_folder.file(first))
    assert demo_folder.unfinished() == []


def test_a_stray_part_is_reported_and_never_counted(demo_folder: DemoFolder, script: Callable[..., Script]) -> None:
    with demo_folder.recording(), demo_folder.start_episode(METADATA) as writer:
        script(duration=0.5).write(writer)
    assert len(demo_folder.episodes()) == 3
    assert demo_folder.unfinished() == [writer.part_path]


def test_a_finished_file_that_was_never_listed_can_be_added(
    demo_folder: DemoFolder, script: Callable[..., Script]
) -> None:
    with demo_folder.recording():
        writer = demo_folder.start_episode(METADATA)
        script(duration=0.5).write(writer)
        path = writer.close({"success": True})  # killed here, before it was listed
    assert demo_folder.unfinished() == [path]
    with demo_folder.recording():
        demo_folder.add(path)
        with pytest.raises(SparkError, match="listed in the index already"):
            demo_folder.add(path)
    assert len(demo_folder.episodes()) == 4


def test_a_second_recorder_is_refused_with_one_sentence(demo_folder: DemoFolder) -> None:
    with demo_folder.recording():
        with pytest.raises(SparkError, match=r"process \d+ is recording into .*: stop it or choose another folder$"):
            with DemoFolder(demo_folder.path).recording():
                pass
        demo_folder.start_episode(METADATA).discard()  # the first one goes on
    with DemoFolder(demo_folder.path).recording():
        pass


def test_nothing_is_added_without_the_lock(demo_folder: DemoFolder) -> None:
    with pytest.raises(SparkError, match=r"outside DemoFolder\.recording"):
        demo_folder.start_episode(METADATA)


@pytest.mark.parametrize("file", ["../secret.mcap", "/etc/passwd", "sub/episode_000001.mcap", "..", ""])
def test_index_paths_never_leave_the_folder(demo_folder: DemoFolder, file: str) -> None:
    edit_index(demo_folder, file=file)
    with pytest.raises(SparkError, match="plain file name inside the folder"):
        demo_folder.episodes()


def test_a_link_out_of_the_folder_is_refused(demo_folder: DemoFolder, tmp_path: Path) -> None:
    path = demo_folder.path / "episode_000001.mcap"
    path.rename(tmp_path / "elsewhere.mcap")
    path.symlink_to(tmp_path / "elsewhere.mcap")
    with pytest.raises(SparkError, match="plain file name inside the folder"):
        demo_folder.episodes()


def test_a_kept_episode_is_marked_in_the_index_and_nowhere_else(demo_folder: DemoFolder) -> None:
    first, second, third = demo_folder.episodes()
    with pytest.raises(SparkError, match=r"outside DemoFolder\.recording"):
        demo_folder.mark(first.file, success=False)
    with demo_folder.recording():
        marked = demo_folder.mark(first.file, success=False)
        noted = demo_folder.mark(second.file, note="slipped")
        with pytest.raises(SparkError, match=r"lists no episode '../x.mcap'"):
            demo_folder.mark("../x.mcap", success=False)
    assert demo_folder.episodes() == [marked, noted, third]
    assert (marked.success, noted.note, noted.success) == (False, "slipped", second.success)
    assert demo_folder.read(marked).metadata.success is True


def test_a_changed_or_missing_file_is_refused(demo_folder: DemoFolder) -> None:
    entry = demo_folder.episodes()[1]
    path = demo_folder.file(entry)
    path.chmod(0o644)  # finished files are read-only
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(SparkError, match=r"episode_000002\.mcap has SHA-256"):
        demo_folder.read(entry)
    path.unlink()
    with pytest.raises(SparkError, match=r"episode_000002\.mcap, which is missing"):
        demo_folder.episodes()


def test_a_lost_index_is_made_again_from_the_episodes(demo_folder: DemoFolder) -> None:
    before = demo_folder.episodes()
    (demo_folder.path / "index.json").unlink()
    with demo_folder.recording():
        for path in demo_folder.unfinished():
            demo_folder.add(path)
    assert demo_folder.episodes() == before


def test_a_damaged_index_is_refused_before_recording(demo_folder: DemoFolder) -> None:
    (demo_folder.path / "index.json").write_text('{"version": 1, "episodes": [{"file"')
    with pytest.raises(SparkError, match=r"index\.json is damaged .*delete it and run"), demo_folder.recording():
        pass
    (demo_folder.path / "index.json").write_text('{"version": 3, "episodes": []}')
    with pytest.raises(SparkError, match="version 3, expected at most 2"):
        demo_folder.episodes()


def test_a_missing_folder_and_an_unwritable_one_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SparkError, match="there is no folder"):
        DemoFolder(tmp_path / "nowhere").episodes()
    (tmp_path / "file").write_text("")
    with pytest.raises(SparkError, match="cannot record into"), DemoFolder(tmp_path / "file" / "demos").recording():
        pass


def test_an_episode_without_images_is_not_listed(tmp_path: Path, script: Callable[..., Script]) -> None:
    folder = DemoFolder(tmp_path)
    with folder.recording():
        writer = folder.start_episode(METADATA)
        for stamp, topic, (msg_type, cdr) in script(duration=0.3).messages():
            if "camera" not in topic:
                writer.write(topic, msg_type, cdr, stamp, stamp)
        with pytest.raises(SparkError, match="holds no camera images"):
            folder.keep(writer, {"success": True})
    assert folder.episodes() == []


def test_an_episode_from_elsewhere_is_not_listed(demo_folder: DemoFolder, tmp_path: Path) -> None:
    path = EpisodeWriter(tmp_path / "one.mcap", METADATA).close()
    with demo_folder.recording(), pytest.raises(SparkError, match="does not lie in"):
        demo_folder.add(path)
