"""One graph of ours per ROS domain."""

from __future__ import annotations

import os
import socket
import subprocess
import sys

import pytest

from spark_ros.bringup import domain
from spark_ros.bringup.domain import claim_domain
from spark_ros.contracts import SparkError

DOMAIN = "97"


def test_a_second_graph_on_a_domain_is_refused_and_told_who_holds_it() -> None:
    claim = claim_domain(DOMAIN)
    try:
        with pytest.raises(SparkError, match=f"ROS domain {DOMAIN} is in use: process {os.getpid()}"):
            claim_domain(DOMAIN)
    finally:
        claim.release()
    claim_domain(DOMAIN).release()


def test_a_killed_holder_leaves_nothing_behind() -> None:
    code = (
        f"import time, spark_ros.bringup.domain as d; c = d.claim_domain('{DOMAIN}'); print(flush=True); time.sleep(60)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as holder:
        assert holder.stdout is not None
        holder.stdout.readline()
        with pytest.raises(SparkError, match=f"process {holder.pid}"):
            claim_domain(DOMAIN)
        holder.kill()
    claim_domain(DOMAIN).release()


def test_auto_avoids_domains_with_any_ros_process() -> None:
    first = claim_domain("auto")
    first.release()
    port = domain.PORT_BASE + domain.PORTS_PER_DOMAIN * first.domain_id + 10  # a participant's unicast port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as participant:
        participant.bind(("127.0.0.1", port))
        second = claim_domain("auto")
    second.release()
    assert second.domain_id != first.domain_id


def test_the_environment_decides_by_default() -> None:
    claim = claim_domain("environment", {"ROS_DOMAIN_ID": DOMAIN})
    claim.release()
    assert claim.domain_id == int(DOMAIN)


@pytest.mark.parametrize("text", ["x", "-1", "233"])
def test_what_is_no_domain_is_refused(text: str) -> None:
    with pytest.raises(SparkError, match="is no ROS domain"):
        claim_domain(text)
