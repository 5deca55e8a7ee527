"""What the recorder knows, gathered for `data.recorder_status`."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Sequence

from spark_ros import topics
from spark_ros.data.recorder_status import StreamStatus
from spark_ros.data.stream_monitor import recent_skew_s
from spark_ros.nodes.episode_queue import EpisodeQueue
from spark_ros.nodes.episode_watch import EpisodeWatch
from spark_ros.nodes.recorded_streams import Stream

_ALIVE_S = 1.0  # a camera that is silent has no partner to be compared with


def stream_statuses(
    streams: Sequence[Stream], episode: EpisodeQueue | None, watch: EpisodeWatch | None
) -> tuple[StreamStatus, ...]:
    """Every stream that has been heard of, or that is required."""
    lost: Counter[str] = Counter() if episode is None or watch is None else watch.lost + episode.dropped
    return tuple(
        _status(stream, watch, lost[stream.topic])
        for stream in streams
        if stream.required or math.isfinite(stream.rate.silent_s())
    )


def live_skew_s(streams: Sequence[Stream]) -> float:
    """How far apart in time the pictures of the cameras were over the last seconds, recording or not."""
    return recent_skew_s(
        {
            stream.topic: list(stream.stamps_ns)
            for stream in streams
            if topics.camera_of(stream.topic) is not None and stream.rate.silent_s() < _ALIVE_S
        }
    )


def _status(stream: Stream, watch: EpisodeWatch | None, lost: int) -> StreamStatus:
    silent = stream.rate.silent_s()
    limit = stream.gap_s if math.isfinite(stream.gap_s) else None
    about = StreamStatus(
        topic=stream.topic,
        hz=round(stream.rate.hz(), 2),
        age_s=round(silent, 3) if math.isfinite(silent) else None,
        required=stream.required,
        limit_s=limit,
    )
    if watch is None:
        return about
    monitor = watch.monitor(stream.topic)
    return StreamStatus(
        about.topic,
        about.hz,
        round(monitor.usual_hz, 2),
        about.age_s,
        about.required,
        about.limit_s,
        round(monitor.longest_gap_s, 3),
        lost,
        monitor.missing,
        monitor.frozen,
    )
