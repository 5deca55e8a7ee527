"""The kept rows as one object: suite -> arm -> success with its uncertainty."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from benchmarks.study.arms import ARMS
from benchmarks.study.rows import Row
from benchmarks.study.statistics import Outcomes, difference, outcomes, success

NOMINAL = "nominal"


def summarise(rows: Sequence[Row]) -> dict[str, dict[str, dict[str, Any]]]:
    """Figures of every arm that has episodes, arms in the order of the study.

    ``success`` of a suite with shifts is that under all shifts but the nominal scene, which stands beside it. Every
    task and number of demonstrations weighs the same. The reference is the foundation model in the form (block, class
    token or mean) that does best in the suite, among those with the same policy head: chosen after the fact, in its
    favour. ``strata`` counts the pairs of task and number of demonstrations that a rate is of: rates of fewer are not
    those of all (see `is_whole`), differences are paired all the same.

    Args:
        rows: That may be put together, see `rows.current`.
    """
    found: dict[str, dict[str, dict[str, Any]]] = {}
    for suite in sorted({row.suite for row in rows}):
        of_suite = [row for row in rows if row.suite == suite]
        shifts = {row.shift for row in of_suite}
        without = (NOMINAL,) if len(shifts) > 1 else ()
        arms = {
            name: _Arm([row for row in of_suite if row.arm == name], without)
            for name in ARMS
            if any(row.arm == name and row.checkpoint == "last" for row in of_suite)
        }
        found[suite] = {
            name: arm.figures | _against(name, arm.outcomes, arms) for name, arm in arms.items() if arm.outcomes
        }
    return found


def is_whole(rate: Mapping[str, Any], others: Iterable[Mapping[str, Any] | None]) -> bool:
    """Whether a rate is of as many tasks and numbers of demonstrations as any of the others, and so beside them."""
    return rate["strata"] == max((other["strata"] for other in others if other), default=rate["strata"])


def marked(name: str, arms: Mapping[str, Mapping[str, Any]]) -> str:
    """An arm's name; with a mark where its rate is not of all tasks and numbers of demonstrations."""
    return name if is_whole(arms[name], arms.values()) else f"{name} (part)"


class _Arm:
    def __init__(self, rows: Sequence[Row], without: Sequence[str]) -> None:
        last = [row for row in rows if row.checkpoint == "last"]
        best = [row for row in rows if row.checkpoint == "best"]
        self.outcomes: Outcomes = outcomes(last, without)
        self.figures: dict[str, Any] = {}
        if not self.outcomes:
            return
        rate, (low, high) = success(self.outcomes)
        self.figures = {
            "success": round(rate, 4),
            "ci95": [round(low, 4), round(high, 4)],
            "seeds": sorted({row.seed for row in last}),
            "episodes": sum(len(shifts) for part in self.outcomes.values() for shifts in part.values()),
            "demos": sorted({row.demos for row in last}),
            "strata": len(self.outcomes),
            "tasks": {task: self._rate(last, without, task=task) for task in _order(row.task for row in last)},
        }
        if without:
            shifts = _order(row.shift for row in last)
            self.figures["shifts"] = {shift: self._rate(last, (), shift=shift) for shift in shifts}
        if len(self.figures["demos"]) > 1:
            self.figures["by_demos"] = {str(n): self._rate(last, without, demos=n) for n in self.figures["demos"]}
        if best:
            chosen = outcomes(best, without)
            both = difference(chosen, self.outcomes)
            if both is not None:
                self.figures["best"] = {
                    "success": round(success(chosen)[0], 4),
                    "difference_to_last": round(both[0], 4),
                    "difference_ci95": [round(value, 4) for value in both[1]],
                }

    @staticmethod
    def _rate(rows: Sequence[Row], without: Sequence[str], **only: object) -> dict[str, Any] | None:
        chosen = [row for row in rows if all(getattr(row, name) == value for name, value in only.items())]
        part = outcomes(chosen, without)
        if not part:
            return None
        rate, (low, high) = success(part)
        count = sum(len(shifts) for clusters in part.values() for shifts in clusters.values())
        return {
            "success": round(rate, 4),
            "ci95": [round(low, 4), round(high, 4)],
            "episodes": count,
            "strata": len(part),
        }


def _against(name: str, arm: Outcomes, arms: Mapping[str, _Arm]) -> dict[str, Any]:
    """An arm beside the reference's better form."""
    references = [
        other
        for other in arms
        if ARMS[other].reference and ARMS[other].head == ARMS[name].head and arms[other].outcomes
    ]
    if not references:
        return {}
    best = max(references, key=lambda other: arms[other].figures["success"])
    if best == name:
        return {"reference": best}
    compared = difference(arm, arms[best].outcomes)
    if compared is None:
        return {"reference": best}
    mean, interval, pairs = compared
    return {
        "reference": best,
        "difference_to_vanilla": round(mean, 4),
        "difference_ci95": [round(value, 4) for value in interval],
        "pairs": pairs,
    }


def _order(values: Any) -> list[Any]:
    """Distinct values in the order of their first occurrence."""
    return list(dict.fromkeys(values))
