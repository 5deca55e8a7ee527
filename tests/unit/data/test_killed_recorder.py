"""Kill -9 at random moments of a session. `python -m benchmarks.recording --kills 50` does more of it."""

from __future__ import annotations

from pathlib import Path

from benchmarks.recorder.kills import survive


def test_a_killed_recorder_loses_no_finished_episode_and_at_most_a_second_of_the_torn_one(tmp_path: Path) -> None:
    left = survive(tmp_path / "demos", kills=4)
    assert left["refused"], "a second recorder on the folder refuses"
    assert left["altered"] == 0 and left["finished"] >= 4
    assert left["torn"] == left["recovered"] + left["empty"]
    assert left["worst_tail_s"] < 3.0  # 1 s; a busy machine may not have run the writer for a while
