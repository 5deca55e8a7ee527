import dataclasses

import numpy as np
import pytest
from pilot_for_tests import knowing_pilot

from spark_ros.contracts import Frame, SparkError
from spark_ros.evaluation import lockstep
from spark_ros.evaluation.lockstep import run_episode
from spark_ros.evaluation.results import EpisodeLog
from spark_ros.evaluation.seeds import evaluation_seeds
from spark_ros.evaluation.video import Film

SEED = evaluation_seeds(0, 1)[0]


def test_a_policy_that_knows_the_way_succeeds_and_repeats_exactly(cell, small_world):
    pilot = knowing_pilot(small_world)
    first = run_episode(cell, pilot, SEED)
    again = run_episode(cell, pilot, SEED)
    assert (first.success, first.ending) == (True, "success")
    assert first.duration_s == again.duration_s
    assert len(first.latency_ms) == pytest.approx(10 * first.duration_s, abs=2)


def test_a_slower_policy_acts_later(cell, small_world):
    arrivals = {}
    for delay_s in (0.0, 0.2):
        commands = []
        act = cell.act

        def watch(act=act, commands=commands):
            command = act()
            if command is not None and command.source_stamp_ns is not None:
                commands.append((cell.stamp_ns - command.source_stamp_ns) * 1e-9)
            return command

        cell.act = watch
        run_episode(cell, knowing_pilot(small_world), SEED, chunk_delay_s=delay_s)
        del cell.act
        arrivals[delay_s] = commands
    assert arrivals[0.0] == pytest.approx([0.0] * len(arrivals[0.0]), abs=1e-9)
    assert arrivals[0.2] == pytest.approx([0.2] * len(arrivals[0.2]), abs=1e-9)


def test_a_policy_that_falls_silent_fails_with_the_gateways_reason(cell, small_world):
    pilot = knowing_pilot(small_world)

    def act(features, joints):
        if small_world.time_s > 0.5:
            raise SparkError("the policy gave values that are not finite")
        return pilot.act(features, joints)

    result = run_episode(cell, dataclasses.replace(pilot, act=act), SEED)
    assert (result.success, result.ending) == (False, "the policy gave values that are not finite")
    silent = dataclasses.replace(pilot, rate_hz=0.2)  # asked every 5 s, its chunks last half a second
    result = run_episode(cell, silent, SEED)
    assert not result.success
    assert result.ending.startswith("policy stalled")


def test_an_episode_is_over_when_its_time_is_up(cell, small_world, monkeypatch):
    monkeypatch.setattr(small_world.task, "max_duration_s", 1.0)
    result = run_episode(cell, knowing_pilot(small_world), SEED)
    assert (result.success, result.ending) == (False, "time is up")
    assert result.duration_s == pytest.approx(1.0, abs=0.011)


def test_only_the_missing_episodes_are_run(small_world, tmp_path, monkeypatch):
    monkeypatch.setattr(lockstep, "World", lambda *_, **__: small_world)
    monkeypatch.setattr(small_world, "close", lambda: None)
    monkeypatch.setattr(small_world.task, "max_duration_s", 0.5)
    run: list[int] = []
    episode = lockstep.run_episode
    monkeypatch.setattr(lockstep, "run_episode", lambda c, p, seed, *rest: run.append(seed) or episode(c, p, seed))
    seeds = evaluation_seeds(0, 3)
    pilot = knowing_pilot(small_world)
    with EpisodeLog(tmp_path, {}) as log:
        lockstep.evaluate(pilot, seeds[:2], log, progress=False)
    with EpisodeLog(tmp_path, {}) as log:
        results = lockstep.evaluate(pilot, seeds, log, progress=False)
    assert run == seeds
    assert [result.seed for result in results] == seeds


def test_a_film_shows_all_cameras_at_their_own_pace(cell, small_world, tmp_path):
    import av

    film = Film(small_world.camera_names)
    monkey = small_world.task.max_duration_s
    small_world.task.max_duration_s = 1.0
    run_episode(cell, knowing_pilot(small_world), SEED, film=film)
    small_world.task.max_duration_s = monkey
    assert film.write(tmp_path / "videos" / "a.mp4")
    with av.open(str(tmp_path / "videos" / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height, stream.average_rate) == (576, 288, 10)
        assert sum(1 for _ in container.decode(video=0)) == 10
    assert list((tmp_path / "videos").iterdir()) == [tmp_path / "videos" / "a.mp4"]


def test_an_episode_that_ended_at_once_is_shown_for_a_second(tmp_path):
    import av

    film = Film(("front",))
    film.add(Frame("front", np.full((48, 48, 3), 90, np.uint8), 10**9))
    assert film.write(tmp_path / "a.mp4")
    with av.open(str(tmp_path / "a.mp4")) as container:
        stream = container.streams.video[0]
        assert float(stream.duration * stream.time_base) == pytest.approx(1.0)
        assert sum(1 for _ in container.decode(video=0)) == 1


def test_no_frames_are_no_film(tmp_path):
    assert not Film(("front",)).write(tmp_path / "a.mp4")
