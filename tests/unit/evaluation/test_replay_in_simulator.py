from __future__ import annotations

from pathlib import Path

import pytest

from spark_ros.contracts import SparkError
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.evaluation.replay import replay_in_simulator, task_of


def test_a_recorded_lift_lifts_again(tmp_path: Path) -> None:
    from spark_ros.evaluation.demos import DemoOptions, record_demos

    folder = DemoFolder(tmp_path / "demos")
    record_demos(folder.path, 1, DemoOptions(cameras=("front",), image_size=32), progress=False)
    episode = folder.read(folder.episodes()[0])
    done = replay_in_simulator(episode)
    assert done.success and not done.ending
    assert done.rms_rad < 0.01 and done.largest_rad < 0.1


def test_a_task_is_found_by_its_description() -> None:
    assert task_of("pick up the red cube and lift it") == "lift"
    with pytest.raises(SparkError, match=r"no simulated task is described as 'juggle': name one with --task"):
        task_of("juggle")
