"""`spark-ros eval`: how often a policy succeeds, and how fast it is."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from spark_ros.commands.common import Verbs, add_verb, natural, positive

if TYPE_CHECKING:
    from spark_ros.evaluation.results import EpisodeLog, EpisodeResult

DEFAULT_ROBOT = "fr3"
IMAGE_SIZE = 128  # of the simulated cameras, as in config/sim_arm.yaml


def add_to(verbs: Verbs) -> None:
    """Adds the verb."""
    parser = add_verb(
        verbs,
        "eval",
        "count a policy's successes on seeds it never saw, and write a report",
        "Run a policy on N simulated scenes and write report.html and report.json. In process everything runs on one\n"
        "simulated clock: fast, and the same every time. With --through-ros the real nodes run as processes in real\n"
        "time, on a ROS domain of their own. Scenes of evaluations never occur among demonstrations.",
        "An interrupted evaluation goes on where it was when the same command is given again.\n\n"
        "examples:\n"
        "  spark-ros eval --bundle models/fr3_lift --episodes 50 --seed 7 --json\n"
        "  spark-ros eval --bundle models/fr3_lift --through-ros --videos --out out/demo\n"
        "  spark-ros eval --run run --episodes 20          a training run, without exporting it",
    )
    add = parser.add_argument
    who = parser.add_mutually_exclusive_group()
    who.add_argument("--bundle", help="name of a folder in models/, or a path (default: <robot>_lift)")
    who.add_argument("--run", dest="run_dir", metavar="DIR", help="a training run instead, in torch; in process only")
    add("--robot", help=f"the arm that it must drive (default: its own; without it {DEFAULT_ROBOT})")
    add("--checkpoint", choices=("best", "last"), default="best", help="of the training run (default: %(default)s)")
    add("--episodes", type=positive, default=20, help="(default: %(default)s)")
    add("--seed", type=natural, default=0, help="of the first scene; the next ones count up (default: %(default)s)")
    add("--task", default="lift", help="task of the simulated world (default: %(default)s)")
    add("--shift", default="nominal", help="what differs from the scene of training, in process (default: %(default)s)")
    add("--through-ros", action="store_true", help="real nodes, real processes, real time")
    add("--composed", action="store_true", help="with --through-ros: perception, policy, gateway in one process")
    add("--delay-ms", type=float, help="in process: from a frame to its chunk, simulated (default: 60)")
    add("--out", default="out/eval", metavar="DIR", help="where the report goes (default: %(default)s)")
    add("--videos", action="store_true", help="make a video of every episode; the report shows six of them")
    add("--json", action="store_true", help="print one JSON object as the last line of stdout")
    parser.set_defaults(
        run=_run, interrupted="interrupted; finished episodes are kept, the same command goes on with the next one"
    )


@dataclass(frozen=True)
class _Plan:
    """What the two ways of evaluating have in common.

    Attributes:
        pilot: Id of the bundle or run.
        facts: More about it, by heading.
        instruction: What it was trained to do.
        rate_hz: How often it should act.
        latency_of: What the latencies measure.
        settings: Of this way, for the report.
        run: Runs the episodes that the log does not hold.
    """

    pilot: str
    facts: Mapping[str, str]
    instruction: str
    rate_hz: float
    latency_of: str
    settings: Mapping[str, str]
    run: Callable[[EpisodeLog], list[EpisodeResult]]


def _run(options: argparse.Namespace) -> int:
    from spark_ros.evaluation.environment import describe_environment
    from spark_ros.evaluation.report import HTML_FILE, Evaluation, write_report
    from spark_ros.evaluation.results import EpisodeLog
    from spark_ros.evaluation.seeds import evaluation_seeds
    from spark_ros.sim.registry import make_task
    from spark_ros.sim.shifts import make_shift

    shift = make_shift(options.shift)
    seeds = evaluation_seeds(options.seed, options.episodes)
    max_duration_s = make_task(options.task).max_duration_s
    plan = (_through_ros if options.through_ros else _in_process)(options, seeds)
    mode = "through ROS" if options.through_ros else "in process"
    folder = Path(options.out)
    same = {name: getattr(options, name) for name in ("seed", "episodes", "task", "shift", "videos")}
    with EpisodeLog(folder, {"pilot": plan.pilot, "mode": mode, **same, **plan.settings}) as log:
        results = plan.run(log)
        evaluation = Evaluation(
            plan.pilot,
            plan.facts,
            options.task,
            plan.instruction,
            mode,
            plan.latency_of,
            plan.rate_hz,
            max_duration_s,
            describe_environment(options.through_ros),
            _command(options),
            {"scenes": f"seeds {seeds[0]} to {seeds[-1]}", "shift": f"{shift.name}: {shift.text}", **plan.settings},
        )
        report = write_report(folder, evaluation, results)
        log.finish()
    _print_summary(report, folder / HTML_FILE)
    if options.json:
        keys = ("success_rate", "wilson95", "episodes", "latency_ms", "latency_of", "loop", "mode", "pilot")
        print(json.dumps({**{key: report[key] for key in keys}, "task": options.task, "shift": options.shift}))
    return 0


def _in_process(options: argparse.Namespace, seeds: Sequence[int]) -> _Plan:
    from spark_ros.contracts import SparkError
    from spark_ros.evaluation import lockstep
    from spark_ros.evaluation.pilots import bundle_pilot
    from spark_ros.shares import bundle_directory

    if options.composed:
        raise SparkError("--composed chooses how nodes are started: add --through-ros")
    delay_s = lockstep.CHUNK_DELAY_S if options.delay_ms is None else options.delay_ms * 1e-3
    if not 0.0 <= delay_s <= 10.0:
        raise SparkError(f"--delay-ms {options.delay_ms} is not possible: give a number from 0 to 10000")
    if options.run_dir is not None:
        from spark_ros.evaluation.torch_pilot import run_pilot

        pilot = run_pilot(options.run_dir, options.checkpoint)
    else:
        pilot = bundle_pilot(bundle_directory(_bundle(options)))
    _check_robot(options, pilot.id, pilot.robot.name)
    return _Plan(
        pilot.id,
        pilot.description,
        pilot.task,
        pilot.rate_hz,
        lockstep.LATENCY_OF,
        {"simulated delay": f"{1e3 * delay_s:g} ms from the capture of a frame until its chunk is there"},
        lambda log: lockstep.evaluate(
            pilot, seeds, log, options.task, delay_s, IMAGE_SIZE, _videos(options), shift=options.shift
        ),
    )


def _through_ros(options: argparse.Namespace, seeds: Sequence[int]) -> _Plan:
    from spark_ros.bundle.load import load_bundle
    from spark_ros.contracts import SparkError
    from spark_ros.evaluation import through_ros
    from spark_ros.evaluation.pilots import describe_bundle
    from spark_ros.shares import bundle_directory

    if options.run_dir is not None or options.delay_ms is not None:
        raise SparkError("--run and --delay-ms are for evaluations in process: leave out --through-ros")
    if options.shift != "nominal":
        raise SparkError(f"--shift {options.shift} is for evaluations in process: leave out --through-ros")
    bundle = load_bundle(bundle_directory(_bundle(options)))
    manifest = bundle.manifest
    _check_robot(options, manifest.id, bundle.robot.name)
    arguments = {"composed": "true" if options.composed else "false"}

    def run(log: EpisodeLog) -> list[EpisodeResult]:
        logs = Path(options.out) / "logs"
        return through_ros.evaluate(bundle, seeds, log, options.task, _videos(options), logs, arguments)

    return _Plan(
        manifest.id,
        describe_bundle(bundle),
        manifest.task,
        manifest.rate_hz,
        through_ros.LATENCY_OF,
        {"processes": "perception, policy and gateway in one" if options.composed else "one for each node"},
        run,
    )


def _bundle(options: argparse.Namespace) -> str:
    return options.bundle or f"{options.robot or DEFAULT_ROBOT}_lift"


def _check_robot(options: argparse.Namespace, pilot: str, robot: str) -> None:
    from spark_ros.contracts import SparkError

    if options.robot not in (None, robot):
        raise SparkError(f"{pilot} drives {robot}, not --robot {options.robot}: give a bundle or run of that arm")


def _videos(options: argparse.Namespace) -> Path | None:
    from spark_ros.evaluation.report import VIDEO_FOLDER

    return Path(options.out) / VIDEO_FOLDER if options.videos else None


def _command(options: argparse.Namespace) -> str:
    words = ["spark-ros eval"]
    if options.run_dir is not None:
        words.append(f"--run {options.run_dir} --checkpoint {options.checkpoint}")
    else:
        words.append(f"--bundle {_bundle(options)}")
    words.append(f"--task {options.task} --episodes {options.episodes} --seed {options.seed}")
    words += [] if options.shift == "nominal" else [f"--shift {options.shift}"]
    words += [f"--{flag.replace('_', '-')}" for flag in ("through_ros", "composed", "videos") if getattr(options, flag)]
    words += [] if options.delay_ms is None else [f"--delay-ms {options.delay_ms:g}"]
    return " ".join(words)


def _print_summary(report: dict[str, Any], page: Path) -> None:
    low, high = report["wilson95"]
    print(
        f"{report['successes']} of {report['episodes']} succeeded: {report['success_rate']:.0%} "
        f"(95% interval {low:.0%} to {high:.0%})"
    )
    if latency := report["latency_ms"]:
        print(
            f"latency p50 {latency['p50']:.0f}, p95 {latency['p95']:.0f}, p99 {latency['p99']:.0f} ms: "
            f"{report['latency_of']}"
        )
    if loop := report["loop"]:
        print(
            f"loop {loop['rate_hz']:.2f} Hz, p99 {loop['interval_ms']['p99']:.0f} ms between chunks "
            f"(two periods are {2 * loop['period_ms']:.0f} ms)"
        )
    endings: dict[str, int] = {}
    for episode in report["per_episode"]:
        if not episode["success"]:
            endings[episode["ending"]] = endings.get(episode["ending"], 0) + 1
    for ending, count in sorted(endings.items(), key=lambda item: -item[1]):
        print(f"failed {count}x: {ending}")
    print(f"report: {page}")
