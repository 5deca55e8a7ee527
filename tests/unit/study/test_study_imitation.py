from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from benchmarks.study.arms import ARMS, find_arm, lighten, make_encoder, weights_sha256
from benchmarks.study.cells import Cell
from benchmarks.study.imitation import Examples, Imitated, ImitationOptions, imitate
from benchmarks.study.policies import PolicyStore
from spark_ros.contracts import SparkError
from spark_ros.training.config import OptimiserOptions
from spark_ros.training.features import encode

OPTIONS = ImitationOptions(
    head_options={"width": 32},
    optimiser=OptimiserOptions(max_steps=300, warmup_steps=10, ema_decay=0.95),
    validate_every=100,
)


def examples(demos: int, seed: int, steps: int = 40) -> Examples:
    """Actions that are written in the tokens and nowhere else."""
    generator = np.random.default_rng(seed)
    count = demos * steps
    tokens = generator.normal(size=(count, 2, 1, 8)).astype(np.float16)
    action = np.repeat(tokens[:, 0, :, :3].astype(np.float32), 4, axis=1)
    proprioception = generator.normal(size=(count, 5)).astype(np.float32)
    return Examples(tokens, proprioception, action, np.ones((count, 4), bool), np.repeat(np.arange(demos), steps))


def learn(seed: int = 0) -> Imitated:
    return imitate(examples(30, 1), examples(3, 2), ("front", "wrist"), 0, (0, 1, 2), OPTIONS, seed)


def test_a_policy_of_the_study_learns_what_the_state_holds() -> None:
    learnt = learn()
    assert learnt.best_error <= learnt.last_error < 0.5  # never having looked costs 1.6
    assert 0 < learnt.best_step <= 300


def test_the_same_seed_gives_the_same_policy() -> None:
    first, second, other = learn(), learn(), learn(seed=1)
    key = "mlp.0.weight"
    assert torch.equal(first.last.state_dict()[key], second.last.state_dict()[key])
    assert not torch.equal(first.last.state_dict()[key], other.last.state_dict()[key])


def test_demonstrations_are_chosen_by_number() -> None:
    all_of_them = examples(4, 0)
    assert set(all_of_them.of(1, 3).episode) == {1, 2}
    with pytest.raises(SparkError, match="demonstrations 7 to 8 hold no step to imitate"):
        all_of_them.of(7, 9)


def test_a_policy_is_trained_once_and_both_checkpoints_are_kept(tmp_path: Path) -> None:
    store, calls = PolicyStore(tmp_path, quick=True), []

    def train(options: ImitationOptions) -> Imitated:
        calls.append(options)
        return learn()

    cell = Cell("toy", "reach", "proprio", 3, 0, "last", 0, 1)
    policies = [
        store.get(Cell(**{**vars(cell), "checkpoint": which, "first": first}), find_arm("proprio"), None, train)
        for which, first in (("last", 0), ("best", 0), ("last", 5))
    ]
    assert len(calls) == 1
    assert torch.equal(policies[0][0].state_dict()["norm.weight"], policies[2][0].state_dict()["norm.weight"])
    assert policies[1][1]["best_step"] and not policies[1][0].training
    store.get(Cell(**{**vars(cell), "seed": 1}), find_arm("proprio"), None, train)
    assert len(calls) == 2


def test_a_light_encoder_gives_the_same_numbers(tmp_path: Path) -> None:
    random = make_encoder(find_arm("random"), tmp_path)
    assert random is not None
    images = np.random.default_rng(0).integers(0, 256, (3, 112, 112, 3), np.uint8)
    before = encode(random, images)
    assert np.array_equal(encode(lighten(random), images), before)


def test_arms_say_what_they_are(tmp_path: Path) -> None:
    assert weights_sha256(find_arm("proprio"), tmp_path) == "" and make_encoder(find_arm("proprio"), tmp_path) is None
    assert weights_sha256(find_arm("spark@fr3"), tmp_path) is None
    random = make_encoder(find_arm("random"), tmp_path)
    assert random is not None and (random.num_tokens, random.grid) == (1, 0)
    assert random.recipe["weights_sha256"] == weights_sha256(find_arm("random"), tmp_path)
    assert find_arm("spark@fr3").in_domain("fr3-shift") and not find_arm("spark@fr3").in_domain("metaworld5")
    assert find_arm("spark-patch@fr3").encoder == "spark@fr3"
    assert all(name == arm.name for name, arm in ARMS.items())
    with pytest.raises(SparkError, match="arm 'sparc@fr3' is unknown"):
        find_arm("sparc@fr3")
