"""Demonstrations and videos of MetaWorld: only successes, nothing twice, true stamps."""

from __future__ import annotations

import itertools
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from benchmarks.metaworld import demos, rollouts, videos
from benchmarks.metaworld.demos import load_demos
from benchmarks.metaworld.tasks import CONTROL_DT_S, DEMO_SEEDS, EVALUATION_SEEDS, TASKS, VIDEO_SEEDS
from benchmarks.metaworld.videos import record_videos
from spark_ros.contracts import SparkError
from spark_ros.data.clips import open_clips

FAKE = [sys.executable, "-S", str(Path(__file__).with_name("fake_metaworld_worker.py"))]
HORIZON = TASKS["hammer"].horizon


class FakeEnvs(rollouts.MetaWorldEnvs):
    """With the worker that counts, and small pictures."""

    opened = itertools.count()
    lucky = True

    def __init__(self, task: str, count: int) -> None:
        super().__init__(task, count, 16, FAKE)
        next(FakeEnvs.opened)

    def step(self, actions: np.ndarray, *arguments: object, **options: object) -> rollouts.Seen:
        seen = super().step(actions, *arguments, **options)  # type: ignore[arg-type]
        odd = seen.proprioception[:, 0] % 2 == 1
        return rollouts.Seen(seen.images, seen.proprioception, seen.success & ~odd & self.lucky)


@pytest.fixture(autouse=True)
def elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(demos, "MetaWorldEnvs", FakeEnvs)
    monkeypatch.setattr(videos, "MetaWorldEnvs", FakeEnvs)
    FakeEnvs.opened, FakeEnvs.lucky = itertools.count(), True
    yield


def test_demonstrations_are_successes_from_the_seeds_in_order() -> None:
    got = load_demos("hammer", 3)
    assert [demo.seed - DEMO_SEEDS.start for demo in got] == [0, 2, 4]
    for demo in got:
        assert demo.images.shape == (HORIZON, 16, 16, 3)
        assert demo.proprioception.shape == demo.actions.shape == (HORIZON, 4)
        assert demo.success[-1] and not demo.success[0]
        np.testing.assert_array_equal(demo.images[:, 0, 0, 0], np.arange(HORIZON))  # what was seen before each action
        np.testing.assert_array_equal(demo.actions[:, 0], demo.seed)


def test_demonstrations_that_are_there_are_not_made_again() -> None:
    first = load_demos("hammer", 2)
    more = load_demos("hammer", 3)
    again = load_demos("hammer", 1)
    assert [demo.seed for demo in more[:2]] == [demo.seed for demo in first]
    assert len(again) == 1 and next(FakeEnvs.opened) == 2


def test_an_expert_that_never_succeeds_ends_the_recording() -> None:
    FakeEnvs.lucky = False
    with pytest.raises(SparkError, match=r"the expert of hammer failed 4[0-9] times"):
        load_demos("hammer", 8)


def test_recordings_of_another_kind_are_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    load_demos("hammer", 1)
    monkeypatch.setattr("benchmarks.metaworld.recordings.RECORDING", -1)
    with pytest.raises(SparkError, match="recorded with another camera or horizon: delete it"):
        load_demos("hammer", 1)


def test_videos_are_clips_with_the_time_of_the_control_loop() -> None:
    folder = record_videos("hammer", 3)
    clips = open_clips(folder, None)
    assert len(clips) == 3
    for clip in clips:
        assert len(clip.stamps_s) == HORIZON
        np.testing.assert_allclose(np.diff(clip.stamps_s), CONTROL_DT_S, atol=1e-6)
        assert abs(int(clip.image(HORIZON - 1).mean()) - (HORIZON - 1)) <= 2
    record_videos("hammer", 3)
    assert next(FakeEnvs.opened) == 1


def test_no_initial_state_serves_two_purposes() -> None:
    for one, other in itertools.combinations((EVALUATION_SEEDS, DEMO_SEEDS, VIDEO_SEEDS), 2):
        assert not range(max(one.start, other.start), min(one.stop, other.stop))
