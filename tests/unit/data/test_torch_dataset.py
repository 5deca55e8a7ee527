from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from synthetic_episode import METADATA, Script

from spark_ros.contracts import ActionKind, SparkError
from spark_ros.data.codec import ActionCodec, Proprioception
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.data.samples import PolicySamples, load_samples
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import RobotSpec

torch = pytest.importorskip("torch")


@pytest.fixture
def samples(tmp_path: Path, spec: RobotSpec, kinematics: Kinematics, script: Callable[..., Script]) -> PolicySamples:
    folder = DemoFolder(tmp_path)
    with folder.recording():
        writer = folder.start_episode(METADATA)
        script(duration=2.0, excluded=(0.5, 1.0)).write(writer)
        folder.keep(writer, {"success": True})
    codec = ActionCodec(ActionKind.EE_POSE, 4, 0.1, kinematics)
    return load_samples(folder, ("front", "wrist"), Proprioception(kinematics, spec.gripper), codec)


def test_items_are_the_samples_with_something_to_imitate(samples: PolicySamples) -> None:
    from spark_ros.data.torch_dataset import PolicyDataset

    tokens = np.random.default_rng(0).normal(size=(1, 20, 2, 5, 3)).astype(np.float16)
    dataset = PolicyDataset(samples, [tokens])
    kept = np.flatnonzero(samples.episodes[0].valid[:, 0])
    assert len(dataset) == len(kept) < 20
    item = dataset[6]
    np.testing.assert_array_equal(item["tokens"].numpy(), tokens[0, kept[6]])
    np.testing.assert_array_equal(item["action"].numpy(), samples.episodes[0].action[kept[6]])
    assert {key: (tuple(value.shape), value.dtype) for key, value in item.items()} == {
        "tokens": ((2, 5, 3), torch.float16),
        "proprioception": ((17,), torch.float32),
        "action": ((4, 7), torch.float32),
        "valid": ((4,), torch.bool),
    }


def test_augmented_versions_are_drawn_repeatably(samples: PolicySamples) -> None:
    from spark_ros.data.torch_dataset import PolicyDataset

    tokens = np.arange(3, dtype=np.float32)[:, None, None, None, None] * np.ones((3, 20, 2, 1, 1), np.float32)
    dataset = PolicyDataset(samples, [tokens])

    def draw() -> list[float]:
        torch.manual_seed(1)
        return [float(dataset[0]["tokens"][0, 0, 0]) for _ in range(20)]

    assert draw() == draw() and set(draw()) == {0.0, 1.0, 2.0}


def test_tokens_of_other_samples_are_refused(samples: PolicySamples) -> None:
    from spark_ros.data.torch_dataset import PolicyDataset

    with pytest.raises(SparkError, match="0 episodes for 1"):
        PolicyDataset(samples, [])
    with pytest.raises(SparkError, match=r"episode_000001\.mcap have shape \(1, 19, 2, 5, 3\)"):
        PolicyDataset(samples, [np.zeros((1, 19, 2, 5, 3), np.float32)])
