"""Pairs are what the options say, of the same place, the same for every division of the work."""

from __future__ import annotations

import os
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch
from coded_clip import CodedClip, frame_numbers, places, regular

from spark_ros.contracts import SparkError
from spark_ros.data.clips import open_clips
from spark_ros.data.preprocess import ImagePreprocess
from spark_ros.training import frames
from spark_ros.training.pairs import PairBatch, PairOptions, PairSampler, recolour, split_clips

SIZE = 32
OPTIONS = PairOptions(folders=())
CLIPS = [regular("long", 50), regular("short", 12), regular("long", 50, camera="wrist")]


@pytest.fixture
def sampler(tmp_path: Path):
    def make(clips=CLIPS, seed: int = 0, size: int = SIZE, options: PairOptions = OPTIONS, **changes) -> PairSampler:
        return PairSampler(clips, options, size, seed, tmp_path / "cache", **changes)

    return make


def same(one: PairBatch, other: PairBatch) -> bool:
    return all(
        np.array_equal(getattr(one, name), getattr(other, name))
        for name in ("now", "later", "colours", "gap_s", "clip")
    )


def together(parts: list[PairBatch]) -> PairBatch:
    tensors = (torch.cat([getattr(part, name) for part in parts]) for name in ("now", "later", "colours"))
    arrays = (np.concatenate([getattr(part, name) for part in parts]) for name in ("gap_s", "clip"))
    return PairBatch(*tensors, *arrays, parts[0].names)


def test_pairs_are_two_frames_of_a_clip_the_drawn_gap_apart(sampler) -> None:
    batch = sampler().batch(0, 400)
    steps = frame_numbers(batch.later) - frame_numbers(batch.now)
    np.testing.assert_allclose(steps / 10, batch.gap_s, atol=1e-9)
    assert steps.min() == 1 and steps.max() == 8
    names = np.array(sampler().names)[batch.clip]
    assert frame_numbers(batch.later)[names == "short front"].max() < 12
    assert frame_numbers(batch.later).max() > 45


def test_every_gap_is_as_likely_as_any_other_up_to_the_end_of_a_clip(sampler) -> None:
    batch = sampler([regular("long", 50, rate=20.0)]).batch(0, 8000)
    counts = np.histogram(batch.gap_s, np.arange(0.125, 0.8, 0.05))[0]
    assert counts.min() > 0.8 * counts.mean() and counts.max() < 1.2 * counts.mean()
    assert np.histogram(frame_numbers(batch.now), np.arange(0, 35, 5))[0].min() > 500


def test_clips_count_by_their_frames(sampler) -> None:
    clip = sampler([regular("a", 41), regular("b", 11)]).batch(0, 4000).clip
    assert 0.75 < (clip == 0).mean() < 0.85


def test_a_pause_in_a_clip_is_never_bridged(sampler) -> None:
    stamps = np.concatenate([np.arange(20) / 10, 7.0 + np.arange(20) / 10])
    batch = sampler([CodedClip("paused", stamps)]).batch(0, 500)
    now, later = stamps[frame_numbers(batch.now)], stamps[frame_numbers(batch.later)]
    np.testing.assert_allclose(later - now, batch.gap_s, atol=1e-9)
    assert batch.gap_s.min() > 0.09 and batch.gap_s.max() < 0.81


def test_both_frames_show_the_same_place_and_places_differ_between_pairs(sampler) -> None:
    batch = sampler().batch(0, 100)
    np.testing.assert_array_equal(places(batch.now), places(batch.later))
    assert places(batch.now).std(axis=0).min() > 10


def test_the_control_shows_two_places_of_one_frame(sampler) -> None:
    batch = sampler(options=PairOptions((), same_frame_crop=True)).batch(0, 100)
    np.testing.assert_array_equal(frame_numbers(batch.now), frame_numbers(batch.later))
    assert np.abs(places(batch.now) - places(batch.later)).max(axis=1).mean() > 10
    assert (batch.gap_s == 0.0).all() and frame_numbers(batch.now).max() > 45


