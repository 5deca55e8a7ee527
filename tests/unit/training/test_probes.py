"""Probes give the known answer where there is one: on clips and features made for it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from moving_spot import MovingSpot
from numpy.typing import NDArray
from torch import Tensor

from benchmarks.probes import read_recipe
from spark_ros.contracts import SparkError
from spark_ros.data.clips import open_clips
from spark_ros.encoders.frozen import FrozenFeatures
from spark_ros.encoders.spark import SparkModel
from spark_ros.encoders.spark_options import SparkOptions
from spark_ros.encoders.weights import load_vit
from spark_ros.training.probe_fit import order_accuracy, regress
from spark_ros.training.probe_frames import ProbeClip, ProbeOptions, collect
from spark_ros.training.probe_patches import correspondence, correspondence_chance, likeness
from spark_ros.training.probe_subject import Subject, subject_of_encoder
from spark_ros.training.probes import probe, run_probes

SIDE, PATCH = 112, 14
GRID = SIDE // PATCH


SPOTS = [MovingSpot(seed) for seed in range(12)]
OPTIONS = ProbeOptions(clips=None, patch_images=4, view_images=2)


def mean_colour(images: NDArray[np.uint8]) -> Tensor:
    return torch.from_numpy(images.reshape(len(images), -1, 3).mean(axis=1)).float()


def noise(images: NDArray[np.uint8]) -> Tensor:
    return torch.randn(len(images), 16, generator=torch.Generator().manual_seed(int(images.sum()) % 2**31))


def pixels_of_patches(images: NDArray[np.uint8]) -> Tensor:
    """(B, N, 3) the mean colour of each patch: found again wherever it moves."""
    means = torch.nn.functional.avg_pool2d(torch.from_numpy(images).permute(0, 3, 1, 2).float(), PATCH)
    return (means - 127.0).flatten(2).transpose(1, 2)


def smooth_images(count: int) -> NDArray[np.uint8]:
    """Images whose red and green say where they are, with some grain: every place has its own colour."""
    ramp = np.linspace(0, 255, SIDE)
    image = np.stack([*np.meshgrid(ramp, ramp), np.full((SIDE, SIDE), 200.0)], axis=-1)
    grain = np.random.default_rng(0).uniform(-5, 5, (count, SIDE, SIDE, 1))
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def episodes(count: int = 8, frames: int = 30) -> list[NDArray[np.float64]]:
    rng = np.random.default_rng(0)
    return [np.cumsum(rng.standard_normal((frames, 3)), axis=0) for _ in range(count)]


def test_what_features_contain_linearly_is_read_from_unseen_episodes() -> None:
    labels = episodes()
    mixing = np.random.default_rng(1).standard_normal((3, 40))
    fit = regress([1e3 * label @ mixing + 7.0 for label in labels], labels)
    assert fit.r2 > 0.999
    assert fit.error < 0.1


@pytest.mark.parametrize("channels", [4, 400])
def test_noise_predicts_nothing(channels: int) -> None:
    rng = np.random.default_rng(2)
    labels = [rng.standard_normal((30, 3)) for _ in range(8)]
    assert abs(regress([rng.standard_normal((30, channels)) for _ in labels], labels).r2) < 0.1


def test_what_only_names_the_episode_is_worth_nothing() -> None:
    """A split by frame would score high here: the label is constant within an episode, and the feature names it."""
    labels = [np.full((30, 3), value) for value in np.random.default_rng(3).standard_normal((8, 3))]
    features = [np.eye(8)[[number] * 30] for number in range(8)]
    assert regress(features, labels).r2 < 0.1


def test_order_is_told_where_the_state_has_a_direction_of_time_and_only_there() -> None:
    rng = np.random.default_rng(4)
    rising = [np.linspace(0, 1, 30)[:, None] + 0.01 * rng.standard_normal((30, 5)) for _ in range(8)]
    still = [rng.standard_normal((30, 5)) for _ in range(8)]
    assert order_accuracy([state[:-4] for state in rising], [state[4:] for state in rising]) > 0.95
    assert 0.35 < order_accuracy([state[:-4] for state in still], [state[4:] for state in still]) < 0.65


def test_patches_are_like_themselves() -> None:
    patches = torch.randn(4, 9, 16, generator=torch.Generator().manual_seed(0))
    alike = likeness(patches, patches)
    assert (alike.cosine, alike.cka, alike.gram) == pytest.approx((1.0, 1.0, 0.0))


def test_a_turned_feature_space_keeps_cka_and_gram_and_loses_cosine() -> None:
    patches = torch.randn(4, 9, 16, generator=torch.Generator().manual_seed(0))
    turn = torch.linalg.qr(torch.randn(16, 16, generator=torch.Generator().manual_seed(1)))[0]
    alike = likeness(patches @ turn, patches)
    assert (alike.cka, alike.gram) == pytest.approx((1.0, 0.0), abs=1e-5)
    assert abs(alike.cosine) < 0.2


def test_unrelated_patches_are_not_alike() -> None:
    patches = torch.randn(2, 50, 64, 8, generator=torch.Generator().manual_seed(0))
    alike = likeness(patches[0], patches[1])
    assert abs(alike.cosine) < 0.05
    assert alike.cka < 0.05


def test_patches_that_know_what_they_show_find_each_other_again() -> None:
    right = correspondence(pixels_of_patches, smooth_images(4))
    assert {"shift", "scale", "rotation", "light"} == set(right)
    assert min(right[name] for name in ("shift", "scale", "rotation")) > 0.9


def test_shuffled_patches_find_each_other_by_chance_only() -> None:
    def shuffled(images: NDArray[np.uint8]) -> Tensor:
        patches = pixels_of_patches(images)
        rng = torch.Generator().manual_seed(int(images.sum()) % 2**31)
        return torch.stack([patch[torch.randperm(patch.shape[0], generator=rng)] for patch in patches])

    right = correspondence(shuffled, smooth_images(40))
    assert np.mean(list(right.values())) == pytest.approx(correspondence_chance(SIDE, GRID), abs=0.04)


def test_patches_that_only_know_their_place_find_nothing() -> None:
    places = torch.randn(GRID**2, 32, generator=torch.Generator().manual_seed(0))
    right = correspondence(lambda images: places.expand(len(images), -1, -1), smooth_images(2))
    assert max(right.values()) == 0.0


def test_frames_are_a_step_apart_and_know_where_things_were() -> None:
    (clip,) = collect([SPOTS[0]], 28, replace(OPTIONS, frames=10))
    assert clip.images.shape == (10, 28, 28, 3)
    assert np.diff(clip.stamps_s) == pytest.approx(0.2)
    assert mean_colour(clip.images).numpy() / 255.0 == pytest.approx(clip.positions["cube"], abs=0.01)


def test_a_state_that_shows_the_spot_scores_high_and_noise_does_not() -> None:
    clips = collect(SPOTS, 28, OPTIONS)
    knows, guesses = (probe(Subject(28, state), clips, OPTIONS) for state in (mean_colour, noise))
    assert knows["cube_position_r2"] > 0.99
    assert knows["cube_position_mm"] < 15.0  # an eight-bit colour resolves 4 mm
    assert knows["cube_velocity_r2"] > 0.9
    assert guesses["cube_position_r2"] < 0.15
    assert guesses["cube_velocity_r2"] < 0.15
    assert 0.4 < guesses["order_accuracy"] < 0.6


def test_what_does_not_move_or_is_not_known_is_not_scored() -> None:
    figures = probe(Subject(28, mean_colour), collect(SPOTS, 28, OPTIONS), OPTIONS)
    assert not [name for name in figures if name.startswith(("shelf", "tool"))]


def test_too_few_clips_leave_the_state_probes_out() -> None:
    assert probe(Subject(28, mean_colour), collect(SPOTS[:3], 28, OPTIONS), OPTIONS) == {}


def test_cameras_are_probed_by_themselves() -> None:
    """Two cameras see the cube differently: one read-out for both would fail."""

    front = collect(SPOTS, 28, OPTIONS)
    side = [ProbeClip("side", 255 - clip.images, clip.stamps_s, clip.positions) for clip in front]
    assert probe(Subject(28, mean_colour), [*front, *side], OPTIONS)["cube_position_r2"] > 0.99


def test_an_untrained_student_is_its_teacher() -> None:
    model = SparkModel(SparkOptions(weights="random:0", image_size=SIDE, depth=2))
    figures = run_probes(model, SPOTS[:4], OPTIONS)
    assert figures["patch_cosine"] == pytest.approx(1.0, abs=1e-4)
    assert figures["patch_cka"] == figures["block2_cka"] == pytest.approx(1.0, abs=1e-4)
    assert figures["block1_gram"] == pytest.approx(0.0, abs=1e-4)
    assert figures["correspondence"] == figures["original_correspondence"]
    assert figures == run_probes(model, SPOTS[:4], OPTIONS)


def test_an_encoder_is_compared_to_the_original_it_is_given() -> None:
    original, _ = load_vit("random:0", SIDE)
    clips = collect(SPOTS[:2], SIDE, OPTIONS)
    same, other = (
        probe(subject_of_encoder(FrozenFeatures(weights, SIDE, block=2, tokens="cls"), original), clips, OPTIONS)
        for weights in ("random:0", "random:1")
    )
    assert same["patch_cosine"] == pytest.approx(1.0, abs=1e-4)
    assert other["patch_cosine"] < 0.9


def test_recorded_episodes_can_be_probed(demos: Path) -> None:
    encoder = FrozenFeatures("random:0", 28, block=1, tokens="cls")
    figures = run_probes(encoder, open_clips(demos), replace(OPTIONS, step_s=0.1))
    assert 0.0 <= figures["order_accuracy"] <= 1.0


@pytest.mark.parametrize("text", ["name", "=recipe", "name={broken", "name=missing.json"])
def test_the_program_refuses_a_recipe_it_cannot_read(text: str) -> None:
    with pytest.raises(SparkError, match="give NAME=RECIPE"):
        read_recipe(text)


def test_the_program_reads_recipes_in_every_form(tmp_path: Path) -> None:
    recipe = {"name": "frozen", "weights": "random:0"}
    (tmp_path / "recipe.json").write_text(json.dumps(recipe))
    assert read_recipe(f"a={json.dumps(recipe)}") == ("a", recipe)
    assert read_recipe(f"b={tmp_path / 'recipe.json'}") == ("b", recipe)
    assert read_recipe("c=runs/spark") == ("c", {"name": "spark", "weights": "runs/spark"})
