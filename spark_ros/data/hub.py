"""Uploads a dataset to the Hugging Face hub."""

from __future__ import annotations

from pathlib import Path

from spark_ros.contracts import SparkError
from spark_ros.data.lerobot_dataset import VERSION, LerobotDataset
from spark_ros.hub import one_sentence

_CARD = """---
task_categories:
- robotics
tags:
- LeRobot
configs:
- config_name: default
  data_files: data/*/*.parquet
---
{robot} demonstrations, LeRobotDataset {version}: {episodes} episodes, {rows} rows at {fps:g} per second, cameras
{cameras}. Exported by spark_ros; `time.*` are the true stamps in nanoseconds.
"""


def push_dataset(folder: Path, repository: str, private: bool = True) -> str:
    """Upload an exported dataset, and tag it with its version as LeRobot expects.

    Args:
        folder: The dataset.
        repository: Its name on the hub, ``user/name``.
        private: Whether only the user sees it.

    Returns:
        Its address.

    Raises:
        SparkError: There is no dataset in the folder, the name is no repository's, nobody is logged in, or the hub
            refuses or cannot be reached.
        ModuleNotFoundError: There is no huggingface_hub.
    """
    if not (folder / "meta" / "info.json").is_file():
        raise SparkError(
            f"{folder} holds no LeRobot dataset (meta/info.json): make one with `spark-ros data export lerobot` first"
        )
    if repository.count("/") != 1 or not all(repository.split("/")):
        raise SparkError(f"{repository!r} is no repository of the hub: expected user/name")
    dataset = LerobotDataset(folder)
    rows = dataset.episodes()
    from huggingface_hub import HfApi

    api = HfApi()
    card = _CARD.format(
        robot=dataset.robot or "robot",
        version=VERSION,
        episodes=len(rows),
        rows=sum(int(row["length"]) for row in rows),
        fps=dataset.fps,
        cameras=", ".join(dataset.cameras) or "none",
    )
    with one_sentence(f"could not push to {repository}"):
        address = api.create_repo(repository, private=private, repo_type="dataset", exist_ok=True)
        api.upload_folder(repo_id=repository, folder_path=folder, repo_type="dataset")
        api.upload_file(
            path_or_fileobj=card.encode(), path_in_repo="README.md", repo_id=repository, repo_type="dataset"
        )
        api.create_tag(repository, tag=VERSION, repo_type="dataset", exist_ok=True)
    return str(address)
