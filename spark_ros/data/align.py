"""The single place where asynchronous streams become one observation.

The policy node feeds it features and joint states as they arrive; training feeds it the same messages in stamp
order through `align_stamps`. A set depends on the stamps around its anchor only, not on when messages arrived, so an
observation that the live node acts on is one that training forms from the same messages (cameras of one rate,
messages of one stream in order).

The rule. The *anchor* is the newest stamp of the slowest camera, so every other camera already has an item at or
after it and the item nearest to the anchor is final. One nearest item per camera makes a set; its stamp is the
oldest stamp in it; it counts if oldest and newest lie within the tolerance. Joints are interpolated linearly at the
set's stamp between the two joint states around it, which is why a set is complete only once a joint state at or
after its stamp has arrived (10 ms later at 100 Hz).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import JointState, SparkError

Item = TypeVar("Item")

# Half a frame period at 10 Hz, the most by which unsynchronised cameras can miss each other, and some jitter.
DEFAULT_TOLERANCE_S = 0.06
# Ten missed messages at 100 Hz: at 1 rad/s the joint has moved 0.1 rad between the two states interpolated.
MAX_JOINT_GAP_S = 0.1
# A stamp this far before its predecessor means that the source restarted its clock, not that a message was late.
_CLOCK_RESTART_NS = 1_000_000_000


@dataclass(frozen=True)
class AlignedSet(Generic[Item]):
    """One observation.

    Attributes:
        stamp_ns: Stamp of the oldest item, in nanoseconds; the joints are those of this instant.
        items: What was added for each camera: a `Frame`, `StateFeatures`, or an index.
        stamps: Stamp of each camera's item in nanoseconds.
        joints: The joints, in the order the aligner was given, interpolated at `stamp_ns`.
    """

    stamp_ns: int
    items: Mapping[str, Item]
    stamps: Mapping[str, int]
    joints: JointState


class ObservationAligner(Generic[Item]):
    """Form observations from items of several cameras and joint states.

    Args:
        cameras: Camera names; every one must contribute to a set.
        joint_names: Joints to keep, in this order (arm and fingers).
        tolerance_s: Largest time between the oldest and the newest item of a set.
        max_joint_gap_s: Largest time between the two joint states that are interpolated.
    """

    def __init__(
        self,
        cameras: Sequence[str],
        joint_names: Sequence[str],
        tolerance_s: float = DEFAULT_TOLERANCE_S,
        max_joint_gap_s: float = MAX_JOINT_GAP_S,
    ) -> None:
        self._cameras = tuple(cameras)
        self._joint_names = tuple(joint_names)
        self._tolerance_ns = round(tolerance_s * 1e9)
        self._max_gap_ns = round(max_joint_gap_s * 1e9)
        self.reset()

    def reset(self) -> None:
        """Forget everything, e.g. when the task starts over."""
        # 32 items bridge one second of a camera at 30 Hz whose sibling is late, 512 states half a second at 1 kHz.
        self._items: dict[str, deque[tuple[int, Item]]] = {name: deque(maxlen=32) for name in self._cameras}
        self._joints: deque[JointState] = deque(maxlen=512)
        self._waiting: deque[tuple[int, dict[str, tuple[int, Item]]]] = deque(maxlen=32)
        self._anchor_ns: int | None = None
        self._latest: AlignedSet[Item] | None = None
        self._problem = ""

    def add_frame_or_features(self, camera: str, item: Item, stamp_ns: int) -> list[AlignedSet[Item]]:
        """Add what a camera gave.

        Stamps of one camera must rise; an item not newer than its predecessor is ignored, one that is more than a
        second older starts the aligner afresh because the source restarted its clock.

        Returns:
            The sets that this item completed, oldest first; usually none or one.

        Raises:
            SparkError: The camera is not one of the aligner's.
        """
        if camera not in self._items:
            raise SparkError(
                f"received camera {camera!r}, expected one of {', '.join(self._cameras)}: "
                "start perception with the cameras of the bundle"
            )
        buffer = self._items[camera]
        if not self._accepts(buffer[-1][0] if buffer else None, stamp_ns):
            return []
        self._items[camera].append((stamp_ns, item))
        self._match()
        return self._complete()

    def add_joints(self, joints: JointState) -> list[AlignedSet[Item]]:
        """Add a joint state; same rules and return value as `add_frame_or_features`.

        Raises:
            SparkError: One of the aligner's joints is missing.
        """
        if not self._accepts(self._joints[-1].stamp_ns if self._joints else None, joints.stamp_ns):
            return []
        self._joints.append(joints.select(self._joint_names))
        return self._complete()

    def latest(self) -> AlignedSet[Item] | None:
        """The newest complete observation, or None if there has been none yet; its age is for the caller to judge."""
        return self._latest

    def problem(self) -> str:
        """Why the newest messages make no observation, in one sentence; empty if nothing is wrong."""
        silent = [name for name in self._cameras if not self._items[name]]
        if silent:
            return f"nothing has arrived from camera {', '.join(silent)}"
        if not self._joints:
            return "no joint state has arrived"
        if self._waiting and self._waiting[0][0] > self._joints[-1].stamp_ns:
            return "the newest joint state is older than the frames"
        return self._problem

    def _accepts(self, previous_ns: int | None, stamp_ns: int) -> bool:
        if previous_ns is None or stamp_ns > previous_ns:
            return True
        if previous_ns - stamp_ns > _CLOCK_RESTART_NS:
            self.reset()
            return True
        return False

    def _match(self) -> None:
        """Form the set of the current anchor, if it is a new one, and queue it for its joints."""
        if not all(self._items.values()):
            return
        anchor = min(buffer[-1][0] for buffer in self._items.values())
        if anchor == self._anchor_ns:
            return
        self._anchor_ns = anchor
        chosen: dict[str, tuple[int, Item]] = {}
        for camera, buffer in self._items.items():
            # Anchors only rise, so an item that lost to a later one can never be nearest again.
            while len(buffer) > 1 and abs(buffer[1][0] - anchor) < abs(buffer[0][0] - anchor):
                buffer.popleft()
            chosen[camera] = buffer[0]
        stamps = [stamp for stamp, _ in chosen.values()]
        spread = max(stamps) - min(stamps)
        if spread > self._tolerance_ns:
            self._problem = (
                f"frames of cameras {', '.join(self._cameras)} are {spread / 1e6:.0f} ms apart, "
                f"expected at most {self._tolerance_ns / 1e6:.0f} ms"
            )
            return
        self._waiting.append((min(stamps), chosen))

    def _complete(self) -> list[AlignedSet[Item]]:
        """Turn queued sets whose joints have arrived into observations."""
        complete = []
        while self._waiting and self._joints and self._joints[-1].stamp_ns >= self._waiting[0][0]:
            stamp, chosen = self._waiting.popleft()
            if self._latest is not None and stamp <= self._latest.stamp_ns:
                continue  # two anchors may choose the same oldest frame; the first one stands
            joints = self._joints_at(stamp)
            if joints is not None:
                self._problem = ""
                self._latest = AlignedSet(
                    stamp,
                    {camera: item for camera, (_, item) in chosen.items()},
                    {camera: item_stamp for camera, (item_stamp, _) in chosen.items()},
                    joints,
                )
                complete.append(self._latest)
        return complete

    def _joints_at(self, stamp: int) -> JointState | None:
        after = self._joints[-1]
        for before in reversed(self._joints):
            if before.stamp_ns <= stamp:
                if after.stamp_ns - before.stamp_ns <= self._max_gap_ns or before.stamp_ns == stamp:
                    return interpolate_joints(before, after, stamp)
                self._problem = (
                    f"joint states pause for {(after.stamp_ns - before.stamp_ns) / 1e6:.0f} ms around a frame, "
                    f"expected at most {self._max_gap_ns / 1e6:.0f} ms"
                )
                return None
            after = before
        self._problem = "the oldest joint state is newer than the frames"
        return None


def interpolate_joints(before: JointState, after: JointState, stamp_ns: int) -> JointState:
    """The joints at a stamp between two states, linearly in position and velocity."""
    span = after.stamp_ns - before.stamp_ns
    weight = (stamp_ns - before.stamp_ns) / span if span > 0 else 0.0
    return JointState(
        before.names,
        (1.0 - weight) * before.position + weight * after.position,
        (1.0 - weight) * before.velocity + weight * after.velocity,
        stamp_ns,
    )


def align_stamps(
    camera_stamps: Mapping[str, NDArray[np.int64]],
    joints: Iterable[JointState],
    joint_names: Sequence[str],
    tolerance_s: float = DEFAULT_TOLERANCE_S,
    max_joint_gap_s: float = MAX_JOINT_GAP_S,
) -> list[AlignedSet[int]]:
    """All observations of a recording, by feeding an `ObservationAligner` in stamp order.

    Args:
        camera_stamps: (N,) rising stamps in nanoseconds per camera.
        joints: The recording's joint states, in stamp order.
        joint_names: Joints to keep, in this order.
        tolerance_s: As for `ObservationAligner`.
        max_joint_gap_s: As for `ObservationAligner`.

    Returns:
        Sets whose items are indices into the camera's stamps.

    Raises:
        SparkError: A joint is missing.
    """
    aligner: ObservationAligner[int] = ObservationAligner(
        tuple(camera_stamps), joint_names, tolerance_s, max_joint_gap_s
    )
    sets: list[AlignedSet[int]] = []
    frames = sorted(
        ((int(stamp), camera, index) for camera, stamps in camera_stamps.items() for index, stamp in enumerate(stamps)),
        key=lambda entry: entry[0],
    )
    upcoming = deque(frames)
    for state in joints:
        while upcoming and upcoming[0][0] <= state.stamp_ns:
            stamp, camera, index = upcoming.popleft()
            sets += aligner.add_frame_or_features(camera, index, stamp)
        sets += aligner.add_joints(state)
    return sets
