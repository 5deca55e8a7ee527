from __future__ import annotations

from benchmarks.study.cells import SuitePlan, batches, missing, plan

SUITE = SuitePlan("toy", ("reach", "push"), ("a", "b", "c"), (5, 25), (0, 1), batches(7, 3), best_episodes=3)


def test_every_arm_has_a_few_episodes_before_any_arm_gets_more() -> None:
    cells = plan([SUITE])
    second = min(i for i, cell in enumerate(cells) if cell.first > 0 or cell.seed > 0)
    assert {(cell.arm, cell.task, cell.demos) for cell in cells[:second]} == {
        (arm, task, demos) for arm in "abc" for task in SUITE.tasks for demos in SUITE.demos
    }


def test_arms_come_in_their_order_and_best_checkpoints_after_all_last_ones() -> None:
    cells = [cell for cell in plan([SUITE]) if cell.demos == 5 and cell.seed == 0 and cell.first == 0]
    assert [cell.arm for cell in cells[:6]] == ["a", "a", "b", "b", "c", "c"]
    assert [cell.checkpoint for cell in cells] == ["last"] * 6 + ["best"] * 6


def test_a_plan_names_every_cell_once_and_every_episode_once() -> None:
    cells = plan([SUITE])
    assert len(set(cells)) == len(cells)
    numbers = [
        episode
        for cell in cells
        if (cell.arm, cell.task, cell.demos, cell.seed, cell.checkpoint) == ("b", "push", 25, 1, "last")
        for episode in range(cell.first, cell.first + cell.episodes)
    ]
    assert sorted(numbers) == list(range(7))


def test_suites_take_turns() -> None:
    other = SuitePlan("other", ("lift",), ("a", "b"), (9,), (0,), ((0, 2),))
    first_two = plan([SUITE, other])[:3]
    assert {cell.suite for cell in first_two} == {"toy", "other"}


def test_what_is_missing_of_a_cell_is_by_shift() -> None:
    cell = plan([SUITE])[0]
    known = {(f"{cell.policy} last", "nominal"): {0, 1, 2}, (f"{cell.policy} last", "light"): {0, 2}}
    assert missing(cell, known, ("nominal", "light", "table")) == ["light", "table"]
