"""Speed and memory of SPARK post-training on this machine, and whether reading video is hidden behind the arithmetic.

    python -m benchmarks.training [--config config/train_encoder.yaml] [--demos FOLDER] [--quick] [--json] [--save]

Each form trains for some steps in a process of its own: as configured, the same with frames read between the steps
(workers=0), and with the other scopes of adaptation. A step is everything from asking for a batch to the averaged
weights; compute is the part of it inside forward and backward, wait the part spent on the batch. The utilisation is the
matrix products of a pair, counted from the shapes, over the fastest large matrix product that this machine did before.
Without --demos, demonstrations of the simulated lift task are recorded first.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import tempfile
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

from benchmarks.common import entry, finish, make_parser, parse, percentiles, ratios, spread
from spark_ros.evaluation.demos import DemoOptions, record_demos
from spark_ros.shares import config_file

FORMS = {
    "frames read between steps": "workers=0",
    "scope full": "spark.adaptation=full",
    "scope last": "spark.adaptation=last",
    "scope lora": "spark.adaptation=lora",
}
DEMOS, QUICK_DEMOS = 12, 2  # episodes, of which one is held out
WARM_UP = 2  # steps that find cold caches and are not counted


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, f"{QUICK_DEMOS} demonstrations and a few steps of each form")
    add = parser.add_argument
    add("--config", help="YAML file of `spark-ros train encoder` (default: the package's config/train_encoder.yaml)")
    add("--demos", help="folder of video (default: recorded for the purpose)")
    add("--steps", type=int, default=60, help="steps of each form that count (default: %(default)s, quick: 4)")
    options = parse(parser)
    steps = 4 if options.quick else options.steps

    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as `spark-ros train` has it, for the processes to come
    config = options.config or str(config_file("train_encoder.yaml"))
    with tempfile.TemporaryDirectory() as folder:
        demos = options.demos or f"{folder}/demos"
        if options.demos is None:
            record_demos(demos, QUICK_DEMOS if options.quick else DEMOS, DemoOptions(perturbed_share=0.0))
        shared = [f"data.folders=[{demos}]", f"cache_dir={folder}/frames", f"out_dir={folder}/run"]
        configured = _alone(config, shared, steps)
        others = [
            {"form": name, **_alone(config, [*shared, override], steps)}
            for name, override in FORMS.items()
            if override != f"spark.adaptation={configured['adaptation']}"  # it was measured just now
        ]
    forms = [{"form": "as configured", **configured}, *others]
    measured = {"config": Path(config).name, "steps": steps, **configured}
    measured["forms"] = [{**form, "step_ratio": ratios(form["step_ms"], configured["step_ms"])} for form in forms]
    finish(options, "training", measured, _show)


def measure(config_path: str, overrides: Sequence[str], steps: int) -> dict[str, Any]:
    """Trains for `steps` steps after `WARM_UP`, in a run directory that is thrown away."""
    import torch

    from spark_ros.training.distributed import World
    from spark_ros.training.encoder_config import load_encoder_config
    from spark_ros.training.encoder_loop import EncoderTrainer
    from spark_ros.training.encoder_setup import prepare_encoder
    from spark_ros.training.run_directory import RunDirectory

    config = load_encoder_config(config_path, overrides)
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    run, world = RunDirectory(config.out_dir), World(device=config.device)
    with run.owned():
        setup = prepare_encoder(config, run, world, lambda: False)
        trainer = EncoderTrainer(config, run, setup, world, time.monotonic())
        batches = iter(trainer.batches(0, WARM_UP + steps))
        times = [trainer.step(batches) for _ in range(WARM_UP + steps)][WARM_UP:]
    total_s = sum(step.total_s for step in times)
    rate = steps * config.optimiser.batch_size / total_s
    return {
        "adaptation": config.spark.adaptation,
        "image_size": config.spark.image_size,
        "batch_size": config.optimiser.batch_size,
        "workers": config.workers,
        "step_ms": percentiles((1e3 * step.total_s for step in times), 1),
        "compute_share": round(sum(step.compute_s for step in times) / total_s, 3),
        "wait_share": round(sum(step.wait_s for step in times) / total_s, 3),
        "samples_per_s": round(rate, 1),
        "mfu": round(trainer.utilisation(rate), 4),
        "gflop_per_pair": round(trainer.flops_per_pair / 1e9, 2),
        "peak_gflop_per_s": round(trainer.peak_flops / 1e9, 1),
        "precision": trainer.precision,
        "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
    }


def _alone(config: str, overrides: Sequence[str], steps: int) -> dict[str, Any]:
    """`measure` in a new process, whose peak of memory is its own."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(measure, config, overrides, steps).result()


def _show(measured: Mapping[str, Any]) -> None:
    print(f"{measured['config']}: {measured['image_size']} px, batches of {measured['batch_size']}, ", end="")
    print(f"{measured['precision']}, peak {measured['peak_gflop_per_s']:.0f} GFLOP/s")
    columns = f"{'step ms p50 / p95 / p99':>24} {'compute':>7} {'wait':>6} {'pairs/s':>7} {'MFU':>6} {'RSS MB':>6}"
    print(f"{'form':28} {columns}")
    for row in measured["forms"]:
        print(
            f"{row['form']:28} {spread(row['step_ms'], 0):>24} {row['compute_share']:7.1%} {row['wait_share']:6.1%} "
            f"{row['samples_per_s']:7.1f} {row['mfu']:6.1%} {row['rss_mb']:6}"
        )


if __name__ == "__main__":
    entry(main)
