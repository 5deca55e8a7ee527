from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch
from moving_spot import MovingSpot

from spark_ros.contracts import SparkError
from spark_ros.encoders.spark import SparkModel
from spark_ros.encoders.spark_options import SparkOptions
from spark_ros.training.probe_colours import fit_colours, turned_onto
from spark_ros.training.probe_pictures import draw_pictures

OPTIONS = SparkOptions(weights="random:0", image_size=28, depth=1, decoder_depth=1, target="both")
CLIPS = [MovingSpot(seed, camera=camera, length=8) for seed, camera in enumerate(("front", "side"))]


def test_every_picture_is_drawn(tmp_path: Path) -> None:
    paths = draw_pictures(SparkModel(OPTIONS), CLIPS, tmp_path / "pictures")
    assert [path.name for path in paths] == ["patch_pca.png", "prediction.png", "attention.png"]
    assert all(path.read_bytes().startswith(b"\x89PNG") for path in paths)


def test_without_a_trained_decoder_nothing_is_foreseen(tmp_path: Path) -> None:
    paths = draw_pictures(SparkModel(replace(OPTIONS, dynamics_weight=0.0)), CLIPS, tmp_path)
    assert [path.name for path in paths] == ["patch_pca.png", "attention.png"]


def test_clips_too_short_to_foresee_anything_are_not_drawn(tmp_path: Path) -> None:
    assert draw_pictures(SparkModel(OPTIONS), [MovingSpot(0, length=2)], tmp_path) == []


def test_a_folder_that_cannot_be_made_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(SparkError, match="cannot write pictures"):
        draw_pictures(SparkModel(OPTIONS), CLIPS, tmp_path / "file")


def test_colours_follow_the_strongest_components_and_agree_in_sign() -> None:
    features = torch.randn(500, 8, generator=torch.Generator().manual_seed(0)) * torch.tensor([9.0, 5, 3, *[0.1] * 5])
    drawn = fit_colours(features)(features)
    for channel in range(3):
        assert abs(torch.corrcoef(torch.stack([drawn[:, channel], features[:, channel]]))[0, 1]) > 0.95
    assert fit_colours(-features, like=drawn)(-features) == pytest.approx(drawn, abs=1e-3)


def test_a_turned_and_moved_space_is_turned_back() -> None:
    rng = torch.Generator().manual_seed(0)
    features = torch.randn(200, 6, generator=rng)
    turn = torch.linalg.qr(torch.randn(6, 6, generator=rng))[0]
    assert torch.allclose(turned_onto(features @ turn + 3.0, features), features, atol=1e-4)
