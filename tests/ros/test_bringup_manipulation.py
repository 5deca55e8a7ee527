"""The manipulation graph as a user starts it, with a tiny bundle: in processes of its own, or composed."""

from __future__ import annotations

import importlib
from pathlib import Path

import pytest
from bundle_for_tests import write_bundle

from spark_ros.bringup.graphs import graph
from spark_ros.bringup.supervisor import Bringup
from spark_ros.contracts import SparkError
from spark_ros.nodes.demo_client import DemoClient

pytestmark = pytest.mark.ros


@pytest.fixture
def arguments(tmp_path: Path) -> dict[str, str]:
    return {"sim": "true", "bundle": str(write_bundle(tmp_path / "tiny")), "domain": "auto"}


@pytest.mark.parametrize("composed", ["false", "true"])
def test_the_graph_comes_up_and_goes_down_in_order(arguments: dict[str, str], tmp_path: Path, composed: str) -> None:
    with Bringup("manipulation", {**arguments, "composed": composed}, log_directory=tmp_path / "logs") as running:
        running.wait_ready()
        with DemoClient(running.domain_id) as client:
            # Each node has the parameters that the description gives it, whichever process it lives in.
            assert client.parameter("perception", "bundle") == arguments["bundle"]
            assert client.parameter("policy", "bundle") == arguments["bundle"]
            assert client.parameter("gateway", "robot") == "fr3"
            assert client.parameter("sim_arm", "cameras") == ["front", "wrist"]
        running.check()
    assert set(running.exit_codes.values()) == {0}


def test_a_node_that_refuses_ends_the_bring_up_with_its_sentence(arguments: dict[str, str], tmp_path: Path) -> None:
    override = tmp_path / "mine.yaml"
    override.write_text("perception:\n  ros__parameters:\n    provider: abacus\n")
    logs = tmp_path / "logs"
    with Bringup("manipulation", {**arguments, "params_file": str(override)}, log_directory=logs) as running:
        with pytest.raises(SparkError, match=r"lifecycle_manager ended.*perception refuses to configure: .*abacus"):
            running.wait_ready()


def test_every_parameter_a_graph_sets_is_one_the_node_declares(tmp_path: Path) -> None:
    bundle = {"bundle": str(write_bundle(tmp_path / "tiny")), "record": "true", "sim": "true"}
    chosen = [("manipulation", bundle), ("teleop", {"sim": "true", "operator": "expert"}), ("sim", {})]
    for name, given in chosen:
        description = graph(name)
        for node in description.nodes(description.settings(given)):
            for owner, parameters in node.parameters.items():
                declared = importlib.import_module(f"spark_ros.nodes.{owner}").DEFAULTS
                assert set(parameters) <= set(declared), owner
