"""What was wanted of the bundle on the robot, and what was found."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from benchmarks.speed.perceiving import RATES_HZ
from spark_ros.bundle.precisions import PRECISIONS

SPEED_UP = 5.0  # times torch eager in float32
TOLERANCE = PRECISIONS["int8"].max_action_error  # of the actions, in standard deviations


def judge(measured: Mapping[str, Any]) -> dict[str, Any]:
    """By mark: what is wanted, what was found, whether that is met; found is None where it was not measured."""
    marks: dict[str, Any] = {}

    def at_most(name: str, limit: float, found: float | None) -> None:
        marks[name] = {"wanted": f"<= {limit:g}", "found": found, "met": found is not None and found <= limit}

    def at_least(name: str, limit: float, found: float | None) -> None:
        marks[name] = {"wanted": f">= {limit:g}", "found": found, "met": found is not None and found >= limit}

    acting = [row for row in measured["encoder_and_policy"]["forms"] if "speed_up" in row]
    faithful = {row["form"] for row in acting if row["action_mean_error_in_std"] <= TOLERANCE}
    for size, rows in measured["encoder"].items():
        best = max(row["speed_up"]["p50"] for row in rows if row["form"] in faithful)
        at_least(f"speed-up over torch eager, encoder at {size} px", SPEED_UP, best)
    best = max(row["speed_up"]["p50"] for row in acting if row["form"] in faithful)
    at_least("speed-up over torch eager, encoder and policy", SPEED_UP, best)
    peers = measured["speedup_over_lerobot_act"]
    over_peer = max((value for form, value in peers.items() if form in faithful), default=None)
    at_least("speed-up over LeRobot's ACT", SPEED_UP, over_peer)
    overhead = measured.get("node_overhead", {})
    at_most("overhead of the perception node, composed", 0.1, overhead.get("composed"))
    at_most("overhead of the perception node, across processes", 0.3, overhead.get("processes"))
    for form in ("processes", "composed"):
        at_most(f"capture to command p99 over p50, {form}", 1.5, measured.get("p99_over_p50", {}).get(form))
        at_most(f"resident MB, {form}", 600.0, measured.get("rss_mb", {}).get(form))
        kept = measured.get("observations_per_s", {}).get(form, {}).get(f"{RATES_HZ[0]:g}")
        at_least(f"observations of two cameras per second, {form}", 0.99 * RATES_HZ[0], kept)
    at_most("seconds from a bundle to its first action", 3.0, measured["load_to_first_action_s"]["first_action"])
    return marks
