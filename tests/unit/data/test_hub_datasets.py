from __future__ import annotations

import sys
import types
from pathlib import Path
from typing import Any

import pytest

from benchmarks.lerobot import demos
from spark_ros.contracts import SparkError
from spark_ros.data.hub import push_dataset
from spark_ros.data.lerobot_export import ExportOptions, export_lerobot


class FakeHub:
    """Notes what it is asked for."""

    asked: list[tuple[str, dict[str, Any]]]
    error: Exception | None = None

    def __getattr__(self, name: str) -> Any:
        def ask(*arguments: Any, **options: Any) -> str:
            if self.error is not None:
                raise self.error
            FakeHub.asked.append((name, {"first": arguments, **options}))
            return "https://hub.invalid/datasets/user/name"

        return ask


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> type[FakeHub]:
    module = types.ModuleType("huggingface_hub")
    module.HfApi = FakeHub  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "huggingface_hub", module)
    monkeypatch.setattr(FakeHub, "asked", [], raising=False)
    monkeypatch.setattr(FakeHub, "error", None)
    return FakeHub


def test_a_dataset_is_pushed_with_a_card_and_the_tag_that_lerobot_looks_for(hub: type[FakeHub], tmp_path: Path) -> None:
    export_lerobot(demos.write_demos(tmp_path / "demos"), tmp_path / "dataset", ExportOptions(progress=False))
    assert push_dataset(tmp_path / "dataset", "user/name") == "https://hub.invalid/datasets/user/name"
    asked = dict(hub.asked)
    assert asked["create_repo"] == {"first": ("user/name",), "private": True, "repo_type": "dataset", "exist_ok": True}
    assert asked["upload_folder"]["folder_path"] == tmp_path / "dataset"
    card = asked["upload_file"]["path_or_fileobj"].decode()
    assert "LeRobot" in card and "3 episodes" in card and "front, wrist" in card
    assert asked["create_tag"]["tag"] == "v3.0"
    hub.error = ConnectionError("no route")
    with pytest.raises(SparkError, match=r"could not push to user/name \(ConnectionError: no route\): check the name"):
        push_dataset(tmp_path / "dataset", "user/name")
    with pytest.raises(SparkError, match="'name' is no repository of the hub: expected user/name"):
        push_dataset(tmp_path / "dataset", "name")
    with pytest.raises(SparkError, match="holds no LeRobot dataset"):
        push_dataset(tmp_path / "demos", "user/name")
