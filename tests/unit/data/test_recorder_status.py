from __future__ import annotations

import json

import pytest

from spark_ros.contracts import SparkError
from spark_ros.data.recorder_status import RecorderState, RecorderStatus, StreamStatus

STATUS = RecorderStatus(
    RecorderState.RECORDING,
    "recording episode_000002.mcap",
    "/demos",
    episode="episode_000002.mcap",
    free_disk_mb=None,
    warnings=("/camera is frozen",),
    streams=(StreamStatus("/camera", 29.9, required=True, limit_s=0.5), StreamStatus("/joy", 0.0)),
)


def test_a_status_arrives_as_it_was_sent() -> None:
    assert RecorderStatus.from_json(STATUS.to_json()) == STATUS


def test_what_a_later_version_adds_is_left_out() -> None:
    values = json.loads(STATUS.to_json())
    values["battery"] = values["streams"][0]["colour"] = 1
    assert RecorderStatus.from_json(json.dumps(values)) == STATUS


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"state": "dancing", "message": "", "folder": ""}', "null"])
def test_anything_else_is_refused_in_one_sentence(text: str) -> None:
    with pytest.raises(SparkError, match="run all nodes from the same version"):
        RecorderStatus.from_json(text)
