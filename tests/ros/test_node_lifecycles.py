"""How nodes come up, refuse and end: in order, with a sentence, and always with a clean exit."""

from __future__ import annotations

import importlib
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml
from bundle_for_tests import write_bundle
from graph_for_tests import GraphUnderTest, until

from spark_ros.shares import config_file

pytestmark = pytest.mark.ros

EVERY_NODE = ("perception", "policy", "gateway", "recorder", "sim_arm", "expert", "lifecycle_manager")


def parameters(name: str, tmp_path: Path, bundle: Path) -> dict[str, Any]:
    """What the node needs to be configured."""
    own = {"folder": str(tmp_path / "demos"), "bundle": str(bundle), "nodes": ["gateway", "recorder"], "image_size": 32}
    known = importlib.import_module(f"spark_ros.nodes.{name}").DEFAULTS
    return {key: value for key, value in own.items() if key in known}


def says(graph: GraphUnderTest, name: str, words: str) -> bool:
    """Whether this is what the node reports of itself now."""
    return name in graph.health and graph.health[name][1].startswith(words)


@pytest.fixture
def bundle(tmp_path: Path) -> Path:
    return write_bundle(tmp_path / "models" / "tiny")


@pytest.mark.parametrize("name", EVERY_NODE)
def test_the_parameter_file_states_every_parameter_with_its_default(name: str) -> None:
    stated = yaml.safe_load(config_file(f"{name}.yaml").read_text())[name]["ros__parameters"]
    defaults = importlib.import_module(f"spark_ros.nodes.{name}").DEFAULTS
    assert stated == {key: default for key, (default, _) in defaults.items()}


@pytest.mark.parametrize("name", ["perception", "policy", "gateway", "recorder"])
def test_a_lifecycle_node_goes_round_and_ends_cleanly(
    graph: GraphUnderTest, tmp_path: Path, bundle: Path, name: str
) -> None:
    node = graph.start(name, **parameters(name, tmp_path, bundle))
    configure, cleanup, activate, deactivate = 1, 2, 3, 4
    assert not graph.change(name, deactivate), "impossible now, and no reason to die"
    assert graph.change(name, configure, activate, deactivate, activate, deactivate, cleanup, configure, activate)
    node.process.send_signal(signal.SIGINT)
    assert node.end() == 0, node.output  # a second SIGINT while it is ending
    assert "Traceback" not in node.output


@pytest.mark.parametrize("name", ["sim_arm", "expert", "lifecycle_manager"])
def test_a_plain_node_ends_cleanly(graph: GraphUnderTest, tmp_path: Path, bundle: Path, name: str) -> None:
    node = graph.start(name, **parameters(name, tmp_path, bundle))
    assert until(lambda: name in graph.health), node.output
    assert node.end(signal.SIGTERM) == 0, node.output
    assert "Traceback" not in node.output


def test_composed_runs_three_nodes_in_one_process(graph: GraphUnderTest, bundle: Path) -> None:
    node = graph.start("composed", **{"perception:bundle": str(bundle), "policy:bundle": str(bundle)})
    for name in ("perception", "policy", "gateway"):
        graph.activate(name)
    assert until(lambda: {"perception", "policy", "gateway"} <= set(graph.health))
    assert node.end() == 0, node.output
    assert "Traceback" not in node.output


def test_the_manager_brings_nodes_up_and_takes_them_down(graph: GraphUnderTest, tmp_path: Path) -> None:
    graph.start("gateway")
    recorder = graph.start("recorder", folder=str(tmp_path / "demos"))
    manager = graph.start("lifecycle_manager", nodes=["gateway", "recorder"])
    manager.wait_for("all nodes are active")
    assert until(lambda: says(graph, "gateway", "idle"))
    assert manager.end() == 0, manager.output
    assert until(lambda: all(says(graph, name, "unconfigured") for name in ("gateway", "recorder"))), graph.logs()
    assert recorder.process.poll() is None


def test_the_manager_ends_with_the_refusing_nodes_own_reason(graph: GraphUnderTest, tmp_path: Path) -> None:
    graph.start("gateway")
    graph.start("perception", bundle=str(tmp_path / "nothing here"))
    manager = graph.start("lifecycle_manager", nodes=["gateway", "perception"])
    manager.wait_for("perception refuses to configure: no bundle '.*nothing here'")
    assert until(lambda: manager.process.poll() is not None)
    assert manager.process.returncode == 1
    assert "Traceback" not in manager.output
    assert until(lambda: says(graph, "gateway", "unconfigured")), "what was up is taken down again"
    assert "is not possible from there" not in graph.logs(), "nobody is asked what its state forbids"


def test_the_manager_names_a_node_that_never_appears(graph: GraphUnderTest) -> None:
    manager = graph.start("lifecycle_manager", nodes=["gateway"], timeout_s=1)
    manager.wait_for("no service /gateway/get_state within 1 s: is its node running")
    assert until(lambda: manager.process.poll() is not None) and manager.process.returncode == 1


@pytest.mark.parametrize(
    ("name", "words", "sentence"),
    [
        ("sim_arm", ("-p", "task:=juggle"), "unknown task 'juggle': choose one of drawer, lift, place"),
        ("sim_arm", ("-p", "cameras:=[ceiling]"), "unknown camera 'ceiling'"),
        ("expert", ("-p", "task:=juggle"), "unknown expert 'juggle'"),
        ("gateway", ("--params-file", "nowhere.yaml"), "ROS refuses the command line"),
        ("expert", ("-p", "rate_hz:=fast"), "parameter rate_hz of expert is 'fast', expected a value like 20.0"),
    ],
)
def test_a_node_that_cannot_start_says_why_in_one_sentence(name: str, words: tuple[str, ...], sentence: str) -> None:
    command = [sys.executable, "-m", f"spark_ros.nodes.{name}", "--ros-args", *words]
    result = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert result.returncode == 2
    assert sentence in result.stderr
    assert "Traceback" not in result.stderr
