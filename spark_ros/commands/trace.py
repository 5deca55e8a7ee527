"""`spark-ros trace`: where the time goes between camera and arm, in the running graph."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Mapping

from spark_ros.commands.common import Verbs, add_verb

SHOW_EVERY_S = 1.0


def add_to(verbs: Verbs) -> None:
    """Adds the verb."""
    parser = add_verb(
        verbs,
        "trace",
        "measure the stages from camera to command in the running graph",
        "Listen to a running graph while the policy has the arm, and print how long each stage took: p50, p95, p99,\n"
        "and worst, in milliseconds, from the stage before it, and in total from the frame's capture to the command.\n"
        "Run it with the graph's ROS_DOMAIN_ID.",
    )
    add = parser.add_argument
    add("--seconds", type=float, default=10.0, help="how long to listen (default: %(default)s)")
    add("--json", action="store_true", help="print the result as one JSON object in the last line")
    add("--out", metavar="DIR", help="leave trace.json, with every path, and trace.png there")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from spark_ros.contracts import SparkError
    from spark_ros.nodes.trace_listener import TraceListener

    if not 0.0 < options.seconds < 1e6:
        raise SparkError(f"--seconds {options.seconds} is no time to listen: give a positive number")
    live = sys.stdout.isatty() and not options.json
    with TraceListener() as listener:
        print(f"listening for {options.seconds:g} s", file=sys.stderr)
        shown = 0

        def show() -> None:
            nonlocal shown
            text = _table(listener.window.table(), len(listener.window.paths))
            print(f"\x1b[{shown}F\x1b[J{text}" if shown else text, flush=True)
            shown = text.count("\n") + 1

        listener.listen(options.seconds, SHOW_EVERY_S, show if live else lambda: None)
        paths, table = list(listener.window.paths), listener.window.table()
        if not paths:
            raise SparkError(_nothing(listener.heard))
        if not live:
            print(_table(table, len(paths)))
    rate = (len(paths) - 1) / (paths[-1].capture_ns - paths[0].capture_ns) * 1e9 if len(paths) > 1 else 0.0
    result = {"seconds": options.seconds, "paths": len(paths), "rate_hz": round(rate, 3), "stages_ms": _rounded(table)}
    if options.out is not None:
        _write(options.out, result, paths)
    if options.json:
        print(json.dumps(result))
    return 0


def _write(folder: str, result: Mapping[str, object], paths: list) -> None:
    from pathlib import Path

    from spark_ros.contracts import SparkError
    from spark_ros.evaluation.trace_plot import plot_trace

    try:
        Path(folder).mkdir(parents=True, exist_ok=True)
        each = [{"capture": path.capture_ns, **path.reached_ns} for path in paths]
        text = json.dumps({**result, "each_ns": each}) + "\n"
        (Path(folder) / "trace.json").write_text(text, encoding="utf-8")
    except OSError as error:
        raise SparkError(f"cannot write into {folder} ({error.strerror}): give another folder") from error
    plot_trace(paths, Path(folder) / "trace.png")
    print(f"{folder}/trace.json, {folder}/trace.png", file=sys.stderr)


def _nothing(heard: int) -> str:
    if not heard:
        return "no node sends stages: start the graph first, and run this with the same ROS_DOMAIN_ID"
    return "no frame has led to a command: engage the policy first (/gateway/engage_policy)"


def _rounded(table: Mapping[str, Mapping[str, float]]) -> dict[str, dict[str, float]]:
    return {stage: {name: round(value, 3) for name, value in row.items()} for stage, row in table.items()}


def _table(table: Mapping[str, Mapping[str, float]], count: int) -> str:
    from spark_ros.runtime.trace import STAGES

    lines = [f"{'stage':14} {'p50':>8} {'p95':>8} {'p99':>8} {'max':>8} ms   {count} commands"]
    for stage, row in table.items():
        numbers = " ".join(f"{row[name]:8.2f}" for name in ("p50", "p95", "p99", "max"))
        lines.append(f"{stage:14} {numbers}      {STAGES.get(stage, 'from capture to command')}")
    return "\n".join(lines)
