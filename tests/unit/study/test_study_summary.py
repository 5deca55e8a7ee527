from __future__ import annotations

import json

import pytest
from study_for_tests import row

from benchmarks.study.summary import marked, summarise

ROWS = [
    row("vanilla-9", [0, 1, 0, 0]),
    row("vanilla-9", [1, 1, 1, 1], shift="nominal"),
    row("vanilla-12", [0, 0, 0, 0]),
    row("vanilla-12", [1, 1, 1, 1], shift="nominal"),
    row("spark@fr3", [1, 1, 1, 0]),
    row("spark@fr3", [1, 1, 1, 1], shift="nominal"),
    row("spark@fr3", [1, 1], checkpoint="best"),
    row("spark-patch@fr3", [1, 1, 1, 1]),
]


def test_the_summary_has_what_a_reader_of_the_study_asks_for() -> None:
    summary = summarise(ROWS)
    assert json.loads(json.dumps(summary)) == summary
    spark = summary["fr3-shift"]["spark@fr3"]
    assert spark["success"] == 0.75 and spark["episodes"] == 4 and spark["seeds"] == [0] and spark["demos"] == [50]
    assert spark["ci95"][0] < 0.75 < spark["ci95"][1]
    assert spark["shifts"]["nominal"]["success"] == 1.0
    assert spark["best"]["success"] == 1.0


def test_the_reference_is_the_better_form_of_the_foundation_model() -> None:
    arms = summarise(ROWS)["fr3-shift"]
    assert arms["spark@fr3"]["reference"] == "vanilla-9"
    assert arms["spark@fr3"]["difference_to_vanilla"] == pytest.approx(0.5)
    assert arms["vanilla-12"]["difference_to_vanilla"] == pytest.approx(-0.25)
    assert "difference_to_vanilla" not in arms["vanilla-9"]


def test_a_policy_head_is_compared_with_the_same_head_only() -> None:
    assert "reference" not in summarise(ROWS)["fr3-shift"]["spark-patch@fr3"]


def test_demonstrations_are_told_apart() -> None:
    rows = [
        row("random", [0, 0], suite="metaworld5", task="hammer", shift="nominal", demos=5),
        row("random", [1, 1], suite="metaworld5", task="hammer", shift="nominal", demos=25),
    ]
    figures = summarise(rows)["metaworld5"]["random"]
    assert figures["success"] == 0.5
    assert [figures["by_demos"][n]["success"] for n in ("5", "25")] == [0.0, 1.0]


def test_an_arm_that_has_not_done_everything_is_marked() -> None:
    rows = [
        row("random", [1, 1], suite="metaworld5", task="hammer", shift="nominal", demos=5),
        row("random", [0, 0], suite="metaworld5", task="assembly", shift="nominal", demos=5),
        row("spark@metaworld5", [1, 1], suite="metaworld5", task="hammer", shift="nominal", demos=5),
    ]
    arms = summarise(rows)["metaworld5"]
    assert marked("random", arms) == "random" and marked("spark@metaworld5", arms) == "spark@metaworld5 (part)"
