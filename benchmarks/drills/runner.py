"""Runs drills, one after the other, in a graph that stays up between them."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime
from functools import partial
from typing import Any

from benchmarks.common import ROOT
from benchmarks.drills.analysis import Arm, Peaks, Stop, arm, peaks, same_commands, stop
from benchmarks.drills.rig import Rig
from benchmarks.drills.scene import Scene
from benchmarks.drills.table import OWN_CLOCK, Drill
from benchmarks.drills.tape import read_tape
from spark_ros import topics
from spark_ros.contracts import SparkError
from spark_ros.control.config import GatewayConfig

GRAPHS = {
    "lift": ("manipulation", {"robot": "fr3", "record": "true"}),
    OWN_CLOCK: ("manipulation", {"robot": "fr3", "record": "true"}),
    "trajectories": ("teleop", {"robot": "fr3", "arm_interface": "joint_trajectory"}),
    "ur5e": ("teleop", {"robot": "ur5e"}),
}
PERIOD_S = GatewayConfig().period_s
LEAD_IN_S = 0.3  # of motion before the fault
SETTLE_S = 6.0
MENDED_S = 0.2  # until what was broken on the way has arrived; no person engages faster
AFTER_S = 0.3  # of rest, to see that it lasts
ATTEMPTS = 3  # a busy machine may stop the policy before the drill does, or the observer
LATE_PERIODS = 2.0
OVER_LIMIT = 1.02  # the time between two commands is known that well
HURRIED_MS = 40.0  # what the observer may have waited for a processor at the end of a tape

Row = dict[str, Any]
Keep = Callable[[str, Callable[[], Row]], Row]


def run_all(chosen: Sequence[Drill], runs: int, bundle: str, keep: Keep) -> list[Row]:
    """All runs of the drills.

    Args:
        chosen: The drills; those of one graph after each other.
        runs: Of each.
        bundle: The policy's.
        keep: Called with a key and what makes the row; may know it already.

    Returns:
        A row for each run, with the drill's name.

    Raises:
        SparkError: Bad arguments of a graph.
    """
    rows: list[Row] = []
    for graph in dict.fromkeys(drill.graph for drill in chosen):
        with _Stage(graph, bundle) as stage:
            for drill in (drill for drill in chosen if drill.graph == graph):
                rows += [keep(f"{drill.name} {number}", partial(stage.run, drill)) for number in range(runs)]
    return rows


class _Stage:
    """A graph that is started for its first drill, and started over where a drill has wrecked it."""

    def __init__(self, graph: str, bundle: str) -> None:
        self._graph_name, arguments = GRAPHS[graph]
        self._arguments = {**arguments, "sim": "true", "task": "lift"}
        if self._graph_name == "manipulation":
            self._arguments["bundle"] = bundle
        self._scene: Scene | None = None
        self._rig: Rig | None = None
        self._own_clock = graph == OWN_CLOCK

    def __enter__(self) -> _Stage:
        return self

    def __exit__(self, *_: object) -> None:
        self._down()

    def run(self, drill: Drill) -> Row:
        problem = ""
        for attempt in range(ATTEMPTS):
            try:
                scene = self._up()
                row = run_drill(scene, drill)
            except SparkError as error:  # nothing of it may be left behind: the next attempt begins afresh
                print(f"{drill.name}: attempt {attempt + 1} failed: {error}", flush=True)
                self._down()
                problem = str(error)
                continue
            if not row["recovered"]:
                self._down()
            return {**row, "attempts": attempt + 1}
        return _not_run(drill, problem)

    def _up(self) -> Scene:
        if self._scene is None:
            folder = ROOT / "out" / "drills" / f"{datetime.now():%Y-%m-%d-%H-%M-%S}"
            folder.mkdir(parents=True)
            arguments = {**self._arguments, "folder": str(folder / "demos")}
            self._rig = Rig(folder, self._graph_name, arguments, self._own_clock)
            try:
                self._rig.wait_ready()
                self._scene = Scene(self._rig, self._arguments["robot"])
                self._scene.wait_for_graph()
            except BaseException:
                self._down()
                raise
        return self._scene

    def _down(self) -> None:
        if self._scene is not None:
            self._scene.__exit__()
        if self._rig is not None:
            self._rig.close()
        self._scene, self._rig = None, None


def run_drill(scene: Scene, drill: Drill) -> Row:
    """One run: into motion, the fault, the stop, the remedy.

    Raises:
        SparkError: The drill could not begin, or the machine stood still meanwhile.
    """
    joints = len(scene.spec.joint_names)
    offset = _into_motion(scene, drill)
    before = time.monotonic_ns()
    happened = drill.inject(scene)
    fault = happened if isinstance(happened, int) else before
    if drill.stops and drill.commanded:
        scene.settle([drill.ends_in.value], SETTLE_S)
        time.sleep(AFTER_S)
    else:
        time.sleep(drill.watch_s)
    mode, reason = scene.mode, scene.reason()
    tape = read_tape(scene.rig.observed, joints, offset)
    if tape.blind_ms > 0:
        raise SparkError(f"the observer itself did not run for {tape.blind_ms:.0f} ms: nothing can be said of this run")
    begin = time.monotonic()
    problem = _recover(scene, drill)
    recovery_s = time.monotonic() - begin
    stopped = Stop(None, None, None)
    if drill.stops and drill.commanded:
        stopped = stop(tape, fault, drill.notice and drill.notice.value, scene.spec, PERIOD_S)
    row: Row = {
        "drill": drill.name,
        "mode": mode,
        "reason": reason,
        **asdict(stopped),
        "commands": asdict(peaks(tape, scene.spec, PERIOD_S)),
        "as_stated": same_commands(tape),
        "arm": asdict(arm(tape, fault, scene.spec, PERIOD_S)),
        "recovered": problem is None,
        "problem": problem,
        "recovery_s": round(recovery_s, 2),
        "hurt": scene.rig.gone(),
    }
    return {**row, "complaints": judge(row, drill)}


def judge(row: Mapping[str, Any], drill: Drill) -> list[str]:
    """What was not as it should be, in words."""
    found = []
    expected = drill.ends_in.value
    if drill.commanded and row["mode"] != expected:
        found.append(f"the gateway was in {row['mode']}, not in {expected}: {row['reason']}")
    if drill.stops and drill.commanded:
        if row["rest_ms"] is None and not row["ceased"]:
            found.append("the commands did not come to rest")
        elif not row["ceased"] and row["brakes_periods"] > LATE_PERIODS:
            found.append(f"braking began {row['brakes_periods']:.1f} periods after the detection")
        if row["detected_ms"] is not None and row["detected_ms"] > drill.within_ms:
            found.append(f"noticed after {row['detected_ms']:.0f} ms, more than {drill.within_ms:.0f} ms")
    if (not drill.commanded or row["ceased"]) and row["arm"]["rest_ms"] is None:
        found.append("the arm did not come to rest")
    for what in ("velocity", "acceleration", "jerk"):
        if row["commands"][what] > OVER_LIMIT:
            found.append(f"commands asked for {row['commands'][what]:.2f} times the arm's {what}")
    if row["commands"]["hurried_ms"] > HURRIED_MS:
        found.append(
            f"commands took {row['commands']['hurried_ms']:.0f} ms more than passed: stated velocities are wrong"
        )
    if not row["as_stated"]:
        found.append(f"the arm received commands that {topics.GATEWAY_SETPOINT} does not state")
    if not row["recovered"]:
        found.append(f"the remedy did not help: {row['problem']}")
    for name, how in row["hurt"].items():
        found.append(f"{name} ended: {how}")
    return found


def _not_run(drill: Drill, problem: str) -> Row:
    """The row of a drill that could not even begin, so that the others go on."""
    return {
        "drill": drill.name,
        "mode": "not run",
        "reason": problem,
        **asdict(Stop(None, None, None)),
        "commands": asdict(Peaks(0.0, 0.0, 0.0, 0.0, 0.0, 0.0)),
        "as_stated": True,
        "arm": asdict(Arm(None, 0.0, 0.0, 0.0, 0.0)),
        "recovered": False,
        "problem": problem,
        "recovery_s": None,
        "hurt": {},
        "complaints": [f"could not be run: {problem}"],
        "attempts": ATTEMPTS,
    }


def _into_motion(scene: Scene, drill: Drill) -> int:
    """Motion, and whatever the drill needs before; where the observer's file was then."""
    scene.under_way(drill.drives)
    drill.prepare(scene)
    scene.under_way(drill.drives)
    offset = scene.rig.observed.stat().st_size
    time.sleep(LEAD_IN_S)
    if scene.mode != drill.drives.value:
        raise SparkError(f"the gateway went to {scene.mode} before anything was broken: is the machine too busy?")
    return offset


def _recover(scene: Scene, drill: Drill) -> str | None:
    """Follows the remedy to the letter; why the arm does not move after it, else None."""
    try:
        drill.mend(scene)
        time.sleep(MENDED_S)
        if not drill.stops:
            return None
        scene.wait_for_input(drill.drives)
        if drill.reset:
            scene.insist(topics.GATEWAY_RESET)
        if drill.notice is None and drill.commanded:
            scene.wait_for_motion()
        else:
            scene.resume(drill.drives)
    except SparkError as error:
        return str(error)
    return None
