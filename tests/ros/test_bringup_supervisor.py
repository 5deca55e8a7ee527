"""The supervisor's promises, kept with small processes in place of nodes: ready, dead, stopped, never orphaned."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import spark_ros
from spark_ros.bringup import graphs
from spark_ros.bringup.graph import Graph, GraphNode, Stage
from spark_ros.bringup.supervisor import Bringup
from spark_ros.contracts import SparkError

pytestmark = pytest.mark.ros

QUIET = """
    import signal, sys, threading
    def main():
        stop = threading.Event()
        signal.signal(signal.SIGINT, lambda *_: stop.set())
        print("here", flush=True)
        stop.wait()
        print("bye", flush=True)
        return 0
"""
MANAGER = QUIET.replace("here", "[INFO] [1.0] [lifecycle_manager]: all nodes are active")
DYING = """
    import sys
    def main():
        print("[ERROR] [1.0] [dying]: bundle /x has a foreign hash; export it again")
        print("some more words")
        return 2
"""
STUBBORN = """
    import signal, time
    def main():
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
        print("here", flush=True)
        while True:
            time.sleep(1)
"""
Start = Callable[..., Bringup]


@pytest.fixture
def start(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Start:
    """Start a graph of the given modules, by node name."""
    monkeypatch.setattr(GraphNode, "module", property(lambda node: f"fake_{node.executable}"))
    stages = {"manager": Stage.MANAGER, "arm": Stage.PLANT}

    def start(**sources: str) -> Bringup:
        for name, source in sources.items():
            (tmp_path / f"fake_{name}.py").write_text(textwrap.dedent(source))
        nodes = tuple(GraphNode(n, n, {}, (), stage=stages.get(n, Stage.NODE)) for n in sources)
        domain = graphs.graph("sim").arguments[-1]
        monkeypatch.setitem(graphs.GRAPHS, "fake", Graph("fake", "Fakes.", (domain,), lambda settings: nodes))
        path = os.pathsep.join([str(Path(spark_ros.__file__).parents[1]), str(tmp_path)])
        return Bringup("fake", {"domain": "auto"}, {"PYTHONPATH": path}, log_directory=tmp_path / "logs")

    return start


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0] != "Z"
    except OSError:
        return False


def until(condition: Callable[[], bool], seconds: float = 15.0) -> bool:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(0.02)
    return condition()


def test_a_graph_is_ready_when_the_manager_says_so_and_ends_in_order(start: Start) -> None:
    with start(arm=QUIET, gateway=QUIET, manager=MANAGER) as graph:
        graph.wait_ready(20)
        assert until(lambda: all("here" in (graph.log_directory / f"{n}.log").read_text() for n in ("arm", "gateway")))
        graph.check()
        assert set(graph.exit_codes.values()) == {None}
        with pytest.raises(SparkError, match=f"ROS domain {graph.domain_id} is in use"):
            Bringup("fake", {"domain": str(graph.domain_id)})
    assert set(graph.exit_codes.values()) == {0}
    logs = {path.stem: path for path in graph.log_directory.iterdir()}
    assert all(path.read_text().endswith("bye\n") for path in logs.values())
    assert logs["manager"].stat().st_mtime_ns <= logs["gateway"].stat().st_mtime_ns <= logs["arm"].stat().st_mtime_ns


def test_a_node_that_dies_is_reported_with_its_last_error(start: Start) -> None:
    with start(arm=QUIET, dying=DYING, manager=QUIET) as graph:
        with pytest.raises(SparkError, match=r"dying ended \(exit status 2\): bundle /x has a foreign hash"):
            graph.wait_ready(20)
    assert graph.exit_codes["dying"] == 2


def test_a_node_that_cannot_even_be_imported_is_reported(start: Start) -> None:
    with start(broken="import no_such_module", manager=QUIET) as graph:
        with pytest.raises(SparkError, match=r"broken ended.*No module named 'no_such_module'"):
            graph.wait_ready(20)


def test_a_graph_that_does_not_become_ready_in_time_is_reported(start: Start) -> None:
    with start(manager=QUIET) as graph, pytest.raises(SparkError, match="not ready within 0 s"):
        graph.wait_ready(0.2)


def test_a_node_that_ignores_signals_is_killed(start: Start, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spark_ros.bringup.supervisor.INTERRUPT_S", 0.3)
    monkeypatch.setattr("spark_ros.bringup.supervisor.TERMINATE_S", 0.3)
    graph = start(stubborn=STUBBORN)
    assert until(lambda: "here" in (graph.log_directory / "stubborn.log").read_text())
    assert graph.stop() == {"stubborn": -signal.SIGKILL}


def test_a_stop_during_the_start_is_as_clean_as_any(start: Start) -> None:
    slow = "import time\ntime.sleep(30)"
    graph = start(arm=slow, gateway=slow, manager=slow)
    assert graph.stop() == {"arm": 0, "gateway": 0, "manager": 0}
    assert all(path.read_text() == "" for path in graph.log_directory.iterdir())


def test_no_node_outlives_a_supervisor_that_was_killed(tmp_path: Path) -> None:
    (tmp_path / "fake_arm.py").write_text(textwrap.dedent(QUIET))
    code = f"""
        import time
        from pathlib import Path
        from spark_ros.bringup import graphs
        from spark_ros.bringup.graph import Graph, GraphNode
        from spark_ros.bringup.supervisor import Bringup
        GraphNode.module = property(lambda node: "fake_arm")
        domain = graphs.graph("sim").arguments[-1]
        graphs.GRAPHS["fake"] = Graph("fake", "Fake.", (domain,), lambda s: (GraphNode("arm", "arm", {{}}, ()),))
        graph = Bringup("fake", {{"domain": "auto"}}, log_directory=Path({str(tmp_path)!r}))
        print(next(iter(graph.process_ids.values())), flush=True)
        time.sleep(60)
    """
    path = os.pathsep.join([str(Path(spark_ros.__file__).parents[1]), str(tmp_path)])
    supervisor = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)],
        env={**os.environ, "PYTHONPATH": path},
        stdout=subprocess.PIPE,
    )
    with supervisor:
        assert supervisor.stdout is not None
        pid = int(supervisor.stdout.readline())
        assert until(lambda: "here" in (tmp_path / "arm.log").read_text())
        supervisor.kill()
    assert until(lambda: not alive(pid))
