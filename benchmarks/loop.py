"""The loop in real time beside the simulator: latency, rate, drops, memory and processor time of the running graph.

    python -m benchmarks.loop [--bundle fr3_lift] [--rounds 3] [--episodes 5] [--quick] [--json] [--save]

The graph runs with a process for each node, and with perception, policy and gateway composed in one process, in turns,
so whatever else the machine does meets both. A round starts the graph, lets the policy do some episodes, and ends it.
A run that was interrupted goes on.

- capture to command: from the capture of a frame to the first command that follows from it.
- interval: between chunks that the arm came to follow; what matters is whether its p99 is within two periods.
- frames: those captured while the policy had the arm, of one camera; which of them no command followed from (a frame
  whose chunk was still being computed when the episode ended is not counted); how many perception had to drop.
- memory: resident, and own (shared pages counted in parts), in MB; share: of one core, while episodes follow episodes.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from diagnostic_msgs.msg import DiagnosticArray
from sensor_msgs.msg import CameraInfo

from benchmarks.common import Rows, entry, finish, make_parser, parse, percentiles, ratios, spread
from spark_ros import topics
from spark_ros.bringup.supervisor import Bringup
from spark_ros.bundle.load import Bundle, load_bundle
from spark_ros.evaluation.results import EpisodeResult
from spark_ros.evaluation.seeds import evaluation_seeds
from spark_ros.evaluation.through_ros import Examiner
from spark_ros.nodes import qos
from spark_ros.nodes.stamps import stamp_ns
from spark_ros.shares import bundle_directory
from spark_ros.sim.registry import make_task

FORMS = {"separate": "false", "composed": "true"}
TASK = "lift"
_TICKS_PER_S = os.sysconf("SC_CLK_TCK")


class Observer(Examiner):
    """An examiner that counts frames as well."""

    def __init__(self, graph: Bringup, max_duration_s: float, camera: str) -> None:
        """Joins the running graph."""
        super().__init__(graph, max_duration_s)
        self._captured: list[int] = []
        self.dropped = 0
        """Frames that perception replaced before it came to encode them, since it started."""
        self._node.create_subscription(CameraInfo, topics.camera_info(camera), self._on_frame, qos.SENSOR)

    def counted_episode(self, seed: int) -> tuple[EpisodeResult, int, int]:
        """The episode, the frames captured while commands followed from frames, and those no command followed from."""
        self._captured.clear()
        result = self.episode(seed)
        followed = {captured for _, captured in self._seen.commands}
        if not followed:
            return result, 0, 0
        during = [stamp for stamp in self._captured if min(followed) <= stamp <= max(followed)]
        return result, len(during), sum(stamp not in followed for stamp in during)

    def _on_frame(self, message: CameraInfo) -> None:
        self._captured.append(stamp_ns(message.header.stamp))

    def _on_diagnostics(self, message: DiagnosticArray) -> None:
        super()._on_diagnostics(message)
        for status in message.status:
            values = {entry.key: entry.value for entry in status.values}
            if status.name == "perception" and "frames dropped" in values:
                self.dropped = int(values["frames dropped"])


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, "one round of two episodes of each form")
    parser.add_argument("--bundle", default="fr3_lift", help="a folder in models/, or a path (default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="of each form (default: %(default)s)")
    parser.add_argument("--episodes", type=int, default=5, help="in a round (default: %(default)s)")
    options = parse(parser)
    rounds, episodes = (1, 2) if options.quick else (options.rounds, options.episodes)

    bundle = load_bundle(bundle_directory(options.bundle))
    setup = {"bundle": bundle.manifest.id, "rounds": rounds, "episodes_per_round": episodes}
    rows = Rows("loop", setup)
    parts: dict[str, list[dict[str, Any]]] = {form: [] for form in FORMS}
    for number in range(rounds):
        seeds = evaluation_seeds(number * episodes, episodes)
        for form in FORMS:
            parts[form].append(rows.get(f"{form} {number}", lambda f=form, s=seeds: measure_round(bundle, f, s)))
    forms = {form: _summary(found, bundle.manifest.rate_hz) for form, found in parts.items()}
    measured: dict[str, Any] = {**setup, "period_ms": 1e3 / bundle.manifest.rate_hz, "forms": forms}
    separate, composed = forms["separate"], forms["composed"]
    measured["composed_over_separate"] = {
        "capture_to_command": ratios(composed["capture_to_command_ms"], separate["capture_to_command_ms"]),
        "interval": ratios(composed["interval_ms"], separate["interval_ms"]),
        "resident": round(composed["total"]["resident_mb"] / separate["total"]["resident_mb"], 3),
        "own": round(composed["total"]["own_mb"] / separate["total"]["own_mb"], 3),
        "core_share": round(composed["total"]["core_share"] / separate["total"]["core_share"], 3),
    }
    finish(options, "loop", measured, _show, ros=True)
    rows.done()


def measure_round(bundle: Bundle, form: str, seeds: Sequence[int]) -> dict[str, Any]:
    """Starts the graph, runs the episodes, ends the graph."""
    arguments = {
        "sim": "true",
        "bundle": str(bundle.folder),
        "robot": bundle.robot.name,
        "task": TASK,
        "seed": str(seeds[0]),
        "domain": "auto",
        "composed": FORMS[form],
    }
    camera = next(iter(bundle.manifest.cameras))
    with tempfile.TemporaryDirectory() as logs, Bringup("manipulation", arguments, log_directory=Path(logs)) as graph:
        graph.wait_ready()
        os.environ.update(graph.environment)  # this process joins the same domain over the same transport
        with Observer(graph, make_task(TASK).max_duration_s, camera) as observer:
            observer.wait_for_graph()
            processes = graph.process_ids
            before, begin = {name: _busy_s(pid) for name, pid in processes.items()}, time.monotonic()
            episodes = [observer.counted_episode(seed) for seed in seeds]
            wall_s = time.monotonic() - begin
            nodes = {
                name: {"core_share": (_busy_s(pid) - before[name]) / wall_s, **_memory_mb(pid)}
                for name, pid in processes.items()
            }
            time.sleep(1.1)  # for the last diagnostics
            dropped = observer.dropped
    return {
        "successes": sum(result.success for result, _, _ in episodes),
        "speed": [result.speed for result, _, _ in episodes],
        "latency_ms": [value for result, _, _ in episodes for value in result.latency_ms],
        "interval_ms": [value for result, _, _ in episodes for value in result.interval_ms],
        "frames": sum(count for _, count, _ in episodes),
        "unfollowed": sum(count for _, _, count in episodes),
        "dropped": dropped,
        "seconds": wall_s,
        "nodes": nodes,
    }


def _busy_s(pid: int) -> float:
    """Seconds of processor time that a process has used."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS_PER_S  # utime, stime: fields 14 and 15 of proc(5)