def test_flipping_mirrors_both_frames_of_half_of_the_pairs(sampler) -> None:
    batch = sampler(options=PairOptions((), flip=True)).batch(0, 200)
    mirrored = [place[:, 0] > place[:, 1] for place in (places(batch.now), places(batch.later))]
    np.testing.assert_array_equal(*mirrored)
    assert 0.3 < mirrored[0].mean() < 0.7


def test_colours_change_only_by_the_matrix_that_the_batch_names(sampler) -> None:
    batch = sampler().batch(0, 50)
    gains = batch.colours.diagonal(dim1=1, dim2=2)
    assert gains.std(dim=0).min() > 0.05
    np.testing.assert_array_equal(batch.colours, torch.diag_embed(gains))
    changed = recolour(batch.now, batch.colours)
    expected = np.clip(batch.now.numpy() * gains.numpy()[:, None, None], 0, 255)
    assert np.abs(changed.numpy() - expected).max() <= 1.0


def test_turned_hues_leave_grey_and_make_one_colour_of_another(sampler) -> None:
    still = {"brightness": 0.0, "colour": 0.0}
    colours = sampler(options=PairOptions((), hue=0.5, **still)).batch(0, 100).colours
    grey = torch.full((100, 1, 1, 3), 90, dtype=torch.uint8)
    assert (recolour(grey, colours).int() - grey.int()).abs().max() <= 1
    red = torch.tensor([200, 0, 0], dtype=torch.uint8).expand(100, 1, 1, 3)
    strongest = recolour(red, colours).flatten(1).argmax(dim=1)
    assert {0, 1, 2} == set(strongest.tolist())
    with pytest.raises(SparkError, match=r"hue is 0\.7"):
        sampler(options=PairOptions((), hue=0.7))


def test_unaugmented_images_are_what_the_robots_preprocessing_gives(sampler) -> None:
    clips = [regular("big", 20, side=75)]
    batch = sampler(clips, augment=False).batch(0, 10)
    preprocess = ImagePreprocess(SIZE)
    for image, number in zip(batch.now.numpy(), frame_numbers(batch.now), strict=True):
        np.testing.assert_array_equal(image, preprocess(clips[0].image(int(number))))
    assert (batch.colours == torch.eye(3)).all()


def test_a_batch_depends_on_seed_and_step_alone(sampler) -> None:
    one = sampler()
    later = one.batch(7, 20)
    one.batch(3, 20)
    assert same(later, one.batch(7, 20)) and same(later, sampler().batch(7, 20))
    assert not same(later, one.batch(8, 20)) and not same(later, sampler(seed=1).batch(7, 20))


@pytest.mark.parametrize("world", [2, 3])
def test_the_parts_of_several_processes_make_up_the_batch_of_one(sampler, world: int) -> None:
    one = sampler(with_state=True)
    parts = [one.batch(5, 20, rank, world) for rank in range(world)]
    assert sum(len(part.now) for part in parts) == 20
    assert same(together(parts), one.batch(5, 20))


def test_proprioception_is_that_of_the_two_frames(sampler) -> None:
    batch = sampler(with_state=True).batch(0, 50)
    for images, state in ((batch.now, batch.proprioception_now), (batch.later, batch.proprioception_later)):
        np.testing.assert_allclose(state[:, 0], frame_numbers(images) / 10, atol=1e-6)
    assert sampler().batch(0, 4).proprioception_now is None


@pytest.mark.parametrize("workers", [0, 1, 3])
def test_reading_ahead_changes_nothing(sampler, workers: int) -> None:
    one = sampler()
    ahead = list(one.prefetch(6, 4, 11, rank=1, world=2, workers=workers))
    assert len(ahead) == 7
    assert all(same(batch, one.batch(step, 6, 1, 2)) for step, batch in enumerate(ahead, start=4))


def test_decoding_on_demand_gives_the_same_pairs_and_keeps_nothing(sampler, tmp_path: Path) -> None:
    decoded = sampler(options=PairOptions((), frames="decode")).batch(2, 30)
    assert not (tmp_path / "cache").exists()
    assert same(decoded, sampler().batch(2, 30))


