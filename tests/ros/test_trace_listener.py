"""`spark-ros trace` against nodes that send stages: whole paths are counted, and silence has a reason."""

from __future__ import annotations

import json
import threading
import time

import pytest
from graph_for_tests import GraphUnderTest
from std_msgs.msg import String

from spark_ros import cli, topics
from spark_ros.runtime.trace import STAGES, Stamps

pytestmark = pytest.mark.ros
MS = 1_000_000


def test_every_stage_of_a_running_graph_is_listed(
    graph: GraphUnderTest, tmp_path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(graph.client.context.get_domain_id()))
    publisher = graph.client.create_publisher(String, topics.STAGES, 10)
    over = threading.Event()

    def send() -> None:
        while not over.is_set():
            now = time.time_ns()
            reached = {name: now + (i + 1) * MS for i, name in enumerate(STAGES)}
            publisher.publish(String(data=Stamps(now, reached).to_json()))
            time.sleep(0.02)

    thread = threading.Thread(target=send)
    thread.start()
    try:
        assert cli.main(["trace", "--seconds", "5", "--json", "--out", str(tmp_path / "out")]) == 0
    finally:
        over.set()
        thread.join()
    result = json.loads(capsys.readouterr().out.splitlines()[-1])
    assert result["paths"] > 10
    assert result["stages_ms"]["encoded"]["p50"] == pytest.approx(1.0)
    assert result["stages_ms"]["total"]["p99"] == pytest.approx(len(STAGES))
    each = json.loads((tmp_path / "out" / "trace.json").read_text())["each_ns"]
    assert len(each) == result["paths"] and (tmp_path / "out" / "trace.png").stat().st_size > 10_000


def test_where_nothing_is_heard_it_says_what_to_do(
    graph: GraphUnderTest, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> None:
    monkeypatch.setenv("ROS_DOMAIN_ID", str(graph.client.context.get_domain_id()))
    assert cli.main(["trace", "--seconds", "0.5"]) == 2
    assert "start the graph first" in capsys.readouterr().err
    assert cli.main(["trace", "--seconds", "nan"]) == 2
