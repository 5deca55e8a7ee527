"""MetaWorld's episodes over a pipe: what is asked arrives whole, and a worker that dies is one sentence."""

from __future__ import annotations

import io
import sys
from pathlib import Path

import numpy as np
import pytest

from benchmarks.metaworld.protocol import Message, read, write
from benchmarks.metaworld.rollouts import MetaWorldEnvs
from spark_ros.contracts import SparkError

FAKE = [sys.executable, "-S", str(Path(__file__).with_name("fake_metaworld_worker.py"))]


def fake_envs(count: int, trouble: str = "") -> MetaWorldEnvs:
    return MetaWorldEnvs("hammer", count, 6, [*FAKE, trouble])


def test_a_message_arrives_as_it_was_sent() -> None:
    arrays = {
        "images": np.arange(24, dtype=np.uint8).reshape(2, 2, 2, 3)[:, ::-1],
        "none": np.empty((0, 4), np.float32),
    }
    stream = io.BytesIO()
    write(stream, Message({"do": "step", "which": [1, 0]}, arrays))
    stream.seek(0)
    got = read(stream)
    assert got is not None and got.fields == {"do": "step", "which": [1, 0]}
    for name, value in arrays.items():
        assert got.arrays[name].dtype == value.dtype
        np.testing.assert_array_equal(got.arrays[name], value)


def test_a_message_cut_short_is_an_end() -> None:
    stream = io.BytesIO()
    write(stream, Message({"do": "reset"}, {"seeds": np.arange(3)}))
    for length in (0, 5, 12, len(stream.getvalue()) - 1):
        assert read(io.BytesIO(stream.getvalue()[:length])) is None


def test_episodes_see_what_was_done_to_them() -> None:
    with fake_envs(3) as envs:
        seen = envs.reset([7, 8, 9])
        assert seen.images.shape == (3, 6, 6, 3) and seen.images.dtype == np.uint8
        np.testing.assert_array_equal(seen.proprioception[:, 0], [7, 8, 9])
        actions = np.array([[0.5, 0, 0, 0], [0, 0, 0, 0], [-1, 0, 0, 0]])
        for _ in range(3):
            seen = envs.step(actions)
        np.testing.assert_array_equal(seen.proprioception[:, 2], [1.5, 0.0, -3.0])
        assert (seen.images == 3).all() and seen.success.all()


def test_some_episodes_go_on_while_others_wait() -> None:
    with fake_envs(3) as envs:
        envs.reset([7, 8, 9])
        seen = envs.step(np.zeros((2, 4)), which=[2, 0], draw=False)
        np.testing.assert_array_equal(seen.proprioception[:, 0], [9, 7])
        assert seen.images.shape == (2, 0, 0, 3)
        np.testing.assert_array_equal(envs.expert([1, 2])[:, 0], [8, 9])
        seen = envs.reset([5], which=[1])
        np.testing.assert_array_equal(envs.step(np.zeros((3, 4))).proprioception[:, 1], [2, 1, 2])


def test_a_worker_that_dies_is_one_sentence_with_its_last_words() -> None:
    with fake_envs(1, "death") as envs:
        envs.reset([1])
        with pytest.raises(
            SparkError, match=r"worker for hammer died \(Segmentation fault in the simulator\)"
        ) as error:
            envs.step(np.zeros((1, 4)))
        assert "\n" not in str(error.value)


def test_a_worker_that_refuses_is_one_sentence() -> None:
    with pytest.raises(SparkError, match="refuses open: ImportError: no EGL"), fake_envs(1, "no graphics"):
        pass


def test_a_worker_that_cannot_be_started_is_one_sentence(tmp_path: Path) -> None:
    with (
        pytest.raises(SparkError, match="cannot be started"),
        MetaWorldEnvs("hammer", 1, command=[str(tmp_path / "nothing")]),
    ):
        pass


def test_the_worker_ends_with_the_block() -> None:
    with fake_envs(1) as envs:
        process = envs._process
        assert process is not None and process.poll() is None
    assert process.poll() == 0
    with pytest.raises(SparkError, match="not open"):
        envs.reset([1])


def test_the_worker_does_not_inherit_the_libraries_of_ros(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LD_LIBRARY_PATH", "/somewhere/lib")
    monkeypatch.setenv("_ROS_WHEELS_BOOTSTRAP_COMPLETE", "1")
    with fake_envs(1) as envs:
        answer = envs._ask({"do": "open", "task": "hammer", "count": 1, "image_size": 6})
    assert answer.fields["leaked"] == []


def test_actions_that_are_not_finite_or_too_few_are_refused() -> None:
    with fake_envs(2) as envs:
        envs.reset([1, 2])
        with pytest.raises(SparkError, match="not finite"):
            envs.step(np.array([[0, 0, 0, 0], [0, np.nan, 0, 0]]))
        with pytest.raises(SparkError, match="got 1 actions for 2 episodes"):
            envs.step(np.zeros((1, 4)))


def test_an_unknown_task_is_refused() -> None:
    with pytest.raises(SparkError, match="no MetaWorld task 'juggle' here: expected one of assembly"):
        MetaWorldEnvs("juggle", 1)
