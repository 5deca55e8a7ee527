from __future__ import annotations

import csv
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from tiny_vit import write_tiny_vit

from spark_ros.contracts import SparkError
from spark_ros.encoders.registry import build_encoder
from spark_ros.encoders.spark import SparkModel
from spark_ros.training.encoder_config import EncoderTrainingConfig, load_encoder_config
from spark_ros.training.encoder_loop import train_encoder
from spark_ros.training.interrupt import Interrupted

MEASURED = ("minutes", "samples_per_s", "mfu", "compute_share", "wait_share", "rss_mb")  # which no two runs share

SLOW_RUN = """
import sys, time
from spark_ros.encoders.spark import SparkModel
from spark_ros.training.encoder_config import load_encoder_config
from spark_ros.training.encoder_loop import train_encoder
forward = SparkModel.forward
def slowly(*arguments, **views):
    time.sleep(0.03)
    return forward(*arguments, **views)
SparkModel.forward = slowly
train_encoder(load_encoder_config(None, sys.argv[1:]))
"""

WHOLE_RUN = """
import sys
from spark_ros.training.encoder_config import load_encoder_config
from spark_ros.training.encoder_loop import train_encoder
train_encoder(load_encoder_config(None, sys.argv[1:]))
"""

GRADIENTS = """
import sys, time
import torch
from safetensors.torch import save_file
from spark_ros.training.distributed import open_world
from spark_ros.training.encoder_config import load_encoder_config
from spark_ros.training.encoder_loop import EncoderTrainer
from spark_ros.training.encoder_setup import prepare_encoder
from spark_ros.training.run_directory import RunDirectory
def write_gradients(config, world):
    run = RunDirectory(config.out_dir)
    run.path.mkdir(exist_ok=True)
    setup = prepare_encoder(config, run, world, lambda: False)
    trainer = EncoderTrainer(config, run, setup, world, time.monotonic())
    losses = trainer.losses(next(iter(trainer.batches(3, 4))))
    losses.total.backward()
    (total,) = world.mean([losses.total.item()])
    gradients = {name: p.grad for name, p in setup.model.named_parameters() if p.grad is not None}
    if world.first:
        save_file({**gradients, "loss": torch.tensor(total)}, run.path / "gradients.safetensors")
torch.set_num_threads(1)
with open_world("cpu") as world:
    write_gradients(load_encoder_config(None, sys.argv[1:]), world)
"""

INTERRUPTED = """
import sys
from spark_ros.training import encoder_loop
from spark_ros.training.encoder_config import load_encoder_config
from spark_ros.training.interrupt import Interrupted
class Trainer(encoder_loop.EncoderTrainer):
    def run(self, stop):
        self.losses(next(iter(self.batches(0, 1)))).total.backward()
        raise Interrupted("as by Ctrl-C")
encoder_loop.EncoderTrainer = Trainer
try:
    encoder_loop.train_encoder(load_encoder_config(None, sys.argv[1:]))
except Interrupted:
    pass
"""

# One that is left over aborts the process, at times, when Python ends.
NO_THREAD_OF_GLOO_IS_LEFT = """
names = {path.read_text() for path in Path("/proc/self/task").glob("*/comm")}
assert not any("gloo" in name for name in names), names
"""


