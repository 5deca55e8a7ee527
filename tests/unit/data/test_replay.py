from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from synthetic_episode import METADATA, T0, Script

from spark_ros.contracts import ActionKind, JointState, SparkError
from spark_ros.data.episode_reader import Episode, read_episode
from spark_ros.data.episode_writer import EpisodeWriter
from spark_ros.data.replay import Replay


@pytest.fixture
def episode(tmp_path: Path, script: Callable[..., Script]) -> Episode:
    writer = EpisodeWriter(tmp_path / "one.mcap", METADATA)
    script(duration=2.0).write(writer)
    return read_episode(writer.close({"success": True}))


def measured(spec, offset: float, stamp: int = T0) -> JointState:
    names = (*spec.joint_names, *spec.gripper.joint_names)
    return JointState(names, np.concatenate([spec.home + offset, [0.02, 0.02]]), np.zeros(9), stamp)


def test_the_way_begins_where_the_arm_is_and_is_never_fast(episode: Episode, spec) -> None:
    replay = Replay(episode, spec)
    joints = measured(spec, 0.4)
    replay.begin(joints)
    times = T0 + np.arange(0, round(replay.approach_s * 1e9), 20_000_000)
    first = np.array([replay.chunk(int(stamp)).values[0] for stamp in times])
    assert np.abs(first[0] - (spec.home + 0.4)).max() < 0.01
    speed = np.abs(np.diff(first, axis=0)) / 0.02
    assert (speed <= 0.26 * spec.limits.velocity).all()
    np.testing.assert_allclose(replay.chunk(T0).gripper_width[0], 0.04, atol=0.002)


def test_then_it_is_what_was_commanded_at_its_own_pace(episode: Episode, spec, script) -> None:
    for speed in (1.0, 0.5):
        replay = Replay(episode, spec, speed)
        replay.begin(measured(spec, 0.0))
        begin = T0 + round(replay.approach_s * 1e9)
        chunk = replay.chunk(begin + 400_000_000)
        due = [(0.4 + (i + 1) * chunk.dt_s) * speed for i in range(len(chunk.values))]
        np.testing.assert_allclose(chunk.values, [script().q(t) for t in due], atol=1e-9)
        assert (chunk.kind, chunk.joint_names) == (ActionKind.JOINT_POSITION, spec.joint_names)
        end = begin + round((1.99 / speed + 0.5) * 1e9)
        assert not replay.done(end - 10_000_000) and replay.done(end + 10_000_000)
        np.testing.assert_allclose(replay.chunk(end).values[-1], script().q(1.99))


def test_what_cannot_be_replayed_is_one_sentence(episode: Episode, spec, tmp_path: Path) -> None:
    from spark_ros.robots.spec import load_robot

    with pytest.raises(SparkError, match="cannot be replayed on ur5e: joints shoulder_pan_joint"):
        Replay(episode, load_robot("ur5e"))
    with pytest.raises(SparkError, match="a speed of 2 is not possible"):
        Replay(episode, spec, 2.0)
    empty = read_episode(EpisodeWriter(tmp_path / "empty.mcap", METADATA).close())
    with pytest.raises(SparkError, match="holds no setpoints: nothing to replay"):
        Replay(empty, spec)
