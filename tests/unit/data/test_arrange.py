from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_episode import METADATA, Script

from spark_ros.contracts import SparkError
from spark_ros.data.arrange import merge_folders, split_folder
from spark_ros.data.dataset_folder import DemoFolder


def more(path: Path, script: Callable[..., Script], count: int, robot: str = "fr3") -> DemoFolder:
    folder = DemoFolder(path)
    with folder.recording():
        for number in range(count):
            writer = folder.start_episode({**METADATA, "seed": number, "robot": robot})
            script(duration=0.3).write(writer)
            folder.keep(writer, {"success": True})
    return folder


def test_merging_copies_every_episode_once(demo_folder: DemoFolder, tmp_path: Path, script) -> None:
    other = more(tmp_path / "other", script, 2)
    assert merge_folders([demo_folder, other, demo_folder], tmp_path / "all", progress=False) == (5, 3)
    merged = DemoFolder(tmp_path / "all")
    expected = [entry.sha256 for folder in (demo_folder, other) for entry in folder.episodes()]
    assert [entry.sha256 for entry in merged.episodes()] == expected
    assert [entry.success for entry in merged.episodes()] == [True, False, True, True, True]
    assert len(demo_folder.episodes()) == 3
    merged.read(merged.episodes()[4])


def test_splitting_puts_every_episode_into_one_part_by_its_content(tmp_path: Path, script) -> None:
    source = more(tmp_path / "demos", script, 7)
    shares = {"train": 0.7, "test": 0.3}
    assert split_folder(source, tmp_path / "one", shares, progress=False) == {"train": 5, "test": 2}
    parts = [{entry.sha256 for entry in DemoFolder(tmp_path / "one" / name).episodes()} for name in shares]
    assert not parts[0] & parts[1] and parts[0] | parts[1] == {entry.sha256 for entry in source.episodes()}
    merge_folders([DemoFolder(tmp_path / "one" / name) for name in shares], tmp_path / "other order", progress=False)
    split_folder(DemoFolder(tmp_path / "other order"), tmp_path / "two", shares, progress=False)
    assert {entry.sha256 for entry in DemoFolder(tmp_path / "two" / "train").episodes()} == parts[0]
    for seed in range(1, 6):  # each by itself may split as the first one did: there are 21 ways
        split_folder(source, tmp_path / f"seed {seed}", shares, seed=seed, progress=False)
    trained = [DemoFolder(tmp_path / f"seed {seed}" / "train").episodes() for seed in range(1, 6)]
    assert any({entry.sha256 for entry in entries} != parts[0] for entries in trained)


def test_what_does_not_fit_is_one_sentence_and_leaves_nothing(demo_folder: DemoFolder, tmp_path: Path, script) -> None:
    out = tmp_path / "out"
    with pytest.raises(SparkError, match=r"is of robot fer, .* of fr3: keep one robot per folder"):
        merge_folders([demo_folder, more(tmp_path / "fer", script, 1, "fer")], out, progress=False)
    front = DemoFolder(tmp_path / "front")
    with front.recording():
        writer = front.start_episode(METADATA)
        for stamp, topic, (msg_type, cdr) in script(duration=0.3).messages():
            if "wrist" not in topic:
                writer.write(topic, msg_type, cdr, stamp, stamp)
        front.keep(writer, {"success": True})
    with pytest.raises(SparkError, match=r"has the cameras front, .* has front, wrist: merge folders of the same"):
        merge_folders([demo_folder, front], out, progress=False)
    with pytest.raises(SparkError, match="leave none for test: give it a larger share"):
        split_folder(demo_folder, out, {"train": 0.99, "test": 0.01}, progress=False)
    with pytest.raises(SparkError, match=r"part '../x' with share 1 is not possible"):
        split_folder(demo_folder, out, {"../x": 1.0}, progress=False)
    path = demo_folder.file(demo_folder.episodes()[1])
    path.chmod(0o644)
    path.write_bytes(path.read_bytes() + b"x")
    with pytest.raises(SparkError, match=r"episode_000002\.mcap has SHA-256"):
        split_folder(demo_folder, out, {"train": 1.0, "test": 1.0}, progress=False)
    assert not out.exists() and not list(tmp_path.glob(".out*"))