def _memory_mb(pid: int) -> dict[str, float]:
    """Resident memory, and what of it is its own: a page that n processes share counts as a part of n."""
    found = {}
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="utf-8").splitlines()[1:]:
        name, value = line.split()[:2]
        found[name] = int(value) * 1024 / 1e6
    return {"resident_mb": found["Rss:"], "own_mb": found["Pss:"]}


def _summary(parts: Sequence[Mapping[str, Any]], rate_hz: float) -> dict[str, Any]:
    intervals = [value for part in parts for value in part["interval_ms"]]
    interval_ms, two_periods_ms = percentiles(intervals, 2), 2e3 / rate_hz
    nodes = {
        name: {
            key: round(float(np.mean([part["nodes"][name][key] for part in parts])), 3 if key == "core_share" else 1)
            for key in ("core_share", "resident_mb", "own_mb")
        }
        for name in parts[0]["nodes"]
    }
    total = {key: sum(node[key] for node in nodes.values()) for key in ("core_share", "resident_mb", "own_mb")}
    return {
        "episodes": sum(len(part["speed"]) for part in parts),
        "successes": sum(part["successes"] for part in parts),
        "chunks": sum(len(part["latency_ms"]) for part in parts),
        "capture_to_command_ms": percentiles((value for part in parts for value in part["latency_ms"]), 2),
        "interval_ms": interval_ms,
        "interval_over_two_periods": ratios(interval_ms, dict.fromkeys(interval_ms, two_periods_ms)),
        "sustained": bool(interval_ms) and interval_ms["p99"] <= two_periods_ms,
        "chunk_rate_hz": round(1e3 / float(np.mean(intervals)), 3) if intervals else 0.0,
        "frames": sum(part["frames"] for part in parts),
        "frames_unfollowed": sum(part["unfollowed"] for part in parts),
        "frames_dropped_by_perception": sum(part["dropped"] for part in parts),
        "real_time_factor": round(float(np.mean([value for part in parts for value in part["speed"]])), 3),
        "nodes": nodes,
        "total": {key: round(value, 3) for key, value in total.items()},
    }


def _show(measured: Mapping[str, Any]) -> None:
    print(f"two periods are {2 * measured['period_ms']:.0f} ms; percentiles are p50 / p95 / p99")
    for form, row in measured["forms"].items():
        print(f"{form}: {row['successes']} of {row['episodes']} episodes succeeded, {row['chunks']} chunks")
        print(f"  capture to command  {spread(row['capture_to_command_ms'], 1)} ms")
        print(f"  interval            {spread(row['interval_ms'], 1)} ms, {row['chunk_rate_hz']:.2f} chunks per second")
        print(
            f"  frames              {row['frames']}, {row['frames_unfollowed']} without a command, "
            f"{row['frames_dropped_by_perception']} dropped by perception"
        )
        for name, node in {**row["nodes"], "total": row["total"]}.items():
            print(
                f"  {name:19} {node['core_share']:5.0%} of a core, {node['resident_mb']:5.0f} MB resident, "
                f"{node['own_mb']:5.0f} MB own"
            )
    latency = spread(measured["composed_over_separate"]["capture_to_command"])
    print(
        f"composed over separate: capture to command {latency}, own memory "
        f"{measured['composed_over_separate']['own']:.2f}"
    )


if __name__ == "__main__":
    entry(main)
