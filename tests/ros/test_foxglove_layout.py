"""What the Foxglove layout shows is there: every topic, every field of its message, every value of /diagnostics.

A message path is a topic, then fields, ``[n]`` and ``[:]`` into arrays, and filters ``{field=="value"}``
(docs.foxglove.dev, message path syntax).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from arm_for_tests import PerfectArm
from cell_for_tests import CAMERAS, SPEC, Robot, start_recorder
from graph_for_tests import GraphUnderTest, until
from rosbags.interfaces import Nodetype

from spark_ros import topics
from spark_ros.console.session import Command
from spark_ros.data.cdr import typestore
from spark_ros.data.cdr_messages import CAMERA_INFO, STRING
from spark_ros.data.image_storage import COMPRESSED_IMAGE, COMPRESSED_SUFFIX
from spark_ros.nodes import diagnostics
from spark_ros.nodes.recorded_streams import streams

pytestmark = pytest.mark.ros

LAYOUT = Path(__file__).parents[2] / "config" / "foxglove" / "spark_ros.json"
STEP = re.compile(r'\.(?P<field>\w+)|\[(?P<index>:|-?\d+)\]|\{(?P<key>\w+)=="(?P<value>[^"]*)"\}')


def panels() -> dict[str, dict[str, Any]]:
    return json.loads(LAYOUT.read_text())["configById"]


def known_topics() -> dict[str, str]:
    """Type by topic of what the graph publishes and the recorder stores."""
    found = {stream.topic: stream.type_name for stream in streams(SPEC, list(CAMERAS))}
    found |= {topics.camera_image(name) + COMPRESSED_SUFFIX: COMPRESSED_IMAGE for name in CAMERAS}
    return {**found, topics.RECORDER_STATUS: STRING, "/rosout": "rcl_interfaces/msg/Log"}


def paths() -> Iterator[tuple[str, str]]:
    """(panel, message path) of everything that is read from a message."""
    for panel, config in panels().items():
        yield from ((panel, path["value"]) for path in config.get("paths", ()))
        if "topicPath" in config:
            yield panel, config["topicPath"]


def split(path: str) -> tuple[str, str]:
    """Topic and the rest of a message path."""
    matching = [topic for topic in known_topics() if re.match(re.escape(topic) + r"($|[.\[{])", path)]
    assert matching, f"nobody publishes the topic of {path}"
    topic = max(matching, key=len)
    return topic, path[len(topic) :]


def fields(msg_type: str) -> dict[str, Any]:
    return dict(typestore().fielddefs[msg_type][1])


def follow(path: str) -> str:
    """The primitive type that a message path leads to."""
    topic, rest = split(path)
    kind: tuple[Nodetype, Any] = (Nodetype.NAME, known_topics()[topic])
    position = 0
    while position < len(rest):
        step = STEP.match(rest, position)
        assert step, f"{path}: cannot read {rest[position:]!r}"
        position = step.end()
        if step["index"]:
            assert kind[0] in (Nodetype.ARRAY, Nodetype.SEQUENCE), f"{path}: no array before {step[0]}"
            kind = kind[1][0]
        else:
            assert kind[0] is Nodetype.NAME, f"{path}: no message before {step[0]}"
            name = step["field"] or step["key"]
            known = fields(kind[1])
            assert name in known, f"{path}: {kind[1]} has no field {name}"
            if step["field"]:
                kind = known[name]
    assert kind[0] is Nodetype.BASE, f"{path} leads to no number or text"
    return str(kind[1][0])


def leaves(node: Any) -> Iterator[str]:
    """The panels of an arrangement, those in tabs, too."""
    if isinstance(node, str):
        yield node
        for tab in panels()[node].get("tabs", ()) if node in panels() else ():
            yield from leaves(tab["layout"])
    else:
        assert node["direction"] in ("row", "column") and 0 < node["splitPercentage"] < 100
        yield from leaves(node["first"])
        yield from leaves(node["second"])


def test_every_panel_has_its_place_once() -> None:
    layout = json.loads(LAYOUT.read_text())
    assert set(layout) == {"configById", "globalVariables", "userNodes", "playbackConfig", "layout"}
    placed = list(leaves(layout["layout"]))
    assert sorted(placed) == sorted(layout["configById"]) and all("!" in panel for panel in placed)


@pytest.mark.parametrize(("panel", "path"), paths())
def test_every_path_leads_to_a_value_that_its_panel_can_show(panel: str, path: str) -> None:
    kind = follow(path)
    text_of_a_number = path.startswith(diagnostics.TOPIC)  # values there are texts
    assert panel.partition("!")[0] != "Plot" or kind != "string" or text_of_a_number


def test_every_topic_and_service_of_a_panel_is_ours() -> None:
    known = known_topics()
    for panel, config in panels().items():
        if image := config.get("imageMode"):
            assert known[image["imageTopic"]] in ("sensor_msgs/msg/Image", COMPRESSED_IMAGE)
            assert known[image["calibrationTopic"]] == CAMERA_INFO
        if "topicToRender" in config:
            wanted = "rcl_interfaces/msg/Log" if panel.startswith("RosOut") else "diagnostic_msgs/msg/DiagnosticArray"
            assert known[config["topicToRender"]] == wanted
        if "serviceName" in config:
            command = next(command for command in Command if command.service == config["serviceName"])
            assert not command.engages, f"{panel}: no button of this page lets anything move"


def test_every_value_of_the_diagnostics_is_said_by_its_node(graph: GraphUnderTest, tmp_path: Path) -> None:
    graph.start("gateway")
    start_recorder(graph, tmp_path / "demos")
    PerfectArm(graph, SPEC)
    Robot(graph)
    graph.activate("gateway")
    graph.activate("recorder")
    for _, path in paths():
        if path.startswith(diagnostics.TOPIC):
            node, key = (step["value"] for step in STEP.finditer(path) if step["key"])

            def said(node: str = node, key: str = key) -> bool:
                return node in graph.health and key in graph.health[node][2]

            assert until(said), f"{node} says no {key!r}:\n{graph.health}"
            float(graph.health[node][2][key])
    names = {config.get("selectedName") for config in panels().values()} - {None}
    assert names <= set(graph.health)
