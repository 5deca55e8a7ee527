"""Stamps of three nodes become one path, whatever their order."""

import random

import numpy as np
import pytest

from spark_ros.contracts import SparkError
from spark_ros.evaluation.trace_plot import plot_trace
from spark_ros.runtime.trace import STAGES, PathJoiner, PathWindow, Stamps, durations_ms

MS = 1_000_000


def of_nodes(capture, late=0):
    """What perception sends for two cameras, the policy and the gateway; each stage takes its number in ms."""
    reached = dict(zip(STAGES, np.cumsum([1, 2, 3, 4, 5, 6, 7]).tolist(), strict=True))

    def stamps(names, delay=0):
        return Stamps(capture, {name: capture + (reached[name] + delay) * MS for name in names})

    perception = ("received", "preprocessed", "encoded")
    return [
        stamps(perception, late),
        stamps(perception),
        stamps(("observed", "policy"), late),
        stamps(("gateway", "command"), late),
    ]


def test_a_path_is_whole_whatever_the_order_and_the_later_camera_counts():
    for seed in range(20):
        parts = of_nodes(5_000 * MS, late=2)
        random.Random(seed).shuffle(parts)
        joiner = PathJoiner()
        found = [path for part in parts if (path := joiner.add(part)) is not None]
        assert len(found) == 1
        total = (found[0].reached_ns["command"] - found[0].capture_ns) / MS
        assert total == 30
    ordered = PathJoiner()
    found = [ordered.add(part) for part in of_nodes(0, late=2)][-1]
    np.testing.assert_allclose(durations_ms([found]), [[3, 2, 3, 4, 5, 6, 7]])


def test_frames_that_no_command_follows_from_are_forgotten():
    joiner = PathJoiner(pending=10)
    for capture in range(1000):
        assert joiner.add(of_nodes(capture)[0]) is None
    assert len(joiner._reached) == 10


def test_stamps_survive_the_wire_and_nonsense_is_refused():
    for stamps in of_nodes(123_456_789_012_345_678):
        assert Stamps.from_json(stamps.to_json()) == stamps
    assert Stamps.from_json('{"capture": 5, "pondered": 7}') == Stamps(5, {})
    for text in ("", "[]", "7", '{"received": 1}', '{"capture": 1.5}', '{"capture": 1, "received": "x"}'):
        with pytest.raises(SparkError, match="same version"):
            Stamps.from_json(text)


def test_the_table_has_every_stage_and_the_total(tmp_path):
    window = PathWindow()
    assert window.table() == {}
    joiner = PathJoiner()
    for i in range(100):
        for part in of_nodes(i * 100 * MS, late=i % 5):
            window.paths.extend([path] if (path := joiner.add(part)) is not None else [])
    table = window.table()
    assert list(table) == [*STAGES, "total"]
    assert table["total"]["p50"] == pytest.approx(30) and table["total"]["max"] == pytest.approx(32)
    plot_trace(list(window.paths), tmp_path / "trace.png")
    assert (tmp_path / "trace.png").read_bytes()[:4] == b"\x89PNG"
    with pytest.raises(SparkError, match="cannot write"):
        plot_trace(list(window.paths), tmp_path / "nowhere" / "trace.png")
