from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from spark_ros.contracts import SparkError
from spark_ros.policies.base import PolicyRecipe, PolicySpace, PolicyStatistics
from spark_ros.policies.options import write_options
from spark_ros.policies.registry import HEADS, build_policy
from spark_ros.policies.regularise import InputNoiseOptions

SPACE = PolicySpace(
    cameras=("front", "wrist"), num_tokens=17, token_dim=24, grid=4, proprioception_size=5, horizon=3, action_size=7
)


# Heads for a compact state are asked with one; all others with a class token before a grid.
SPACES = {head: SPACE for head in HEADS} | {"bn_mlp": replace(SPACE, num_tokens=1, grid=0)}


def inputs(head: str, batch: int = 2) -> tuple[torch.Tensor, torch.Tensor]:
    tokens = SPACES[head].num_tokens
    generator = torch.Generator().manual_seed(0)
    return torch.randn(batch, 2, tokens, 24, generator=generator), torch.randn(batch, 5, generator=generator)


@pytest.mark.parametrize("head", sorted(HEADS))
def test_a_head_turns_tokens_of_every_camera_into_a_chunk(head: str) -> None:
    policy = build_policy(PolicyRecipe(head, SPACES[head])).eval()
    assert policy(*inputs(head, 4)).shape == (4, 3, 7)


