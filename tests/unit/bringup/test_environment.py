"""What a node inherits, and what it must not."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from spark_ros.bringup.environment import WHEELS_GUARD, Transport, child_environment
from spark_ros.bringup.graphs import graph

OWN_LIBRARIES = str(Path(sys.prefix) / "lib")


def test_images_travel_through_a_large_shared_memory_segment() -> None:
    environment = child_environment(domain_id=3, local_only=False)
    for name in ("FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"):
        assert "<segment_size>16777216</segment_size>" in Path(environment[name]).read_text()
    assert environment["ROS_DOMAIN_ID"] == "3"


def test_who_sends_no_images_gets_a_small_one_of_the_same_transport(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in child_environment(domain_id=3, local_only=False).items():
        if name.startswith("FAST"):  # as it is in a process that has joined a graph
            monkeypatch.setenv(name, value)
    small = child_environment(domain_id=3, local_only=False, transport=Transport.SMALL_SEGMENT)
    assert "<segment_size>1048576</segment_size>" in Path(small["FASTRTPS_DEFAULT_PROFILES_FILE"]).read_text()
    nodes = {node.name: node.transport for node in graph("manipulation").nodes(graph("manipulation").settings({}))}
    assert nodes == {
        "perception": Transport.LARGE_SEGMENT,
        "policy": Transport.SMALL_SEGMENT,
        "gateway": Transport.NO_SEGMENT,
        "lifecycle_manager": Transport.SMALL_SEGMENT,
    }


def test_a_gateway_has_no_shared_memory_with_others() -> None:
    environment = child_environment(domain_id=3, local_only=False, transport=Transport.NO_SEGMENT)
    assert "<type>SHM</type>" not in Path(environment["FASTRTPS_DEFAULT_PROFILES_FILE"]).read_text()


def test_a_simulated_arm_is_not_visible_to_other_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ROS_AUTOMATIC_DISCOVERY_RANGE", raising=False)
    assert child_environment(domain_id=0, local_only=True)["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"
    assert "ROS_AUTOMATIC_DISCOVERY_RANGE" not in child_environment(domain_id=0, local_only=False)


def test_nor_has_that_of_a_simulated_arm_which_keeps_itself_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """LOCALHOST would add shared memory to whatever the profile says."""
    for range_so_far in (None, "LOCALHOST"):  # a graph of ours sets the latter for this process
        if range_so_far is not None:
            monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", range_so_far)
        environment = child_environment(domain_id=3, local_only=True, transport=Transport.NO_SEGMENT)
        profile = Path(environment["FASTRTPS_DEFAULT_PROFILES_FILE"]).read_text()
        assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SYSTEM_DEFAULT"
        assert "<type>SHM</type>" not in profile and "<address>127.0.0.1</address>" in profile


@pytest.mark.parametrize("name", ["FASTRTPS_DEFAULT_PROFILES_FILE", "FASTDDS_DEFAULT_PROFILES_FILE"])
def test_with_a_profile_of_the_users_own_a_simulated_arm_stays_here_too(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setenv(name, "/mine.xml")
    environment = child_environment(domain_id=3, local_only=True, transport=Transport.NO_SEGMENT)
    assert environment[name] == "/mine.xml"
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "LOCALHOST"


def test_a_range_of_the_users_own_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ROS_AUTOMATIC_DISCOVERY_RANGE", "SUBNET")
    environment = child_environment(domain_id=3, local_only=True, transport=Transport.NO_SEGMENT)
    assert environment["ROS_AUTOMATIC_DISCOVERY_RANGE"] == "SUBNET"


def test_what_the_user_set_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FASTRTPS_DEFAULT_PROFILES_FILE", "/mine.xml")
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(["/a", "/b"]))
    environment = child_environment({"EXTRA": "1"}, domain_id=0, local_only=False)
    assert environment["FASTRTPS_DEFAULT_PROFILES_FILE"] == "/mine.xml"
    assert environment["PYTHONPATH"].endswith(os.pathsep.join(["/a", "/b"]))
    assert environment["EXTRA"] == "1"


def test_the_wheels_guard_of_another_environment_is_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """Else the child believes its libraries are found already and fails to load rclpy."""
    monkeypatch.setenv(WHEELS_GUARD, "1")
    monkeypatch.setenv("LD_LIBRARY_PATH", "/other/venv/lib")
    assert WHEELS_GUARD not in child_environment(domain_id=0, local_only=False)
    monkeypatch.setenv("LD_LIBRARY_PATH", os.pathsep.join(["/x", OWN_LIBRARIES]))
    assert WHEELS_GUARD in child_environment(domain_id=0, local_only=False)
