from __future__ import annotations

from pathlib import Path

import pytest

from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.episode_picture import episode_picture
from spark_ros.data.episode_reader import read_cameras


@pytest.mark.parametrize("camera", ["front", "wrist", None])
def test_it_is_the_first_or_last_frame_that_reading_it_all_gives(demo_folder: DemoFolder, camera: str | None) -> None:
    path = demo_folder.file(demo_folder.episodes()[0])
    frames = read_cameras(path)[camera or "front"]
    for last, frame in ((False, frames[0]), (True, frames[len(frames) - 1])):
        picture = episode_picture(path, last=last, camera=camera)
        assert (picture.camera, picture.stamp_ns) == (frame.camera, frame.stamp_ns)
        assert (picture.image == frame.image).all()


def test_what_has_no_pictures_is_refused_in_one_sentence(demo_folder: DemoFolder, tmp_path: Path) -> None:
    path = demo_folder.file(demo_folder.episodes()[0])
    with pytest.raises(SparkError, match="has no pictures of rear: it has front, wrist"):
        episode_picture(path, last=False, camera="rear")
    with pytest.raises(SparkError, match="cannot read"):
        episode_picture(tmp_path / "none.mcap", last=False)
    torn = tmp_path / "torn.mcap"
    for size in (0, 5, 2000, path.stat().st_size // 2):
        torn.write_bytes(path.read_bytes()[:size])
        with pytest.raises(SparkError, match=r"torn or damaged|has no index"):
            episode_picture(torn, last=True)
