from __future__ import annotations

import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parents[1] / "data"))  # synthetic_episode
from synthetic_episode import METADATA, Script

from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.robots.spec import load_robot


@pytest.fixture
def demos(tmp_path: Path) -> DemoFolder:
    """Three episodes, the second one a failure with a flag."""
    folder = DemoFolder(tmp_path / "demos")
    with folder.recording():
        for number in range(3):
            writer = folder.start_episode(METADATA)
            Script(load_robot("fr3"), duration=1.0).write(writer)
            folder.keep(writer, {"success": number != 1, "flags": ["it was odd"] if number == 1 else []})
    return folder
