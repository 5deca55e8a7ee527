"""What the benchmarks of speed and success conclude from what they measured."""

from __future__ import annotations

from typing import Any

from benchmarks.precision_success import summarise
from benchmarks.speed.marks import judge


def row(form: str, speed_up: float, error: float) -> dict[str, Any]:
    return {"form": form, "speed_up": {"p50": speed_up}, "action_mean_error_in_std": error}


def measured() -> dict[str, Any]:
    forms = [row("torch float32", 1.0, 0.0), row("exact", 3.0, 0.01), row("wild", 9.0, 0.5)]
    return {
        "encoder": {"112": forms},
        "encoder_and_policy": {"forms": [*forms, {"form": "a peer"}]},
        "speedup_over_lerobot_act": {"exact": 20.0, "wild": 60.0},
        "load_to_first_action_s": {"first_action": 2.0},
    }


def test_a_form_that_moves_the_actions_too_far_does_not_count_as_fast() -> None:
    marks = judge(measured())
    assert marks["speed-up over torch eager, encoder at 112 px"] == {"wanted": ">= 5", "found": 3.0, "met": False}
    assert marks["speed-up over LeRobot's ACT"] == {"wanted": ">= 5", "found": 20.0, "met": True}
    assert marks["seconds from a bundle to its first action"]["met"]


def test_what_was_not_measured_is_not_met() -> None:
    mark = judge(measured())["overhead of the perception node, composed"]
    assert mark["found"] is None and not mark["met"]


def outcomes(usual: int, shifted: int) -> dict[str, list[bool]]:
    return {"nominal": [i < usual for i in range(50)], "light": [i < shifted for i in range(20)]}


def test_a_precision_that_loses_more_than_two_points_is_not_offered() -> None:
    forms = summarise(
        {"first": outcomes(50, 15), "one less": outcomes(49, 14), "two less": outcomes(48, 15), "dark": outcomes(50, 5)}
    )
    assert {name: form["offered"] for name, form in forms.items()} == {
        "first": True,
        "one less": True,
        "two less": False,
        "dark": False,
    }
    assert forms["dark"]["shifted_difference"] == -0.5
