from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from synthetic_episode import METADATA, Script

from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import RobotSpec, load_robot


@pytest.fixture(scope="session")
def spec() -> RobotSpec:
    return load_robot("fr3")


@pytest.fixture(scope="session")
def kinematics(spec: RobotSpec) -> Kinematics:
    return Kinematics(spec)


@pytest.fixture
def script(spec: RobotSpec) -> Callable[..., Script]:
    return lambda **changes: Script(spec, **changes)


@pytest.fixture
def demo_folder(tmp_path: Path, script: Callable[..., Script]) -> DemoFolder:
    """A folder with two successful episodes and a failed one."""
    folder = DemoFolder(tmp_path / "demos")
    with folder.recording():
        for duration, success in ((3.0, True), (2.0, False), (2.5, True)):
            writer = folder.start_episode(METADATA)
            script(duration=duration).write(writer)
            folder.keep(writer, {"success": success})
    return folder
