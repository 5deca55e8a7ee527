import json

import pytest
import torch

from spark_ros.contracts import SparkError
from spark_ros.data.preprocess import IMAGENET_MEAN, IMAGENET_STD
from spark_ros.encoders.base import fast_inference, normalise_images
from spark_ros.encoders.registry import build_encoder
from spark_ros.encoders.weights import load_vit

RECIPE = {"name": "frozen", "weights": "random:0", "image_size": 56, "block": 3}


@pytest.fixture
def images():
    return torch.randint(0, 256, (2, 56, 56, 3), dtype=torch.uint8, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize(
    ("tokens", "count", "grid"), [("patch", 16, 4), ("cls+patch", 17, 4), ("cls", 1, 0), ("mean", 1, 0)]
)
def test_tokens_are_those_of_the_asked_block(images, tokens, count, grid):
    encoder = build_encoder({**RECIPE, "tokens": tokens, "norm": "none"})
    vit, _ = load_vit("random:0", 56)
    expected = vit(normalise_images(images), [3])[3]
    expected = {
        "patch": expected[:, 1:],
        "cls+patch": expected,
        "cls": expected[:, :1],
        "mean": expected[:, 1:].mean(dim=1, keepdim=True),
    }[tokens]
    torch.testing.assert_close(encoder(normalise_images(images)), expected)
    assert (encoder.num_tokens, encoder.token_dim, encoder.grid) == (count, 384, grid)
    assert expected.shape == (2, encoder.num_tokens, encoder.token_dim)


def test_unused_blocks_are_not_kept():
    assert len(build_encoder(RECIPE).vit.blocks) == 3


def test_recipe_survives_json_and_rebuilds_the_same_encoder(images):
    encoder = build_encoder(RECIPE)
    again = build_encoder(json.loads(json.dumps(encoder.recipe)))
    torch.testing.assert_close(again(normalise_images(images)), encoder(normalise_images(images)), rtol=0, atol=0)
    assert again.recipe == encoder.recipe


def test_recipe_of_other_weights_is_refused():
    recipe = build_encoder(RECIPE).recipe
    with pytest.raises(SparkError, match="expected"):
        build_encoder({**recipe, "weights": "random:1"})


@pytest.mark.parametrize(
    "change", [{"name": "spark2"}, {"block": 13}, {"block": 0}, {"tokens": "all"}, {"norm": "batch"}, {"colour": "red"}]
)
def test_impossible_recipe_is_refused(change):
    with pytest.raises(SparkError):
        build_encoder({**RECIPE, **change})


def test_images_are_normalised_per_channel():
    white = normalise_images(torch.full((1, 2, 2, 3), 255, dtype=torch.uint8))
    expected = (1 - torch.tensor(IMAGENET_MEAN)) / torch.tensor(IMAGENET_STD)
    torch.testing.assert_close(white, expected.view(1, 3, 1, 1).expand(1, 3, 2, 2))


def test_fast_inference_stays_close_to_float32(images):
    encoder = build_encoder(RECIPE)
    exact = encoder(normalise_images(images))
    with fast_inference():
        fast = encoder(normalise_images(images))
    assert torch.cosine_similarity(exact, fast.float(), dim=-1).min() > 0.998
    assert not fast.requires_grad
