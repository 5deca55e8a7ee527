from __future__ import annotations

from pathlib import Path

import pytest
from study_for_tests import row

from benchmarks.study.results_page import PAGE, fill, task_table, write_results
from benchmarks.study.summary import summarise
from spark_ros.contracts import SparkError

ROWS = [
    row(arm, values, task=task, shift=shift, demos=demos)
    for arm, values in (("vanilla-9", [0, 1, 0, 0]), ("spark@fr3", [1, 1, 1, 0]), ("proprio", [0, 0, 0, 0]))
    for task in ("lift", "place")
    for shift in ("nominal", "light")
    for demos in (5, 25)
]
TEXT = """Before.
<!-- generated: table fr3-shift -->
old
<!-- end -->
After.
<!-- generated: table metaworld5 -->
<!-- end -->
"""


def test_the_page_gets_its_tables_and_pictures_and_keeps_what_people_wrote(tmp_path: Path) -> None:
    page = tmp_path / "results.md"
    page.write_text(TEXT)
    write_results(summarise(ROWS), ROWS, page, tmp_path / "images")
    text = page.read_text()
    assert text.startswith("Before.\n<!-- generated: table fr3-shift -->\n| arm |") and "\nAfter.\n" in text
    assert "| spark@fr3 | both losses | in-domain | 75.0% |" in text and "old" not in text
    assert "| vanilla-9 |" in text and "the reference" in text
    assert "No results are kept yet." in text
    names = {"results_fr3-shift.png", "results_fr3-shift_shifts.png", "results_fr3-shift_demos.png"}
    assert {path.name for path in (tmp_path / "images").iterdir()} == names
    write_results(summarise(ROWS), ROWS, page, tmp_path / "images")
    assert page.read_text() == text


def test_a_place_without_an_end_is_refused() -> None:
    with pytest.raises(SparkError, match="has no end"):
        fill("<!-- generated: table fr3-shift -->\n| a |\n", {})


def test_every_place_of_the_page_in_the_repository_is_known() -> None:
    fill(PAGE.read_text(encoding="utf-8"), {})


def test_numbers_of_demonstrations_stand_in_their_order() -> None:
    """Whichever arm comes first, and whatever it was run at: 5 after 25 is how texts are sorted."""
    rows = [
        row(arm, [0, 1], suite="metaworld5", task="hammer", shift="nominal", demos=demos)
        for arm, demos in (("proprio", 10), ("proprio", 25), ("random", 5), ("random", 25))
    ]
    assert "| arm | 5 | 10 | 25 |" in task_table(summarise(rows)["metaworld5"])