@pytest.mark.parametrize("head", sorted(HEADS))
def test_statistics_in_the_module_carry_physical_units(head: str) -> None:
    policy = build_policy(PolicyRecipe(head, SPACES[head])).eval()
    tokens, proprioception = inputs(head)
    standardised = policy(tokens, proprioception)
    statistics = PolicyStatistics(
        token_mean=torch.full((2, 24), 3.0),
        token_std=torch.full((2, 24), 2.0),
        proprioception_mean=torch.full((5,), -1.0),
        proprioception_std=torch.full((5,), 0.5),
        action_mean=torch.arange(21.0).view(3, 7),
        action_std=torch.full((3, 7), 0.1),
    )
    policy.set_statistics(statistics)
    physical = policy(tokens * 2.0 + 3.0, proprioception * 0.5 - 1.0)
    torch.testing.assert_close(physical, standardised * 0.1 + statistics.action_mean, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("head", sorted(HEADS))
def test_noise_acts_in_training_only(head: str) -> None:
    recipe = PolicyRecipe(head, SPACES[head], {"dropout": 0.0}, InputNoiseOptions(0.3, 0.1, 0.1))
    policy = build_policy(recipe)
    assert not torch.equal(policy.train()(*inputs(head)), policy(*inputs(head)))
    assert torch.equal(policy.eval()(*inputs(head)), policy(*inputs(head)))


@pytest.mark.parametrize("head", sorted(HEADS))
def test_a_recipe_from_json_builds_the_same_policy(head: str) -> None:
    policy = build_policy(PolicyRecipe(head, SPACES[head], {"width": 32})).eval()
    again = build_policy(json.loads(json.dumps(write_options(policy.recipe)))).eval()
    again.load_state_dict(policy.state_dict())
    assert again.recipe == policy.recipe
    assert torch.equal(again(*inputs(head)), policy(*inputs(head)))


@pytest.mark.parametrize("head", sorted(HEADS))
def test_the_exported_graph_gives_the_same_chunk(head: str, tmp_path) -> None:
    ort = pytest.importorskip("onnxruntime")
    policy = build_policy(PolicyRecipe(head, SPACES[head], {"width": 32})).eval()
    arguments = inputs(head, 1)
    path = tmp_path / "policy.onnx"
    torch.onnx.export(
        policy,
        arguments,
        path,
        dynamo=True,
        opset_version=20,
        input_names=["tokens", "proprioception"],
        output_names=["actions"],
        verbose=False,
    )
    session = ort.InferenceSession(path, providers=["CPUExecutionProvider"])
    names = [entry.name for entry in session.get_inputs()]
    (actions,) = session.run(None, dict(zip(names, (value.numpy() for value in arguments), strict=True)))
    with torch.no_grad():
        np.testing.assert_allclose(actions, policy(*arguments).numpy(), atol=1e-5)


def test_spatial_mlp_locates_an_object_to_a_fraction_of_a_patch() -> None:
    """The promise the default head was chosen for, on tokens that carry a position only as mixed soft occupancy."""
    torch.manual_seed(0)
    space = replace(SPACE, cameras=("front",), num_tokens=64, grid=8, horizon=1, action_size=2)
    noise = InputNoiseOptions(0.0, 0.0, 0.0)
    policy = build_policy(PolicyRecipe("spatial_mlp", space, {"dropout": 0.0}, noise))
    mixing = torch.randn(2, 24)
    centres = (torch.arange(8) + 0.5) / 4.0 - 1.0

    def sample(count: int) -> tuple[torch.Tensor, torch.Tensor]:
        where = torch.rand(count, 2) * 1.6 - 0.8  # x, y
        x, y = ((-(((centres - where[:, i : i + 1]) / 0.25) ** 2)).exp() for i in (0, 1))
        occupied = (y[:, :, None] * x[:, None, :]).reshape(count, 1, 64, 1)
        texture = torch.randn(count, 1, 64, 1)
        return occupied * mixing[0] * 5.0 + texture * mixing[1] + 0.1 * torch.randn(count, 1, 64, 24), where

    optimiser = torch.optim.AdamW(policy.parameters(), lr=2e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=250)
    for _ in range(250):
        tokens, where = sample(64)
        loss = (policy(tokens, torch.zeros(64, 5))[:, 0] - where).abs().mean()
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()
    tokens, where = sample(256)
    error = (policy.eval()(tokens, torch.zeros(256, 5))[:, 0] - where).norm(dim=1).median()
    assert error < 0.2 * 0.25  # a patch is 0.25 wide in these units


def test_bn_mlp_follows_the_scale_of_each_input() -> None:
    """Batch norm learns, in training only, what the statistics of all data do not say, and exports as arithmetic."""
    torch.manual_seed(0)
    policy = build_policy(PolicyRecipe("bn_mlp", SPACES["bn_mlp"], {"width": 16, "momentum": 0.5}))
    tokens, proprioception = inputs("bn_mlp", 64)
    for _ in range(30):
        policy.train()(tokens, proprioception * 0.01)
    policy.eval()
    before = policy.norm.running_var.clone()
    assert before[-5:].max() < 0.01 < 0.3 < before[:-5].min()
    policy(tokens, proprioception)
    assert torch.equal(policy.norm.running_var, before)


def test_wrong_recipes_are_refused_in_one_sentence() -> None:
    with pytest.raises(SparkError, match="policy head 'mlp' is unknown: use one of bn_mlp, spatial_mlp, transformer"):
        build_policy(PolicyRecipe("mlp", SPACE))
    with pytest.raises(SparkError, match=r"unknown option policy.options.keypoint: did you mean keypoints\?"):
        build_policy(PolicyRecipe("spatial_mlp", SPACE, {"keypoint": 3}))
    with pytest.raises(SparkError, match=r"set policy\.head=transformer"):
        build_policy(PolicyRecipe("spatial_mlp", replace(SPACE, grid=0)))
    with pytest.raises(SparkError, match=r"bn_mlp takes a compact state, this encoder gives a grid of 4 x 4 patches"):
        build_policy(PolicyRecipe("bn_mlp", SPACE))
    with pytest.raises(SparkError, match=r"policy.options.width=30 does not divide by policy.options.heads=4"):
        build_policy(PolicyRecipe("transformer", SPACE, {"width": 30}))
    with pytest.raises(SparkError, match=r"statistics token_mean have shape \(3,\), expected \(2, 24\)"):
        build_policy(PolicyRecipe("transformer", SPACE)).set_statistics(PolicyStatistics(*[torch.zeros(3)] * 6))
