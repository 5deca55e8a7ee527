"""What all tests share."""

from __future__ import annotations

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Nodes keep real time, and machines that others share do not let them: what fails gets one more chance.

    An arm is given up after 0.2 s without joint states; a machine that was busy elsewhere for so long makes one of 200
    tests fail now and then. pytest names each that ran twice.
    """
    for item in items:
        if item.get_closest_marker("ros"):
            item.add_marker(pytest.mark.flaky(reruns=1))
