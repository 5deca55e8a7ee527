"""Watches the streams of one episode: what to warn of while it is recorded, and what to write down about it."""

from __future__ import annotations

import time
import zlib
from collections import Counter
from collections.abc import Sequence

from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.control.perceived import FrozenImages
from spark_ros.data.cdr_messages import decode_joints
from spark_ros.data.stream_monitor import NumberedMessages, StreamMonitor, camera_skew_s, recent_skew_s, skew_flags
from spark_ros.nodes.recorded_streams import Stream

_STAMP_END = 12  # bytes of CDR before what makes two images equal: byte order and stamp
RECENT_FRAMES = 300  # some seconds of the fastest camera
FROZEN_FRAMES, FROZEN_MOTION_RAD = 5, 0.02  # as the gateway has it for policies, see control/config.py


class EpisodeWatch:
    """One episode's monitors.

    Args:
        streams: What is recorded.
        joint_names: The arm's joints: a camera is frozen only where they move.

    Attributes:
        stopped: Why nothing more is recorded; empty while recording.
    """

    def __init__(self, streams: Sequence[Stream], joint_names: Sequence[str]) -> None:
        self._began_s = now = time.monotonic()
        self._monitors = {
            s.topic: StreamMonitor(s.topic, s.gap_s, s.rate.steady_hz(), now, topics.camera_of(s.topic) is not None)
            for s in streams
        }
        self._required = {s.topic for s in streams if s.required}
        self._cameras = [topic for topic in self._monitors if topics.camera_of(topic) is not None]
        self._joint_names = tuple(joint_names)
        self._joints: bytes | None = None
        self._frozen = FrozenImages(FROZEN_FRAMES, FROZEN_MOTION_RAD)
        self._numbers = {s.topic: NumberedMessages() for s in streams}
        self._reported: Counter[str] = Counter()
        self.stopped = ""

    @property
    def lost(self) -> Counter[str]:
        """Messages that were sent and never reached us, by topic."""
        return +Counter({topic: max(self._reported[topic], seen.skipped) for topic, seen in self._numbers.items()})

    def reported_lost(self, topic: str, count: int) -> None:
        """The middleware says that it lost messages; of those that the subscription's queue lost it says nothing."""
        self._reported[topic] += count

    def see(self, topic: str, cdr: bytes, stamp_ns: int | None, now_ns: int, number: int | None) -> None:
        """Take note of a message.

        Args:
            topic: Where it came from.
            cdr: Its bytes.
            stamp_ns: Its stamp, None for a type without.
            now_ns: The time on the clock of the stamps.
            number: Its publisher's number of it; None where the middleware does not number them.
        """
        monitor = self._monitors[topic]
        self._numbers[topic].see(number)
        monitor.see(time.monotonic(), stamp_ns, now_ns)
        if topic == topics.JOINT_STATES:
            self._joints = cdr
        elif topic in self._cameras and self._joints is not None:
            self._look(monitor, cdr)

    def monitor(self, topic: str) -> StreamMonitor:
        """What is known of one stream of this episode."""
        return self._monitors[topic]

    @property
    def elapsed_s(self) -> float:
        """Seconds since the episode began."""
        return time.monotonic() - self._began_s

    def warnings(self) -> list[str]:
        """What is wrong right now, a sentence each."""
        now = time.monotonic()
        found = [sentence for topic in self._required for sentence in self._monitors[topic].present(now)]
        found += [f"{topic} is frozen" for topic in self._cameras if self._monitors[topic].frozen]
        found += [f"{count} messages of {topic} were lost" for topic, count in self.lost.items()]
        return sorted(found + skew_flags(recent_skew_s(self._camera_stamps(RECENT_FRAMES))))

    def finish(self, dropped: Counter[str], max_loss: float) -> dict[str, object]:
        """What is written down about the episode: messages lost, numbers of each stream, flags.

        Args:
            dropped: Messages that we lost ourselves, by topic.
            max_loss: Share of a stream's messages that may be lost.
        """
        now, lost = time.monotonic(), dropped + self.lost
        for topic, count in lost.items():
            self._monitors[topic].lost = count
        flags = [f"recording stopped early: {self.stopped}"] if self.stopped else []
        for topic, monitor in self._monitors.items():
            if topic in self._required and not self.stopped:
                monitor.end(now)
            if topic in self._required or topic == topics.GATEWAY_SETPOINT:
                flags += monitor.flags(max_loss)
        skew = camera_skew_s(self._camera_stamps())
        return {
            "messages_lost": dict(lost),
            "streams": {topic: monitor.summary(now) for topic, monitor in self._monitors.items() if monitor.count},
            "camera_skew_s": round(skew, 4),
            "flags": flags + skew_flags(skew),
        }

    def _look(self, monitor: StreamMonitor, cdr: bytes) -> None:
        try:
            joints = decode_joints(self._joints or b"").select(self._joint_names).position
        except SparkError:
            return  # the gripper's own message, or one that the gateway complains of
        digest = zlib.crc32(memoryview(cdr)[_STAMP_END:])
        if self._frozen.feed(monitor.topic, digest, joints) is not None:
            monitor.frozen += 1

    def _camera_stamps(self, last: int = 0) -> dict[str, list[int]]:
        return {topic: self._monitors[topic].stamps_ns[-last:] for topic in self._cameras}
