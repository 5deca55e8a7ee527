from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from demos_for_training import tiny_run, write_demos

from spark_ros.training.config import TrainingConfig, load_config


@pytest.fixture(scope="session")
def demos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_demos(tmp_path_factory.mktemp("demos") / "reach", episodes=5)


@pytest.fixture(scope="session")
def feature_cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("features")


@pytest.fixture
def make_config(demos: Path, feature_cache: Path, tmp_path: Path) -> Callable[..., TrainingConfig]:
    """A run of seconds: an untrained one-block encoder on 28 px images."""

    def make(*overrides: str) -> TrainingConfig:
        return load_config(None, [*tiny_run(tmp_path / "run", demos, feature_cache), *overrides])

    return make
