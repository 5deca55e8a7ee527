from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from graph_for_tests import GraphUnderTest
from pauses_for_tests import PauseWatch

from spark_ros.bringup.domain import claim_domain

UNIT = Path(__file__).parents[1] / "unit"
# bundle_for_tests, synthetic_episode, browser_for_tests
sys.path += [str(UNIT / "bundle"), str(UNIT / "data"), str(UNIT / "console")]


RERUNS = 2
WATCH = pytest.StashKey[PauseWatch]()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """A test that fails while the machine stands still is run again, and only such a test."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.flaky(reruns=RERUNS, condition=lambda: config.stash[WATCH].stood_still()))


def pytest_runtest_setup(item: pytest.Item) -> None:
    if WATCH not in item.config.stash:
        item.config.stash[WATCH] = PauseWatch()
    item.config.stash[WATCH].begin()


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    if WATCH in config.stash and (summary := config.stash[WATCH].summary()):
        terminalreporter.write_line(f"{summary}; a test that failed meanwhile was run again")


def pytest_unconfigure(config: pytest.Config) -> None:
    if WATCH in config.stash:
        config.stash[WATCH].close()


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
