"""The terminal console in a real pseudo-terminal, beside a real gateway, recorder, simulated arm and operator."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Iterator

import pytest
from terminal_for_tests import Terminal, until

from spark_ros.bringup.domain import claim_domain
from spark_ros.bringup.environment import child_environment
from spark_ros.bringup.supervisor import Bringup
from spark_ros.data.dataset_folder import DemoFolder

pytestmark = pytest.mark.ros

# Draws by going somewhere and writing: the emulator of these tests does not know all that curses does with better ones.
TERM = "vt100"
PROGRAM = [sys.executable, "-m", "spark_ros.cli", "console", "--terminal"]


@pytest.fixture
def graph(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Bringup]:
    folder = tmp_path_factory.mktemp("session")
    arguments = {
        "sim": "true",
        "operator": "expert",
        "folder": str(folder / "demos"),
        "instruction": "lift it",
        "domain": "auto",
    }
    with Bringup("teleop", arguments, log_directory=folder / "logs") as graph:
        graph.wait_ready()
        yield graph
        graph.check()


def test_a_session_at_the_keys(graph: Bringup) -> None:
    terminal = Terminal(PROGRAM, graph.environment, TERM=TERM)
    try:
        _session(DemoFolder(graph.log_directory.parent / "demos"), terminal)
    finally:
        terminal.close()


def _session(folder: DemoFolder, terminal: Terminal) -> None:
    terminal.shows(
        " IDLE", "recorder ready", "task: lift it", "/camera/front/color/image_raw", "(simulated)", "GB free"
    )
    terminal.type("tlift the cube\n")
    terminal.shows("task: lift the cube ", "the next episodes show: lift the cube")
    terminal.type("e")
    terminal.shows("engage_teleop: ")  # a busy machine may make the gateway hold soon after
    terminal.type("s")
    terminal.shows("RECORDING episode_000001.mcap")
    recorded = re.compile(r"RECORDING episode_000001.mcap  ([2-9]|\d\d) s")
    assert until(lambda: recorded.search("\n".join(terminal.rows))), terminal.rows
    terminal.type("n")
    terminal.shows("note on episode_000001.mcap")
    terminal.type("first of all\n")
    terminal.shows("note: first of all")
    terminal.type("k")
    terminal.shows("kept episode_000001.mcap", "> episode_000001.mcap", "1 episodes, 1 successful")
    terminal.type("m")
    terminal.shows("FAILURE", "0 successful")
    (entry,) = folder.episodes()
    assert (entry.success, entry.note, entry.task) == (False, "first of all", "lift the cube")

    terminal.type("s")
    terminal.shows("RECORDING episode_000002.mcap")
    terminal.type("d")
    terminal.shows("d again throws episode_000002.mcap away")
    terminal.type("d")
    terminal.shows("discarded episode_000002.mcap", "recorder ready")
    assert len(folder.episodes()) == 1 and not folder.unfinished()

    terminal.type("x")
    terminal.shows("STOP CONFIRMED by the gateway", " FAULT")
    terminal.type("e")
    terminal.shows("engage_teleop: the gateway is fault")
    for _ in range(30):  # an arm that comes to rest first
        terminal.type("R")
        if until(lambda: terminal.rows[0].startswith(" IDLE"), 2.0):
            break
    assert until(lambda: terminal.rows[0].startswith(" IDLE") and "STOP CONFIRMED" not in "\n".join(terminal.rows))
    terminal.type("q")
    assert terminal.process.wait(20) == 0, terminal.written[-300:]


def test_a_graph_that_is_not_there_cannot_be_stopped_and_that_is_said() -> None:
    claim = claim_domain("auto")
    environment = child_environment(domain_id=claim.domain_id, local_only=True)
    terminal = Terminal(PROGRAM, environment, TERM=TERM)
    try:
        terminal.shows("NO GATEWAY", "recorder is not there")
        terminal.type("x")
        terminal.shows("STOP NOT CONFIRMED: PRESS THE STOP BUTTON")
        terminal.type("\x03")
        assert terminal.process.wait(20) == 130, terminal.written[-300:]
    finally:
        terminal.close()
        claim.release()
    node = [sys.executable, "-m", "spark_ros.nodes.console", "--terminal"]  # as `ros2 run` starts it
    piped = subprocess.run(node, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert piped.returncode == 2 and piped.stderr.startswith("console: ") and "Traceback" not in piped.stderr
