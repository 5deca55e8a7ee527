"""What a recorder says about itself twice a second, for whoever shows it: a page, a terminal, a tablet.

/diagnostics say the same to people in sentences; this is for programs, which must not take sentences apart.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from enum import Enum
from typing import Any

from spark_ros.contracts import SparkError


class RecorderState(str, Enum):
    """What the recorder is doing."""

    INACTIVE = "inactive"
    """Waiting for the lifecycle manager."""
    WAITING = "waiting"
    """A stream is missing, so no episode can begin; the message says which."""
    READY = "ready"
    RECORDING = "recording"
    STOPPED = "stopped"
    """Recording ended by itself (disk, memory); the episode waits to be kept or discarded."""


@dataclass(frozen=True)
class StreamStatus:
    """One recorded topic. What counts an episode's messages is 0 while none is recorded.

    Attributes:
        topic: Its name.
        hz: Messages per second over the last seconds.
        usual_hz: The same when the episode began; 0 while none is recorded.
        age_s: Seconds since the last message; None before the first one.
        required: Whether an episode may not begin without it.
        limit_s: Longest pause that can be learnt across; None where any can.
        gap_s: Longest pause of the episode so far, s.
        lost: Messages known to be lost.
        missing: Messages that the steps of the stamps leave room for.
        frozen: Images identical to the one before while the arm moved.
    """

    topic: str
    hz: float
    usual_hz: float = 0.0
    age_s: float | None = None
    required: bool = False
    limit_s: float | None = None
    gap_s: float = 0.0
    lost: int = 0
    missing: int = 0
    frozen: int = 0


@dataclass(frozen=True)
class RecorderStatus:
    """The recorder now.

    Attributes:
        state: What it is doing.
        message: The same as one sentence, with what is wrong.
        folder: Where the episodes go, as an absolute path on the recorder's computer.
        task: What the next episode, or this one, shows, in words.
        operator: Who drives.
        success: Whether the episode will be kept as a success.
        note: What will be kept with it.
        kept: Episodes kept since the recorder was started; whoever shows the folder looks again when it changes.
        marks: Changes of kept episodes' marks since the recorder was started, likewise.
        episode: File of the episode being recorded; empty if there is none.
        elapsed_s: For how long it has been recorded.
        free_disk_mb: MB free on the folder's disk; None where that cannot be asked.
        start_disk_mb: MB without which no episode begins.
        stop_disk_mb: MB below which recording stops.
        waiting_mb: MB received that wait for the disk.
        queue_mb: MB that may wait before messages are dropped.
        lost: Messages of this episode that were lost, by the middleware or by the recorder.
        camera_skew_s: How far apart in time the cameras' pictures were over the last seconds.
        skew_limit_s: Beyond that they are no observation.
        warnings: What is wrong right now, a sentence each.
        streams: Every stream that has been heard of, or that is required.
    """

    state: RecorderState
    message: str
    folder: str
    task: str = ""
    operator: str = ""
    success: bool = True
    note: str = ""
    kept: int = 0
    marks: int = 0
    episode: str = ""
    elapsed_s: float = 0.0
    free_disk_mb: float | None = None
    start_disk_mb: float = 0.0
    stop_disk_mb: float = 0.0
    waiting_mb: float = 0.0
    queue_mb: float = 0.0
    lost: int = 0
    camera_skew_s: float = 0.0
    skew_limit_s: float = 0.0
    warnings: tuple[str, ...] = ()
    streams: tuple[StreamStatus, ...] = ()

    def to_json(self) -> str:
        """As it travels."""
        return json.dumps(asdict(self))

    @classmethod
    def from_json(cls, text: str) -> RecorderStatus:
        """The inverse of `to_json`; what a later version adds is left out.

        Raises:
            SparkError: The text is something else.
        """
        try:
            values = _known(cls, json.loads(text))
            values["state"] = RecorderState(values["state"])
            values["warnings"] = tuple(str(sentence) for sentence in values.get("warnings", ()))
            values["streams"] = tuple(
                StreamStatus(**_known(StreamStatus, stream)) for stream in values.get("streams", ())
            )
            return cls(**values)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise SparkError(
                f"the recorder sends the status {text[:60]!r} ({error}): run all nodes from the same version of "
                "spark_ros"
            ) from error


def _known(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    names = {field.name for field in fields(kind)}
    return {name: value for name, value in values.items() if name in names}
