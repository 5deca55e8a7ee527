"""MetaWorld's own environment: made once, whole or not at all; and MetaWorld in it, where it has been made."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from benchmarks.common import ROOT
from benchmarks.metaworld import environment
from benchmarks.metaworld.rollouts import MetaWorldEnvs
from benchmarks.metaworld.tasks import TASKS
from spark_ros.contracts import SparkError

created = pytest.mark.skipif(
    not environment.is_created(), reason="python -m benchmarks.metaworld.environment has not been run here"
)


class Commands:
    """Notes commands in place of running them."""

    def __init__(self, failing: str = "") -> None:
        self.seen: list[list[str]] = []
        self._failing = failing

    def run(self, command: list[str], **options: Any) -> subprocess.CompletedProcess[str]:
        self.seen.append(command)
        if self._failing and self._failing in command:
            return subprocess.CompletedProcess(command, 1, "", "WARNING: x\nERROR: no index\n")
        if "venv" in command:
            Path(command[-1]).mkdir(parents=True)
        return subprocess.CompletedProcess(command, 0, "metaworld==3.1.1\n", "")


def test_it_is_made_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    commands = Commands()
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", commands.run)
    python = environment.ensure()
    assert python.is_relative_to(tmp_path) and environment.is_created()
    assert "metaworld==3.1.1" in capsys.readouterr().out
    count = len(commands.seen)
    environment.ensure()
    assert len(commands.seen) == count and capsys.readouterr().out == ""


def test_one_that_is_not_whole_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(subprocess, "run", Commands("install").run)
    with pytest.raises(SparkError, match=r"could not install MetaWorld \(ERROR: no index\); is the package index"):
        environment.ensure()
    assert not environment.is_created()
    (environment.folder() / "rest").write_text("of the first attempt")
    monkeypatch.setattr(subprocess, "run", Commands().run)
    environment.ensure()
    assert environment.is_created() and not (environment.folder() / "rest").exists()


def test_one_of_another_version_is_made_anew(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    environment.folder().mkdir(parents=True)
    (environment.folder() / "created.json").write_text(json.dumps({"requirements": ["metaworld==2"]}))
    assert not environment.is_created()


def test_what_runs_in_it_needs_nothing_of_ours() -> None:
    code = "import sys, benchmarks.metaworld.worker as w; print(*{m.split('.')[0] for m in sys.modules})"
    answer = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True)
    assert answer.returncode == 0, answer.stderr
    assert not {"spark_ros", "torch", "av", "cv2"} & set(answer.stdout.split())


@created
def test_an_episode_depends_on_its_seed_alone() -> None:
    def last(envs: MetaWorldEnvs, seeds: list[int], index: int) -> tuple[np.ndarray, np.ndarray]:
        envs.reset(seeds, range(len(seeds)), draw=False)
        for _ in range(12):
            seen = envs.step(envs.expert(range(len(seeds))), range(len(seeds)), draw=False)
        seen = envs.step(envs.expert([index]), [index])
        return seen.images[0], seen.proprioception[0]

    with MetaWorldEnvs("assembly", 2, 56) as envs:
        alone = last(envs, [5], 0)
        beside = last(envs, [9, 5], 1)  # in another place, after other episodes, beside another
        other = last(envs, [9, 6], 1)
    for one, two in zip(alone, beside, strict=True):
        np.testing.assert_array_equal(one, two)
    assert (alone[0] != other[0]).any()


@created
def test_the_expert_is_done_at_the_horizon_and_the_picture_shows_it() -> None:
    with MetaWorldEnvs("button-press-topdown", 1) as envs:
        first = envs.reset([3])
        assert not first.success[0] and first.images.std() > 20.0
        assert first.proprioception[0, 3] == pytest.approx(1.0, abs=0.05)  # the gripper is open
        for _ in range(TASKS["button-press-topdown"].horizon - 1):
            envs.step(envs.expert(), draw=False)
        seen = envs.step(envs.expert())
    assert seen.success[0]
    assert np.abs(seen.images.astype(int) - first.images).mean() > 2.0
