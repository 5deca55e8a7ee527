"""Statistics of a folder of demonstrations: what a policy would learn from, in numbers."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import ActionKind, SparkError
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.progress import data_bar
from spark_ros.data.rows import RowMaker
from spark_ros.data.statistics import VectorStatistics


@dataclass(frozen=True)
class FolderStatistics:
    """Of all observations of the successful episodes.

    Attributes:
        state_names: What each number of the state is.
        state: Of the state.
        action_names: What each number of the actions is.
        action: Of what was commanded one period later, absolute, where it may be imitated.
        durations_s: Length of each episode.
        rates_hz: Observations per second of each episode.
        tasks: Episodes by task.
    """

    state_names: tuple[str, ...]
    state: VectorStatistics
    action_names: tuple[str, ...]
    action: VectorStatistics
    durations_s: tuple[float, ...]
    rates_hz: tuple[float, ...]
    tasks: Counter[str]

    def to_json(self) -> dict[str, Any]:
        """For `json.dump`."""
        return {
            "state": {"names": self.state_names, **self.state.to_json()},
            "action": {"names": self.action_names, **self.action.to_json()},
            "durations_s": self.durations_s,
            "rates_hz": self.rates_hz,
            "tasks": dict(self.tasks),
        }


def folder_statistics(
    folder: DemoFolder, kind: ActionKind = ActionKind.JOINT_POSITION, progress: bool = True
) -> FolderStatistics:
    """Read every successful episode and count.

    Args:
        folder: The demonstrations.
        kind: What the actions are to be, one of `rows.ACTIONS`.
        progress: Whether to show a bar.

    Raises:
        SparkError: There is no such episode, or one cannot be learned from.
    """
    entries = [entry for entry in folder.episodes() if entry.success]
    if not entries:
        raise SparkError(f"{folder.path} holds no successful episode: record demonstrations first")
    rows = RowMaker(entries[0].robot)
    states: list[NDArray[np.float32]] = []
    actions: list[NDArray[np.float32]] = []
    valid: list[NDArray[np.bool_]] = []
    rates: list[float] = []
    cameras: tuple[str, ...] = ()
    with data_bar("reading", len(entries), "episode", progress) as bar:
        for entry in entries:
            episode = folder.read(entry)
            cameras = cameras or tuple(episode.cameras)
            aligned = rows.align(entry, episode, cameras)
            action, imitate = rows.actions(aligned, kind, aligned.period_s)
            states.append(aligned.state)
            actions.append(action)
            valid.append(imitate)
            rates.append(round(1.0 / aligned.period_s, 3))
            bar.update()
    return FolderStatistics(
        rows.state_names,
        VectorStatistics.of(np.concatenate(states)),
        rows.action_names(kind),
        VectorStatistics.of(np.concatenate(actions), np.concatenate(valid)),
        tuple(entry.duration_s for entry in entries),
        tuple(rates),
        Counter(entry.task for entry in entries),
    )
