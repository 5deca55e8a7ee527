from __future__ import annotations

from pathlib import Path

import pytest
from study_for_tests import row

from benchmarks.study.rows import RowFile, current, done
from spark_ros.contracts import SparkError


def test_a_torn_line_is_no_row_and_does_not_swallow_the_next_one(tmp_path: Path) -> None:
    file = RowFile(tmp_path / "kept" / "rows.jsonl")
    rows = [row("random", [1, 0]), row("random", [0], first=2)]
    file.append(rows)
    with file.path.open("a") as stream:
        stream.write('{"suite": "fr3-sh')
    assert file.read() == rows
    file.append([row("proprio", [1])])
    assert file.read() == [*rows, row("proprio", [1])]


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    RowFile(path).append([row("random", [1])])
    path.write_text(path.read_text() + "{}\n")
    with pytest.raises(SparkError, match=r"rows.jsonl line 2 is no row .*: remove the line"):
        RowFile(path).read()


def test_rows_of_an_older_encoder_or_protocol_are_not_put_together_with_the_newest() -> None:
    old, other = row("spark@fr3", [0], encoder_sha256="old"), row("random", [1], encoder_sha256="r")
    new, outdated = row("spark@fr3", [1], encoder_sha256="new"), row("random", [0], protocol=0)
    assert current([old, outdated, other, new], {"fr3-shift": 1}) == [other, new]


def test_episodes_count_as_done_only_with_the_same_encoder() -> None:
    rows = [row("spark@fr3", [0, 1]), row("spark@fr3", [1], first=5), row("spark@fr3", [1], encoder_sha256="b")]
    known = done(rows, "fr3-shift", 1, "spark@fr3", "a")
    assert known == {("fr3-shift/lift/spark@fr3/demos50/seed0 last", "light"): {0, 1, 5}}
    assert done(rows, "fr3-shift", 2, "spark@fr3", "a") == {}
