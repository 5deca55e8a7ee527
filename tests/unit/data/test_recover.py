from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_episode import METADATA, Script

from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.episode_reader import read_episode
from spark_ros.data.recover import recover_listed, recover_single


@pytest.fixture
def torn(demo_folder: DemoFolder, script: Callable[..., Script]) -> Path:
    """What a recorder that was killed leaves."""
    with demo_folder.recording(), demo_folder.start_episode(METADATA) as writer:
        script(duration=6.0).write(writer)
    path = writer.part_path
    path.write_bytes(path.read_bytes()[:-5000])
    return path


def test_what_is_left_counts_and_the_torn_file_stays_as_it_was(demo_folder: DemoFolder, torn: Path) -> None:
    before = torn.read_bytes()
    with demo_folder.recording():
        entry = recover_listed(demo_folder, torn)
    assert entry.file == "episode_000004.mcap" and 3.5 < entry.duration_s < 6.0 and entry.success is None
    assert (demo_folder.path / "episode_000004.mcap.torn").read_bytes() == before
    assert demo_folder.unfinished() == [] and len(demo_folder.episodes()) == 4


def test_a_torn_file_with_a_finished_name_is_recovered_too(demo_folder: DemoFolder, torn: Path) -> None:
    finished = torn.rename(torn.with_suffix(""))
    before = finished.read_bytes()
    with demo_folder.recording():
        assert recover_listed(demo_folder, finished).file == "episode_000004.mcap"
    assert (demo_folder.path / "episode_000004.mcap.torn").read_bytes() == before
    assert read_episode(finished).metadata.task == "lift the cube"


def test_what_is_lost_stays_where_it_is(demo_folder: DemoFolder, torn: Path) -> None:
    torn.write_bytes(torn.read_bytes()[:100])
    with demo_folder.recording(), pytest.raises(SparkError, match="holds no complete chunk"):
        recover_listed(demo_folder, torn)
    assert demo_folder.unfinished() == [torn]
    assert not list(demo_folder.path.glob("*.torn"))


def test_a_single_file_is_only_read(torn: Path, tmp_path: Path) -> None:
    before = torn.read_bytes()
    out = recover_single(torn, tmp_path / "saved" / "one.mcap")
    assert len(read_episode(out).joints) > 300 and torn.read_bytes() == before
    assert [path.name for path in out.parent.iterdir()] == ["one.mcap"]
    with pytest.raises(SparkError, match="is whole: there is nothing to recover"):
        recover_single(out, tmp_path / "two.mcap")
    with pytest.raises(SparkError, match="expected a new name that ends in"):
        recover_single(torn, out)
