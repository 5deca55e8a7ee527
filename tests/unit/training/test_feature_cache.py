from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from spark_ros.data.preprocess import ImagePreprocess
from spark_ros.data.samples import PolicySamples
from spark_ros.encoders.base import Encoder
from spark_ros.encoders.registry import build_encoder
from spark_ros.training import features
from spark_ros.training.augment import augment
from spark_ros.training.config import AugmentationOptions
from spark_ros.training.features import FeatureCache, encode
from spark_ros.training.setup import read_samples

NONE = AugmentationOptions(shift=0.0, brightness=0.0, contrast=0.0, colour=0.0)


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return build_encoder({"name": "frozen", "weights": "random:0", "block": 1, "image_size": 28})


@pytest.fixture
def samples(make_config) -> PolicySamples:
    return read_samples(make_config())[0]


def images(count: int = 6) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 28, 28, 3)).astype(np.uint8)


def test_augmentation_repeats_with_its_seed_and_is_different_for_every_image() -> None:
    same = np.repeat(images(1), 4, axis=0)
    first, again = (augment(same, AugmentationOptions(), np.random.default_rng(5)) for _ in range(2))
    assert np.array_equal(first, again)
    assert len({image.tobytes() for image in first}) == 4


def test_augmentation_of_nothing_changes_nothing() -> None:
    assert np.array_equal(augment(images(), NONE, np.random.default_rng(0)), images())


def test_a_shift_moves_the_content_by_at_most_its_limit() -> None:
    dot = np.zeros((40, 28, 28, 3), np.uint8)
    dot[:, 14, 14] = 200
    moved = augment(dot, replace(NONE, shift=0.1), np.random.default_rng(0))
    _, rows, columns = np.nonzero(moved[..., 0])
    assert {*rows, *columns} == set(range(11, 18))  # 10% of 28 px


def test_versions_are_the_recorded_images_then_augmented_ones(samples, encoder, tmp_path: Path) -> None:
    cache = FeatureCache(tmp_path, encoder, ImagePreprocess(28), AugmentationOptions(), seed=0)
    tokens = cache.tokens(samples, [2] + [1] * (len(samples.episodes) - 1))
    episode = samples.episodes[0]
    assert [len(versions) for versions in tokens] == [2, 1, 1, 1, 1]
    assert tokens[0][0].shape == (len(episode), 2, encoder.num_tokens, encoder.token_dim)
    wrist = ImagePreprocess(28)(episode.image("wrist", 3))
    np.testing.assert_array_equal(tokens[0][0][3, 1], encode(encoder, wrist[None])[0])
    assert not np.array_equal(tokens[0][0], tokens[0][1])


def test_only_what_is_missing_is_encoded(samples, encoder, tmp_path: Path, monkeypatch) -> None:
    count = len(samples.episodes)
    cache = FeatureCache(tmp_path, encoder, ImagePreprocess(28), AugmentationOptions(), seed=0)
    remaining = iter([False, False, True])
    partial = cache.tokens(samples, [1] * count, stop=lambda: next(remaining))
    assert [len(versions) for versions in partial] == [1, 1, 0, 0, 0]

    encoded = []
    monkeypatch.setattr(features, "encode", lambda e, x: encoded.append(len(x)) or encode(e, x))
    cache.tokens(samples, [1] * count)
    assert len(encoded) == count - 2
    cache.tokens(samples, [2] + [1] * (count - 1))
    assert len(encoded) == count - 1
    # another number of copies, the same ones
    FeatureCache(tmp_path, encoder, ImagePreprocess(28), AugmentationOptions(copies=7), 0).tokens(
        samples, [2] * 1 + [1] * 4
    )
    assert len(encoded) == count - 1
    # another seed, another augmented copy; the recorded images are the same
    FeatureCache(tmp_path, encoder, ImagePreprocess(28), AugmentationOptions(), 1).tokens(samples, [2] + [1] * 4)
    assert len(encoded) == count
    assert not list(tmp_path.glob("*.part"))
