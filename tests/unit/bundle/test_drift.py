"""What is foreign is noticed, what is usual is not, and the stated rate of false alarms holds."""

import sys
from pathlib import Path

import numpy as np
import pytest
from bundle_for_tests import CHANNELS, write_bundle

sys.path.insert(0, str(Path(__file__).parents[1] / "training"))  # demos_for_training

from demos_for_training import write_demos

from spark_ros.bundle.drift import read_drift, write_drift
from spark_ros.bundle.drift_fit import add_drift, alarm_level, fit_drift, split, store_drift
from spark_ros.bundle.load import load_bundle
from spark_ros.contracts import Frame, SparkError, StateFeatures
from spark_ros.runtime.drift import DriftMonitor
from spark_ros.runtime.encoder_runtime import EncoderRuntime

CAMERAS = ("front", "wrist")


def episodes(rng, count, steps=20, size=6):
    """Tokens that wander within a correlated cloud of their own camera, more between episodes than within one."""
    place = np.array([-10.0, 10.0])[:, None, None, None]
    mixing = np.random.default_rng(0).standard_normal((2, size, size))
    found = []
    for _ in range(count):
        walk = rng.standard_normal((2, 1, size)) + 0.3 * rng.standard_normal((2, steps, size))
        tokens = place + (walk @ mixing)[:, :, None, :] + 0.1 * rng.standard_normal((2, steps, 4, size))
        found.append({camera: row.astype(np.float32) for camera, row in zip(CAMERAS, tokens, strict=True)})
    return found


def joint_level(statistics, episode):
    steps = range(len(episode["front"]))
    return alarm_level(np.array([max(statistics.score(c, episode[c][t]) for c in CAMERAS) for t in steps]))


def test_the_stated_part_of_new_nominal_episodes_raises_an_alarm():
    rng = np.random.default_rng(1)
    alarms = []
    for _ in range(20):
        statistics = fit_drift(episodes(rng, 40), episodes(rng, 19), 0.1)
        assert statistics.false_alarm_rate == pytest.approx(0.1)
        alarms += [joint_level(statistics, episode) > 1.0 for episode in episodes(rng, 20)]
    assert 0.04 < np.mean(alarms) < 0.16


def test_too_few_held_out_episodes_promise_what_they_can():
    rng = np.random.default_rng(2)
    held_out = episodes(rng, 4)
    statistics = fit_drift(episodes(rng, 8), held_out, 0.05)
    assert statistics.false_alarm_rate == pytest.approx(1 / 5)
    assert max(joint_level(statistics, episode) for episode in held_out) == pytest.approx(1.0, rel=1e-4)


@pytest.mark.parametrize("camera", CAMERAS)
def test_one_foreign_camera_of_two_is_enough(camera):
    rng = np.random.default_rng(3)
    statistics = fit_drift(episodes(rng, 20), episodes(rng, 10), 0.1)
    other = next(name for name in CAMERAS if name != camera)
    episode = episodes(rng, 1)[0]
    assert statistics.score(camera, episode[other][0]) > 1.5, "the other camera's picture in its place"
    assert statistics.score(camera, np.full((4, 6), 60, np.float32)) > 3


@pytest.mark.parametrize("rate", [0.0, 1.0, -0.1, float("nan")])
def test_a_rate_that_is_none_is_refused(rate):
    found = episodes(np.random.default_rng(0), 4)
    with pytest.raises(SparkError, match="false alarm rate"):
        fit_drift(found[:2], found[2:], rate)


def test_images_that_never_change_leave_a_border_that_everything_else_is_beyond():
    still = [{camera: np.ones((5, 4, 6), np.float32) for camera in CAMERAS}] * 4
    statistics = fit_drift(still[:2], still[2:], 0.5)
    assert statistics.score("front", still[0]["front"][0]) <= 1.0 < statistics.score("front", np.zeros((4, 6)))


def test_an_alarm_needs_its_observations_in_a_row():
    assert alarm_level(np.array([1.0, 9.0, 1.0, 9.0, 9.0, 2.0])) == 2.0
    assert alarm_level(np.array([1.0, 9.0])) == 1.0


