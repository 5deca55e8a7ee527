"""Many episodes of one MetaWorld task on one model. Runs in MetaWorld's own environment.

MetaWorld moves furniture by writing into its model. Compiling one for every episode takes seconds and megabytes, so
the episodes here share a model and each brings its furniture along. What happens in an episode depends on its seed
alone, not on what ran before it or runs beside it.
"""

from __future__ import annotations

from typing import Any

import metaworld.policies
import mujoco
import numpy as np
from metaworld.env_dict import ALL_V3_ENVIRONMENTS

from benchmarks.metaworld.tasks import CONTROL_DT_S, TASKS

_FURNITURE = ("body_pos", "site_pos")  # of the model: what MetaWorld's resets write to


class Scenes:
    """Episodes of one task.

    Attributes:
        model: Shared.
    """

    def __init__(self, task: str, count: int) -> None:
        """Compiles the task's model."""
        first = ALL_V3_ENVIRONMENTS[TASKS[task].environment]()
        if abs(first.dt - CONTROL_DT_S) > 1e-9:
            raise ValueError(f"MetaWorld's control period is {first.dt} s, expected {CONTROL_DT_S} s")
        self.model = first.model
        self._expert = getattr(metaworld.policies, TASKS[task].expert)()
        first._partially_observable = False  # the scripted experts must see the goal; policies get pictures
        first.__dict__.pop("sawyer_observation_space", None)  # it was cached without the goal
        first._freeze_rand_vec, first.seeded_rand_vec, first._set_task_called = False, True, True
        first.seed(0)
        first.reset()  # MetaWorld puts some furniture in place at the end of a reset only
        self._initial = self._furniture()
        self._scenes = [_Scene(_copy(first), self._initial) for _ in range(count)]

    def reset(self, index: int, seed: int) -> None:
        """Begins the episode of this seed."""
        scene = self._enter(index, self._initial)
        scene.environment.seed(seed)
        scene.environment.reset()
        mujoco.mj_forward(
            self.model, scene.environment.data
        )  # MetaWorld leaves moved furniture where it was drawn last
        scene.environment._prev_obs = scene.environment._get_curr_obs_combined_no_goal()
        scene.observation, scene.success = scene.environment._get_obs(), False
        scene.furniture = self._furniture()

    def step(self, index: int, action: np.ndarray) -> None:
        """One control period with a (4,) action."""
        scene = self._enter(index)
        scene.observation, _, _, _, info = scene.environment.step(np.clip(action, -1.0, 1.0))
        scene.success = bool(info["success"])

    def expert(self, index: int) -> np.ndarray:
        """(4,) action of the scripted expert."""
        return np.clip(self._expert.get_action(self._scenes[index].observation), -1.0, 1.0)

    def proprioception(self, index: int) -> np.ndarray:
        """(4,) as `tasks.PROPRIOCEPTION`."""
        return self._scenes[index].observation[:4]

    def success(self, index: int) -> bool:
        """Whether the task is done now."""
        return self._scenes[index].success

    def data(self, index: int) -> Any:
        """The episode's MjData, its furniture in place."""
        return self._enter(index).environment.data

    def _enter(self, index: int, furniture: dict[str, np.ndarray] | None = None) -> _Scene:
        scene = self._scenes[index]
        for name, value in (furniture or scene.furniture).items():
            getattr(self.model, name)[:] = value
        return scene

    def _furniture(self) -> dict[str, np.ndarray]:
        return {name: getattr(self.model, name).copy() for name in _FURNITURE}


class _Scene:
    """An episode: MetaWorld's object, where its furniture is, what was seen last."""

    def __init__(self, environment: Any, furniture: dict[str, np.ndarray]) -> None:
        self.environment, self.furniture = environment, furniture
        self.observation, self.success = np.zeros(39), False


def _copy(environment: Any) -> Any:
    """The same model, a state of its own."""
    other = object.__new__(type(environment))  # copy.copy would compile the model again: MetaWorld's pickling does
    other.__dict__.update(environment.__dict__)
    other.data = mujoco.MjData(environment.model)
    return other