@pytest.fixture(scope="session")
def tiny_vit(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_tiny_vit(tmp_path_factory.mktemp("vit") / "tiny")


@pytest.fixture
def overrides(demos: Path, feature_cache: Path, tiny_vit: Path, tmp_path: Path) -> Callable[..., list[str]]:
    """A run of seconds: two small blocks on 28 px images, neither probes nor pictures."""

    def make(name: str, *more: str) -> list[str]:
        return [
            f"out_dir={tmp_path / name}",
            f"data.folders=[{demos}]",
            f"cache_dir={feature_cache}",
            f"spark.weights=hf:{tiny_vit}",
            "spark.image_size=28",
            "spark.depth=2",
            "spark.mask_ratio=0.5",
            "spark.decoder_width=32",
            "spark.decoder_depth=1",
            "spark.decoder_heads=2",
            "optimiser.batch_size=8",
            "optimiser.max_steps=40",
            "optimiser.warmup_steps=5",
            "validation_pairs=16",
            "evaluate_every=10",
            "probe_every=0",
            "threads=1",
            *more,
        ]

    return make


@pytest.fixture
def make_config(overrides) -> Callable[..., EncoderTrainingConfig]:
    return lambda name, *more: load_encoder_config(None, overrides(name, *more))


def curve(run_dir: Path) -> list[dict[str, str]]:
    with (run_dir / "metrics.csv").open() as file:
        return [{key: value for key, value in row.items() if key not in MEASURED} for row in csv.DictReader(file)]


def student(run_dir: Path) -> dict[str, torch.Tensor]:
    return load_file(run_dir / "encoder.safetensors")


def run_alone(script: str, overrides: list[str], processes: int = 1) -> None:
    """Runs a program, with several processes as torchrun does; two programs at a time never share a port."""
    torchrun = ["-m", "torch.distributed.run", "--standalone", f"--nproc-per-node={processes}"]
    path = Path(overrides[0].partition("=")[2] + ".py")
    path.write_text(f"from pathlib import Path\n{script}{NO_THREAD_OF_GLOO_IS_LEFT}")
    command = [sys.executable, *(torchrun if processes > 1 else []), str(path), *overrides]
    answer = subprocess.run(command, capture_output=True, text=True, env={**os.environ, "OMP_NUM_THREADS": "1"})
    assert answer.returncode == 0, answer.stderr[-3000:]


def test_a_run_leaves_an_encoder_its_curves_probes_and_pictures(make_config) -> None:
    run_dir = train_encoder(make_config("run", "probe_every=null"))
    for name in ("config.yaml", "run.json", "metrics.csv", "curves.png", "probes.csv", "pictures/patch_pca.png"):
        assert (run_dir / name).stat().st_size > 0
    rows = curve(run_dir)
    assert [int(row["step"]) for row in rows] == [10, 20, 30, 40]
    assert float(rows[-1]["val_loss"]) < float(rows[0]["val_loss"])
    assert float(rows[-1]["val_loss"]) == pytest.approx(
        float(rows[-1]["val_dynamics"]) + float(rows[-1]["val_preserve"]), rel=1e-5
    )
    encoder = build_encoder({"name": "spark", "weights": str(run_dir)})
    assert encoder(torch.zeros(1, 3, 28, 28)).shape == (1, 1, 32)
    with (run_dir / "probes.csv").open() as file:
        probes = {row["probe"]: float(row["value"]) for row in csv.DictReader(file)}
    assert 0.5 < probes["patch_cosine"] <= 1.0


def test_the_speed_of_a_run_is_in_its_metrics(make_config) -> None:
    run_dir = train_encoder(make_config("run", "optimiser.max_steps=10"))
    with (run_dir / "metrics.csv").open() as file:
        (row,) = csv.DictReader(file)
    assert float(row["samples_per_s"]) > 0 and 0 < float(row["mfu"]) < 1 and float(row["rss_mb"]) > 50
    assert 0 < float(row["compute_share"]) <= 1 - float(row["wait_share"]) <= 1


def test_a_killed_run_continues_along_the_same_curve(overrides, tmp_path: Path) -> None:
    train_encoder(load_encoder_config(None, overrides("whole")))
    process = subprocess.Popen(
        [sys.executable, "-c", SLOW_RUN, *overrides("killed")], stderr=subprocess.PIPE, text=True
    )
    metrics = tmp_path / "killed" / "metrics.csv"
    deadline = time.monotonic() + 240  # for a busy machine; otherwise some seconds
    while not metrics.exists() or len(metrics.read_text().splitlines()) < 3:
        assert process.poll() is None and time.monotonic() < deadline, process.stderr.read()
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert len(curve(tmp_path / "killed")) < 4
    train_encoder(load_encoder_config(None, overrides("killed")))
    assert curve(tmp_path / "killed") == curve(tmp_path / "whole")
    killed, whole = student(tmp_path / "killed"), student(tmp_path / "whole")
    assert all(torch.equal(killed[name], whole[name]) for name in whole)


@pytest.mark.parametrize("adaptation", ["last", "lora"])
def test_an_interrupted_run_is_saved_and_continues(make_config, tmp_path: Path, monkeypatch, adaptation: str) -> None:
    scope = (f"spark.adaptation={adaptation}", "spark.last_blocks=1", "optimiser.max_steps=20")
    train_encoder(make_config("whole", *scope))
    forward, calls = SparkModel.forward, []

    def interrupting(model, *arguments, **views):
        calls.append(1)
        if len(calls) == 7:
            os.kill(os.getpid(), signal.SIGINT)
        return forward(model, *arguments, **views)

    monkeypatch.setattr(SparkModel, "forward", interrupting)
    with pytest.raises(Interrupted, match="stopped at step 7 of 20 and was saved"):
        train_encoder(make_config("stopped", *scope))
    train_encoder(make_config("stopped", *scope))
    assert curve(tmp_path / "stopped") == curve(tmp_path / "whole")


def test_a_loss_that_is_not_finite_names_the_clips_and_keeps_the_last_good_state(make_config, monkeypatch) -> None:
    forward, calls = SparkModel.forward, []

    def breaks_late(model, *arguments, **targets):
        losses = forward(model, *arguments, **targets)
        calls.extend([1] if model.training else [])
        if model.training and len(calls) == 16:
            losses.terms["dynamics"][2] *= torch.nan
            return type(losses)(losses.total * torch.nan, losses.terms)
        return losses

    monkeypatch.setattr(SparkModel, "forward", breaks_late)
    config = make_config("run")
    with pytest.raises(
        SparkError, match=r"not finite at step 15 with samples of \S*episode_\d+\.mcap \w+: .*last good"
    ):
        train_encoder(config)
    assert all(
        torch.isfinite(v).all() for v in load_file(Path(config.out_dir) / "checkpoints/last.safetensors").values()
    )
    monkeypatch.undo()
    assert len(curve(train_encoder(config))) == 4


def test_another_configuration_is_refused_and_the_key_named(make_config) -> None:
    train_encoder(make_config("run", "optimiser.max_steps=10"))
    with pytest.raises(SparkError, match=r"was made with spark.mask_ratio=0.5, this run has 0.75: .*another out_dir"):
        train_encoder(make_config("run", "optimiser.max_steps=10", "spark.mask_ratio=0.75"))
    train_encoder(make_config("run", "optimiser.max_steps=10", "workers=0"))  # how frames are read is nobody's business


def test_a_run_that_ended_before_its_encoder_was_written_writes_it(make_config) -> None:
    config = make_config("run", "optimiser.max_steps=10")
    run_dir = train_encoder(config)
    before = student(run_dir)
    (run_dir / "encoder.safetensors").unlink()
    train_encoder(config)
    after = student(run_dir)
    assert all(torch.equal(after[name], before[name]) for name in before)


@pytest.mark.parametrize("scope", ["full", "lora"])
def test_two_processes_give_the_gradients_and_the_loss_of_one(overrides, tmp_path: Path, scope: str) -> None:
    more = (f"spark.adaptation={scope}", "optimiser.precision=fp32", "spark.motion_weight=1.0")
    run_alone(GRADIENTS, overrides("one", *more))
    run_alone(GRADIENTS, overrides("two", *more), processes=2)
    one, two = (load_file(tmp_path / name / "gradients.safetensors") for name in ("one", "two"))
    assert one.keys() <= two.keys()  # DistributedDataParallel gives zeros to what is not used
    for name, value in two.items():
        expected = one.get(name, torch.zeros_like(value))
        torch.testing.assert_close(value, expected, rtol=1e-4, atol=1e-7, msg=lambda text, name=name: f"{name}: {text}")


def test_two_processes_train_one_model_and_write_one_run(overrides, tmp_path: Path) -> None:
    more = ("optimiser.precision=fp32", "optimiser.max_steps=10", "evaluate_every=5")
    train_encoder(load_encoder_config(None, overrides("one", *more)))
    run_alone(WHOLE_RUN, overrides("two", *more), processes=2)
    one, two = curve(tmp_path / "one"), curve(tmp_path / "two")
    for row, other in zip(one, two, strict=True):
        assert {key: float(value) for key, value in other.items()} == pytest.approx(
            {key: float(value) for key, value in row.items()}, rel=1e-3
        )
    assert student(tmp_path / "two").keys() == student(tmp_path / "one").keys()


def test_two_processes_that_are_interrupted_end_in_peace(overrides) -> None:
    run_alone(INTERRUPTED, overrides("stopped"), processes=2)
