"""What the monitor says of streams that pause, slow down, lose messages, run backwards or disagree."""

from __future__ import annotations

from pathlib import Path

import pytest

from spark_ros.data import resources
from spark_ros.data.resources import Room
from spark_ros.data.stream_monitor import NumberedMessages, StreamMonitor, camera_skew_s, recent_skew_s, skew_flags

NS = 1_000_000_000


def watched(times: list[float], usual_hz: float = 10.0, lag: float = 0.0) -> StreamMonitor:
    monitor = StreamMonitor("/camera", 0.5, usual_hz, began_s=0.0)
    for at in times:
        monitor.see(at, round((at - lag) * NS), round(at * NS))
    return monitor


def test_an_even_stream_has_nothing_to_report() -> None:
    monitor = watched([i / 10 for i in range(1, 51)])
    assert monitor.present(5.05) == [] and monitor.flags(0.01) == []
    assert monitor.summary(5.0) == {
        "messages": 50, "lost": 0, "missing": 0, "hz": 10.0, "longest_gap_s": 0.1, "stamp_lag_s": 0.0, "backwards": 0,
        "frozen": 0,
    }  # fmt: skip


def test_silence_is_said_while_it_lasts_and_flagged_afterwards() -> None:
    monitor = watched([0.1, 0.2, 0.3])
    assert monitor.present(0.7) == []
    assert monitor.present(1.3) == ["/camera has been silent for 1.0 s"]
    monitor.end(1.3)
    assert monitor.flags(0.01) == ["/camera paused for 1.00 s, at most 0.5 s can be learnt"]
    assert "slowed down to 3 Hz from 10 Hz" in watched([i * 0.3 for i in range(1, 12)]).present(3.4)[0]


def test_loss_beyond_the_limit_late_clocks_and_stamps_that_run_back_are_flagged() -> None:
    monitor = watched([i / 10 for i in range(1, 100)])
    monitor.lost = 1
    assert monitor.flags(0.01) == []
    monitor.lost = 2
    assert monitor.flags(0.01) == ["/camera lost 2 of 101 messages"]
    assert "stamps 2.0 s behind this computer" in watched([0.1, 0.2], lag=2.0).flags(0.01)[0]
    assert "stamps 2.0 s ahead of this computer" in watched([0.1, 0.2], lag=-2.0).flags(0.01)[0]
    assert watched([0.2, 0.2]).flags(0.01) == ["/camera has 1 stamps not after their predecessor"]


def test_frames_that_nobody_reported_as_lost_are_seen_in_the_stamps() -> None:
    monitor = StreamMonitor("/camera", 0.5, 30.0, began_s=0.0, keep_stamps=True)
    for frame in (*range(1, 40), *range(43, 90), 91):
        monitor.see(frame / 30, round(frame / 30 * NS), round(frame / 30 * NS))
    assert monitor.missing == 4
    assert monitor.flags(0.01) == ["/camera lacks about 4 messages between its stamps"] and monitor.flags(0.1) == []


def test_what_was_counted_as_lost_is_not_flagged_a_second_time() -> None:
    monitor = StreamMonitor("/camera", 0.5, 30.0, began_s=0.0, keep_stamps=True)
    for frame in (*range(1, 40), *range(43, 90)):
        monitor.see(frame / 30, round(frame / 30 * NS), round(frame / 30 * NS))
    monitor.lost = 3
    assert monitor.flags(0.01) == ["/camera lost 3 of 89 messages"]


def test_a_stream_of_unknown_rate_is_judged_by_its_first_seconds() -> None:
    monitor = StreamMonitor("/camera", 0.5, 0.0, began_s=0.0, keep_stamps=True)
    for frame in (*range(1, 95), *range(97, 200)):
        monitor.see(frame / 30, round(frame / 30 * NS), round(frame / 30 * NS))
    assert monitor.usual_hz == pytest.approx(30.0, rel=0.05) and monitor.missing == 2


def test_numbers_that_a_publisher_left_out_are_messages_that_never_came() -> None:
    seen = NumberedMessages()
    for number in (7, 8, 11, 12, 20):
        seen.see(number)
    assert seen.skipped == 9
    for number in (3, 4, 30):  # started again, or one of several publishers: nothing follows from it
        seen.see(number)
    seen.see(None)
    assert seen.skipped == 9


def test_cameras_too_far_apart_are_flagged() -> None:
    front = [i * 100_000_000 for i in range(50)]
    assert camera_skew_s({"front": front, "wrist": [stamp + 30_000_000 for stamp in front]}) == pytest.approx(0.03)
    assert skew_flags(0.03) == []
    assert "50 ms apart" not in "".join(skew_flags(camera_skew_s({"front": front})))
    apart = camera_skew_s({"front": front[:1], "wrist": [stamp + 80_000_000 for stamp in front[:1]]})
    assert "up to 80 ms apart" in skew_flags(apart)[0]


def test_cameras_of_different_rates_are_compared_over_the_same_time() -> None:
    slow, fast = [i * 100_000_000 for i in range(60)], [i * 33_333_333 + 5_000_000 for i in range(180)]
    assert recent_skew_s({"front": slow[-60:], "wrist": fast[-60:]}) < 0.02
    assert recent_skew_s({"front": slow, "wrist": [stamp + 60_000_000 for stamp in slow[:-1]]}) == pytest.approx(0.04)
    stopped = recent_skew_s({"front": slow, "wrist": [stamp + 30_000_000 for stamp in slow[:20]]})
    assert stopped == pytest.approx(0.03)  # of the time when both were there
    assert recent_skew_s({"front": slow, "wrist": []}) == 0.0


def test_a_full_disk_or_memory_is_said_in_a_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert Room(0.0, 0.0).lacking(tmp_path) == ""
    assert "MB of free disk, 1000000000 MB are needed" in Room(1e9, 0.0).lacking(tmp_path)
    assert "of memory are free, 1000000000 MB are needed" in Room(0.0, 1e9).lacking(tmp_path)
    monkeypatch.setattr(resources, "free_disk_mb", lambda _: 499.0)
    assert Room(500.0, 0.0).lacking(tmp_path) == (
        f"{tmp_path} has 499 MB of free disk, 500 MB are needed: make room, or record to another disk"
    )
