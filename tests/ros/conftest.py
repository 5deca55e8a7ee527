from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from graph_for_tests import GraphUnderTest

from spark_ros.bringup.domain import claim_domain

UNIT = Path(__file__).parents[1] / "unit"
# bundle_for_tests, synthetic_episode, browser_for_tests
sys.path += [str(UNIT / "bundle"), str(UNIT / "data"), str(UNIT / "console")]


@pytest.fixture
def graph(tmp_path: Path) -> Iterator[GraphUnderTest]:
    """A graph on a ROS domain that nobody else uses."""
    claim = claim_domain("auto")
    graph = GraphUnderTest(claim.domain_id, tmp_path)
    try:
        yield graph
    finally:
        graph.close()
        claim.release()