def test_decoded_frames_are_read_from_disk_by_the_next_run(sampler, tmp_path: Path) -> None:
    first = sampler().batch(2, 30)
    written = {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}
    assert len(written) == 3 and all(path.suffix == ".npy" for path in written)
    unreadable = [CodedClip(clip.name, clip.stamps_s, clip.camera, broken=0) for clip in CLIPS]
    assert same(first, sampler(unreadable).batch(2, 30))
    assert written == {path: path.stat().st_mtime_ns for path in (tmp_path / "cache").iterdir()}


def test_frames_of_a_clip_that_fails_leave_nothing_half_written(sampler, tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match="frame 5 was asked for"):
        sampler([regular("fails", 20, broken=5)])
    assert list((tmp_path / "cache").iterdir()) == []


def test_what_a_killed_process_left_is_taken_over(sampler, tmp_path: Path) -> None:
    first = sampler().batch(0, 10)
    for path in list((tmp_path / "cache").iterdir()):
        os.truncate(path, 500)
        path.rename(f"{path}.part")
    assert same(first, sampler().batch(0, 10))
    assert all(path.suffix == ".npy" for path in (tmp_path / "cache").iterdir())


def test_a_truncated_frame_file_is_refused_by_name(sampler, tmp_path: Path) -> None:
    sampler()
    for path in (tmp_path / "cache").iterdir():
        os.truncate(path, 500)
    with pytest.raises(SparkError, match=r"\.npy has gone or is damaged .* delete it"):
        sampler().batch(0, 4)


def test_a_full_disk_is_noticed_before_anything_is_written(sampler, tmp_path: Path, monkeypatch) -> None:
    monkeypatch.setattr(frames, "RESERVE_BYTES", 10**18)
    with pytest.raises(SparkError, match=r"GB free, 112 frames may need 0\.0 GB: make room, set cache_dir, or set"):
        sampler()
    assert list((tmp_path / "cache").iterdir()) == []


def test_clips_without_a_pair_are_left_out_by_name(sampler) -> None:
    with pytest.warns(UserWarning, match=r"no two frames are 0\.1 to 0\.8 s apart in blink front \(1 frame\)"):
        one = sampler([regular("blink", 1), *CLIPS])
    assert one.names == ["long front", "short front", "long wrist"]
    slow = regular("slow", 10, rate=0.5)
    with pytest.raises(SparkError, match=r"slow front \(10 frames\), and there is no other video"):
        sampler([regular("blink", 1), slow])


@pytest.mark.parametrize(
    "options, sentence",
    [
        (PairOptions((), gap_s=(0.8, 0.1)), r"data\.gap_s"),
        (PairOptions((), gap_s=(0.0, 0.1)), r"data\.gap_s"),
        (PairOptions((), crop_scale=(0.0, 1.0)), r"data\.crop_scale"),
        (PairOptions((), frames="memory"), r"data\.frames"),
    ],
)
def test_options_out_of_range_are_refused(sampler, options: PairOptions, sentence: str) -> None:
    with pytest.raises(SparkError, match=sentence):
        sampler(options=options)


def test_all_cameras_of_an_episode_are_held_out_together() -> None:
    clips = [regular(f"episode {i}", 5, camera=camera) for i in range(20) for camera in ("front", "wrist")]
    training, held_out = split_clips(clips, 0.2, seed=3)
    assert len(held_out) == 8 and len(training) == 32
    assert not {clip.name for clip in training} & {clip.name for clip in held_out}
    assert split_clips(clips, 0.2, seed=3)[1] == held_out != split_clips(clips, 0.2, seed=4)[1]
    assert len(split_clips(clips[:4], 0.01, seed=0)[1]) == 2
    with pytest.raises(SparkError, match="expected at least 2"):
        split_clips(clips[:2], 0.2, seed=0)


def test_recorded_episodes_make_pairs(sampler, demos: Path) -> None:
    clips = open_clips(demos, ["front"])
    batch = sampler(clips, size=28, augment=False, with_state=True).batch(0, 12)
    gaps = (batch.proprioception_later - batch.proprioception_now).abs().sum(dim=1) > 0
    assert gaps.any() and batch.now.shape == (12, 28, 28, 3)
    first = clips[int(batch.clip[0])]
    expected = [cv2.resize(image, (28, 28), interpolation=cv2.INTER_AREA) for image in first.images()]
    assert any(np.array_equal(batch.now[0].numpy(), image) for image in expected)