def test_statistics_survive_a_file_and_a_damaged_one_is_refused(tmp_path):
    rng = np.random.default_rng(4)
    statistics = fit_drift(episodes(rng, 6), episodes(rng, 3), 0.3)
    write_drift(tmp_path / "drift.npz", statistics)
    again = read_drift(tmp_path / "drift.npz", CAMERAS)
    tokens = episodes(rng, 1)[0]["wrist"][0]
    assert again.score("wrist", tokens) == statistics.score("wrist", tokens)
    assert (again.fit_episodes, again.held_out_episodes, again.alarm_after) == (6, 3, 3)
    with pytest.raises(SparkError, match="bundle drift"):
        read_drift(tmp_path / "drift.npz", ("front", "ceiling"))
    np.savez(tmp_path / "pickle.npz", false_alarm_rate=np.array([object()], dtype=object))
    with pytest.raises(SparkError, match="bundle drift"):
        read_drift(tmp_path / "pickle.npz", CAMERAS)


def test_tokens_of_another_size_or_camera_are_refused():
    statistics = fit_drift(*[episodes(np.random.default_rng(5), 3)] * 2, 0.3)
    for camera, size in (("front", 7), ("ceiling", 6)):
        with pytest.raises(SparkError, match=f"camera {camera}"):
            statistics.score(camera, np.zeros((4, size), np.float32))


def test_a_bundle_learns_from_demonstrations_and_keeps_its_graphs(tmp_path):
    folder = write_bundle(tmp_path / "tiny")
    demos = write_demos(tmp_path / "demos", episodes=12, duration_s=1.0)
    before = load_bundle(folder)
    assert before.drift() is None
    bundle = add_drift(before, demos, 0.2)
    assert bundle.manifest.id != before.manifest.id
    assert bundle.manifest.encoder_sha256 == before.manifest.encoder_sha256
    statistics = bundle.drift()
    assert (statistics.fit_episodes, statistics.held_out_episodes) == (8, 4)
    assert statistics.false_alarm_rate == pytest.approx(0.2)

    encoder, monitor = EncoderRuntime(bundle), DriftMonitor(statistics)
    usual = np.full((32, 32, 3), 90, np.uint8)
    usual[12:20, 14:22] = (255, 0, 0)
    for camera in CAMERAS:
        score = monitor.add(encoder.encode(Frame(camera, usual, 0)))
    assert score < 1.5
    for camera in CAMERAS:
        score = monitor.add(encoder.encode(Frame(camera, np.zeros_like(usual), 0)))
    assert score > 5

    again = store_drift(bundle, statistics)
    assert again.manifest.id == bundle.manifest.id
    anew = add_drift(again, demos, 0.5)
    drifts = [path.name for path in folder.glob("*drift*")]
    assert drifts == [anew.manifest.drift], "an earlier file does not stay behind"


def test_too_few_demonstrations_are_refused(tmp_path):
    with pytest.raises(SparkError, match="at least 12 demonstrations, 3 are there"):
        split(["a", "b", "c"])


def test_the_shipped_bundle_knows_its_own_recorded_observations_and_each_camera_in_the_place_of_the_other():
    bundle = load_bundle(Path(__file__).parents[3] / "models" / "fr3_lift")
    statistics, golden = bundle.drift(), bundle.golden()
    assert statistics.false_alarm_rate < 0.06
    for camera, other in (CAMERAS, CAMERAS[::-1]):
        assert max(statistics.score(camera, tokens) for tokens in golden.tokens[camera]) < 1.0
        assert min(statistics.score(camera, tokens) for tokens in golden.tokens[other]) > 1.5


def features(camera, value):
    return StateFeatures(camera, np.full((4, CHANNELS), value, np.float32), 0)


def test_an_observation_has_one_score_and_a_silent_camera_does_not_hide_the_other():
    rng = np.random.default_rng(6)
    monitor = DriftMonitor(fit_drift(episodes(rng, 6, size=CHANNELS), episodes(rng, 3, size=CHANNELS), 0.3))
    assert monitor.strangest() is None
    assert monitor.add(features("front", 0.0)) is None
    usual = monitor.add(features("wrist", 0.0))
    assert monitor.add(features("front", 50.0)) is None
    strange = monitor.add(features("wrist", 0.0))
    assert strange == monitor.scores["front"] > usual
    assert monitor.strangest() == ("front", strange)
    assert monitor.add(features("front", 50.0)) is None
    assert [monitor.add(features("front", 50.0)) for _ in range(3)] == [strange] * 3, "wrist is silent"
