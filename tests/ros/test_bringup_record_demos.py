"""A recording session over the real teleoperation graph: gateway, recorder, simulated arm and scripted operator."""

from __future__ import annotations

import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from spark_ros.bringup.domain import claim_domain
from spark_ros.bringup.environment import child_environment
from spark_ros.bringup.supervisor import Bringup
from spark_ros.data.dataset_folder import DemoFolder

pytestmark = pytest.mark.ros

PROGRAM = [sys.executable, "-m", "spark_ros.bringup.record_demos"]
INSTRUCTION = "lift it"


@pytest.fixture(scope="module")
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bringup]:
    folder = tmp_path_factory.mktemp("session")
    arguments = {
        "sim": "true",
        "operator": "expert",
        "folder": str(folder / "demos"),
        "instruction": INSTRUCTION,
        "domain": "auto",
    }
    with Bringup("teleop", arguments, log_directory=folder / "logs") as graph:
        graph.wait_ready()
        yield graph
        graph.check()
    assert set(graph.exit_codes.values()) == {0}


@pytest.fixture
def folder(graph: Bringup) -> DemoFolder:
    return DemoFolder(graph.log_directory.parent / "demos")


def record(graph: Bringup, *options: str) -> subprocess.CompletedProcess[str]:
    command = [*PROGRAM, *options]
    return subprocess.run(command, env=graph.environment, capture_output=True, text=True, timeout=120)


def test_a_session_fills_the_folder_and_goes_on_where_it_stopped(graph: Bringup, folder: DemoFolder) -> None:
    first = record(graph, "--operator", "expert", "--episodes", "1", "--seed", "7")
    assert first.returncode == 0, first.stderr
    # --bringup starts a graph only where there is none.
    second = record(graph, "--operator", "expert", "--episodes", "2", "--seed", "7", "--bringup")
    assert second.returncode == 0, second.stderr
    entries = folder.episodes()
    assert [entry.seed for entry in entries] == [7, 8], "the seed that the folder has is skipped"
    assert {(entry.task, entry.success) for entry in entries} == {(INSTRUCTION, True)}
    episode = folder.read(entries[0])
    assert episode.metadata.operator == "expert"
    assert len(episode.setpoints), "the gateway's commands are in it"
    assert episode.teleop is not None
    last = episode.teleop.stamps_ns > episode.teleop.stamps_ns[-1] - 800_000_000
    assert (episode.teleop.deadman & episode.teleop.imitate)[last].all(), "what follows success is worth imitating"


def test_ctrl_c_leaves_only_finished_episodes(graph: Bringup, folder: DemoFolder) -> None:
    have = len(folder.episodes())
    session = subprocess.Popen(
        [*PROGRAM, "--operator", "expert", "--episodes", str(have + 1), "--seed", "20"],
        env=graph.environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    deadline = time.monotonic() + 30
    while not list(folder.path.glob("*.part")) and time.monotonic() < deadline:
        time.sleep(0.02)
    session.send_signal(signal.SIGINT)
    output, _ = session.communicate(timeout=30)
    assert session.returncode == 130, output
    assert "finished episodes are kept" in output and "Traceback" not in output
    assert len(folder.episodes()) == have and not folder.unfinished()


def test_a_person_decides_with_single_keys(graph: Bringup, folder: DemoFolder) -> None:
    have = len(folder.episodes())
    terminal, slave = pty.openpty()
    session = subprocess.Popen(
        [*PROGRAM, "--operator", "human", "--sim", "--episodes", str(have + 2), "--seed", "30"],
        env=graph.environment,
        stdin=slave,
        stdout=slave,
        stderr=slave,
    )
    os.close(slave)
    printed: list[str] = []

    def read() -> None:
        try:
            while True:
                printed.append(os.read(terminal, 4096).decode(errors="replace"))
        except OSError:  # the session has ended
            pass

    threading.Thread(target=read, daemon=True).start()

    def expect(text: str) -> None:
        deadline = time.monotonic() + 30
        while text not in "".join(printed) and time.monotonic() < deadline:
            time.sleep(0.02)
        assert text in "".join(printed), "".join(printed)
        printed.clear()

    try:
        for prompt, key in (
            ("s: start", "s"),
            ("recording;", "r"),
            ("recording;", "k"),
            ("s: start", "s"),
            ("recording;", "f"),
            ("s: start", "q"),
        ):
            expect(prompt)
            time.sleep(1.0)  # something to record
            os.write(terminal, key.encode())
        assert session.wait(30) == 0
    finally:
        session.kill()
        session.wait()
    entries = folder.episodes()[have:]
    assert [entry.seed for entry in entries] == [30, 31], "recorded again, kept once"
    assert [entry.success for entry in entries] == [True, False]
    assert not folder.unfinished()


def test_a_folder_that_is_not_the_recorders_is_refused(graph: Bringup, folder: DemoFolder, tmp_path: Path) -> None:
    result = record(graph, "--operator", "expert", "--folder", str(tmp_path))
    assert result.returncode == 2
    assert f"writes to {folder.path}, not to {tmp_path}" in result.stderr


def test_a_missing_graph_is_one_sentence() -> None:
    claim = claim_domain("auto")
    environment = child_environment(domain_id=claim.domain_id, local_only=True)
    command = [*PROGRAM, "--operator", "expert"]
    result = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60)
    claim.release()
    assert result.returncode == 2
    assert result.stderr.startswith(f"record_demos: no gateway in ROS domain {claim.domain_id}")
    assert result.stderr.count("\n") == 1
