from __future__ import annotations

import itertools

import numpy as np
import pytest

from spark_ros.contracts import JointState, SparkError
from spark_ros.data.align import AlignedSet, ObservationAligner, align_stamps

MS = 1_000_000
CAMERAS = ("front", "wrist")


def joints(ms: float) -> JointState:
    """Position equals time in seconds."""
    return JointState(("a", "b"), np.full(2, ms / 1000), np.full(2, 1.0), round(ms * MS))


def aligner(tolerance_s: float = 0.05) -> ObservationAligner[str]:
    return ObservationAligner(CAMERAS, ("b",), tolerance_s)


def test_no_observation_before_every_stream_has_arrived() -> None:
    live = aligner()
    assert live.latest() is None and "camera front, wrist" in live.problem()
    live.add_frame_or_features("front", "f0", 5 * MS)
    assert live.latest() is None and "camera wrist" in live.problem()
    live.add_frame_or_features("wrist", "w0", 5 * MS)
    assert live.latest() is None and live.problem() == "no joint state has arrived"
    live.add_joints(joints(0))
    assert live.latest() is None and "joint state is older" in live.problem()
    live.add_joints(joints(10))
    found = live.latest()
    assert found is not None and live.problem() == ""
    assert (found.stamp_ns, dict(found.items)) == (5 * MS, {"front": "f0", "wrist": "w0"})
    assert found.joints.names == ("b",)
    np.testing.assert_allclose(found.joints.position, [0.005])


def test_the_stamp_is_the_oldest_frame_and_frames_are_the_nearest() -> None:
    live = aligner()
    for name, ms in (("front", 0), ("wrist", 15), ("front", 33), ("wrist", 48), ("front", 66)):
        live.add_frame_or_features(name, f"{name}{ms}", ms * MS)
    stamps = [found.stamp_ns // MS for found in [*live.add_joints(joints(0)), *live.add_joints(joints(70))]]
    found = live.latest()
    assert stamps == [0, 33]
    assert found is not None and dict(found.items) == {"front": "front33", "wrist": "wrist48"}


def test_frames_too_far_apart_make_no_observation_and_say_so() -> None:
    live = aligner(tolerance_s=0.02)
    live.add_joints(joints(0))
    live.add_frame_or_features("front", "f", 0)
    live.add_frame_or_features("wrist", "w", 30 * MS)
    live.add_joints(joints(40))
    assert live.latest() is None
    assert "30 ms apart, expected at most 20 ms" in live.problem()


def test_joints_are_not_interpolated_across_a_pause() -> None:
    live = aligner()
    for name in CAMERAS:
        live.add_frame_or_features(name, name, 100 * MS)
    live.add_joints(joints(0))
    live.add_joints(joints(200))
    assert live.latest() is None and "pause for 200 ms" in live.problem()


def test_late_and_repeated_items_change_nothing() -> None:
    live = aligner()
    live.add_joints(joints(0))
    for name in CAMERAS:
        live.add_frame_or_features(name, "new", 50 * MS)
        assert live.add_frame_or_features(name, "late", 20 * MS) == []
        assert live.add_frame_or_features(name, "again", 50 * MS) == []
    live.add_joints(joints(60))
    live.add_joints(joints(30))
    found = live.latest()
    assert found is not None and set(found.items.values()) == {"new"} and found.stamp_ns == 50 * MS


def test_a_restarted_clock_starts_afresh() -> None:
    live = aligner()
    for start in (5000, 0):
        for ms in (start, start + 100):
            for name in CAMERAS:
                live.add_frame_or_features(name, f"{ms}", ms * MS)
            live.add_joints(joints(ms))
        found = live.latest()
        assert found is not None and found.stamp_ns == (start + 100) * MS


def test_a_foreign_camera_or_missing_joint_is_refused() -> None:
    with pytest.raises(SparkError, match="camera 'side'"):
        aligner().add_frame_or_features("side", "s", 0)
    with pytest.raises(SparkError, match="lacks c"):
        ObservationAligner(CAMERAS, ("c",)).add_joints(joints(0))


def summary(found: AlignedSet) -> tuple[int, tuple[tuple[str, int], ...], float]:
    return found.stamp_ns, tuple(sorted(found.items.items())), float(found.joints.position[0])


@pytest.mark.parametrize("phase_ms", [0, 7, 33, 49, 50, 93])
def test_whatever_the_delays_a_live_observation_is_one_of_the_offline_ones(phase_ms: int) -> None:
    rng = np.random.default_rng(phase_ms)
    stamps = {
        name: (np.arange(40) * 100 + offset + rng.integers(-4, 5, 40) + 20) * MS
        for name, offset in (("front", 0), ("wrist", phase_ms))
    }
    states = [joints(ms) for ms in range(0, 4300, 10)]
    offline = {summary(found) for found in align_stamps(stamps, states, ("b",))}
    assert len(offline) >= 35

    for delays_ms in itertools.product((0, 25, 180), (0, 60), (0, 90)):
        arrivals = [
            (stamp + delay * MS + int(rng.integers(0, 3 * MS)), name, index, int(stamp))
            for (name, series), delay in zip(stamps.items(), delays_ms, strict=False)
            for index, stamp in enumerate(series)
        ]
        arrivals += [(state.stamp_ns + delays_ms[2] * MS, "", i, state.stamp_ns) for i, state in enumerate(states)]
        live: ObservationAligner[int] = ObservationAligner(CAMERAS, ("b",))
        seen = set()
        for _, name, index, stamp in sorted(arrivals):
            new = live.add_joints(states[index]) if not name else live.add_frame_or_features(name, index, stamp)
            seen.update(summary(found) for found in new)
        assert len(seen) >= 35
        assert seen <= offline
