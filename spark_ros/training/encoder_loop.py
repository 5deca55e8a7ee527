"""SPARK post-training: ``train_encoder`` from video to an encoder."""

from __future__ import annotations

import copy
import resource
import time
from collections.abc import Iterator
from dataclasses import asdict
from pathlib import Path

import torch
from torch import Tensor
from torch.nn.parallel import DistributedDataParallel

from spark_ros.contracts import SparkError
from spark_ros.encoders.base import bfloat16_is_native, normalise_images
from spark_ros.encoders.spark import SparkLosses, SparkModel
from spark_ros.encoders.spark_encoder import FILE_NAME, save_encoder
from spark_ros.training.distributed import World, open_world
from spark_ros.training.encoder_config import EncoderTrainingConfig
from spark_ros.training.encoder_setup import EncoderSetup, prepare_encoder
from spark_ros.training.flops import flops_per_pair, measure_peak
from spark_ros.training.interrupt import Interrupted, InterruptFlag
from spark_ros.training.metrics import MetricsFile, Panel, plot_curves
from spark_ros.training.optimisation import step_seed
from spark_ros.training.pairs import PairBatch, recolour
from spark_ros.training.run_directory import RunDirectory
from spark_ros.training.trainer import Schedule, StepLosses, Trainer

VALIDATION_BATCH = 64  # pairs; whatever the batch and the number of processes, so that curves can be compared
SPEED = ("samples_per_s", "mfu", "compute_share", "wait_share", "rss_mb")


def train_encoder(config: EncoderTrainingConfig) -> Path:
    """Train, or continue a run that was stopped; under `torchrun` together with the other processes.

    Args:
        config: The run; calling again with the same one continues it, and returns at once when it is finished.

    Returns:
        The run directory, which then holds ``encoder.safetensors``, ``curves.png`` and ``pictures/``.

    Raises:
        SparkError: The data, the configuration or the directory does not fit, or the loss is not finite.
        Interrupted: Ctrl-C; the state is saved.
    """
    started = time.monotonic()
    if config.threads is not None:
        torch.set_num_threads(config.threads)
    run = RunDirectory(config.out_dir)
    with open_world(config.device) as world, InterruptFlag() as interrupt:
        if not world.first:
            world.wait()  # until the first process owns the directory and finds the configuration to be that of the run
            _train(config, run, world, interrupt, started)
            return run.path
        with run.owned():
            run.check_config(config)
            world.wait()
            _train(config, run, world, interrupt, started)
    return run.path


def _train(
    config: EncoderTrainingConfig, run: RunDirectory, world: World, interrupt: InterruptFlag, started: float
) -> None:
    setup = prepare_encoder(config, run, world, lambda: interrupt.raised)
    if any(world.largest([float(interrupt.raised)])):
        raise Interrupted("training stopped before its first step: run the same command to start again")
    EncoderTrainer(config, run, setup, world, started).run(lambda: interrupt.raised)


class EncoderTrainer(Trainer[PairBatch, SparkModel]):
    """One session of a run.

    Args:
        config: The run.
        run: Its directory.
        setup: Data and model.
        world: The processes that train together.
        started: `time.monotonic()` when the session began.

    Attributes:
        precision: Of the matrix products, ``bf16`` or ``fp32``.
        flops_per_pair: Arithmetic of a pair of frames, see `flops`.
        peak_flops: Operations per second of this process's large matrix products, measured now.

    Raises:
        SparkError: The batch does not divide by the processes, or they see different checkpoints.
    """

    def __init__(
        self, config: EncoderTrainingConfig, run: RunDirectory, setup: EncoderSetup, world: World, started: float
    ) -> None:
        self._config, self._setup = config, setup
        options = config.optimiser
        if options.batch_size % world.size:
            raise SparkError(
                f"optimiser.batch_size is {options.batch_size}, which {world.size} processes cannot share equally: "
                f"use a multiple of {world.size}"
            )
        groups = setup.model.parameter_groups(
            options.learning_rate, options.weight_decay, options.layer_decay, options.backbone_scale
        )
        # Fused: one pass over the numbers instead of a dozen, which on a CPU is a tenth of a step.
        optimiser = torch.optim.AdamW(groups, betas=(0.9, 0.99), fused=True)
        schedule = Schedule(options, config.seed, config.evaluate_every, started)
        super().__init__(run, schedule, setup.model, optimiser, world)
        self._check_same_step()
        # Registers that a model does not have and terms that are switched off leave parameters without a gradient.
        self._forward = (
            DistributedDataParallel(self.model, find_unused_parameters=True) if world.size > 1 else self.model
        )
        bfloat16 = options.precision == "bf16" and bfloat16_is_native(torch.device(world.device).type)
        self.precision = "bf16" if bfloat16 else "fp32"
        self.flops_per_pair = flops_per_pair(self.model)
        self.peak_flops = measure_peak(world.device, torch.bfloat16 if bfloat16 else torch.float32)
        terms = self._terms
        losses = [f"{part}_{name}" for part in ("train", "val") for name in ("loss", *terms)]
        self._metrics = MetricsFile(run.metrics, ["step", "minutes", "learning_rate", *losses, *SPEED])
        self._probes = MetricsFile(run.path / "probes.csv", ["step", "probe", "value"])

    def batches(self, first: int, end: int) -> Iterator[PairBatch]:
        """The batches of steps `first` to `end` - 1; of several processes, each has its own part of them."""
        if self._world.first:
            self._metrics.truncate(first)
            self._probes.truncate(first)
        size, rank, world = self._options.batch_size, self._world.rank, self._world.size
        return self._setup.training.prefetch(size, first, end, rank, world, self._config.workers)

    def losses(self, batch: PairBatch) -> StepLosses:
        """What is to be minimised."""
        generator = torch.Generator().manual_seed(step_seed(self._schedule.seed, self.progress.step))
        if self._world.rank:  # what the processes before this one draw, so that together they draw as one alone would
            torch.rand(self._world.rank * len(batch.now), self.model.student.config.grid**2, generator=generator)
        losses = self._losses(self._forward, batch, generator)
        samples = torch.stack([*losses.terms.values()]).sum(dim=0)
        return StepLosses(losses.total, samples, {name: term.mean() for name, term in losses.terms.items()})

    def sources(self, batch: PairBatch, chosen: Tensor) -> list[str]:
        """Names of the clips from which the `chosen` pairs of a batch come."""
        return [batch.names[clip] for clip in batch.clip[chosen.numpy()]]

    def evaluate(self, finished: bool) -> str:
        """Validate, write rows of metrics and probes, save a checkpoint; what the progress bar shows then."""
        row = {**self.row(), **self._validate(), **self._speed()}
        self.progress.begin_row()
        # The row goes first: one beyond the checkpoint is cut off when the run continues, a missing one stays missing.
        self._metrics.append(row)
        every = self._config.probe_every
        if every != 0 and (finished or (every is not None and self.progress.step % every == 0)):
            self._probe()
        self.save("last")
        self._plot()
        return f"loss {row['val_loss']:.4f}, {row['samples_per_s']:.0f} pairs/s, MFU {row['mfu']:.0%}"

    def finish(self) -> None:
        """The encoder for the robot."""
        config = self._config
        facts = {
            "steps": self.progress.step,
            "seed": config.seed,
            "folders": list(config.data.folders),
            "clips": len(self._setup.training.names),
            "optimiser": asdict(config.optimiser),
        }
        save_encoder(self.average, self._run.path / FILE_NAME, facts)

    @property
    def complete(self) -> bool:
        """Whether `finish` was reached before."""
        return (self._run.path / FILE_NAME).exists()

    def utilisation(self, pairs_per_s: float) -> float:
        """Part (0..1) of what the processors could do that a rate over all processes is."""
        return pairs_per_s * self.flops_per_pair / (self.peak_flops * self._world.size)

    def copy_of(self, model: SparkModel) -> SparkModel:
        """A copy of the model, which shares the frozen teacher."""
        return copy.deepcopy(model, {id(model.teacher): model.teacher})

    @property
    def _terms(self) -> list[str]:
        options = self._config.spark
        terms = ["dynamics"] if options.dynamics_weight else []
        terms += ["preserve"] if options.preserve_weight else []
        return terms + (["inverse", "future"] if options.action_head else [])

    def _losses(self, model: torch.nn.Module, batch: PairBatch, generator: torch.Generator) -> SparkLosses:
        device = self._world.device
        clean = [images.to(device, non_blocking=True) for images in (batch.now, batch.later)]
        now, later = (normalise_images(recolour(images, batch.colours)) for images in clean)
        targets = [normalise_images(images) for images in clean] if self._config.spark.clean_targets else [None, None]
        proprioception = (
            None if values is None else values.to(device)
            for values in (batch.proprioception_now, batch.proprioception_later)
        )
        with torch.autocast(torch.device(device).type, torch.bfloat16, enabled=self.precision == "bf16"):
            return model(now, later, generator, *proprioception, target_now=targets[0], target_later=targets[1])

    @torch.no_grad()
    def _validate(self) -> dict[str, float]:
        """Losses of the averaged weights on pairs and hidden patches that are the same every time."""
        sums = dict.fromkeys(("loss", *self._terms), 0.0)
        size = min(VALIDATION_BATCH, self._config.validation_pairs)
        count = -(-self._config.validation_pairs // size)
        for number in range(count):
            generator = torch.Generator().manual_seed(step_seed(self._schedule.seed, number))
            losses = self._losses(self.average, self._setup.validation.batch(number, size), generator)
            sums["loss"] += losses.total.item()
            for name, term in losses.terms.items():
                sums[name] += term.mean().item()
        return {f"val_{name}": total / count for name, total in sums.items()}

    def _speed(self) -> dict[str, float]:
        """Of the steps since the last row."""
        times = self.times
        total = sum(time.total_s for time in times)
        rate = self._options.batch_size * len(times) / total
        return {
            "samples_per_s": round(rate, 2),
            "mfu": round(self.utilisation(rate), 4),
            "compute_share": round(sum(time.compute_s for time in times) / total, 4),
            "wait_share": round(sum(time.wait_s for time in times) / total, 4),
            "rss_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024),
        }

    def _probe(self) -> None:
        # They need matplotlib and a model for each probe, which a run without probes does not.
        from spark_ros.training.probe_pictures import draw_pictures
        from spark_ros.training.probes import run_probes

        for name, value in run_probes(self.average, self._setup.held_out).items():
            self._probes.append({"step": self.progress.step, "probe": name, "value": round(value, 6)})
        draw_pictures(self.average, self._setup.held_out, self._run.path / "pictures")

    def _plot(self) -> None:
        plot_curves(
            self._metrics.rows(),
            [
                Panel("loss", ["train_loss", "val_loss"], ["training", "validation (averaged weights)"]),
                Panel("terms on held-out clips", [f"val_{name}" for name in self._terms], self._terms),
                Panel("part of the time of a step", ["compute_share", "wait_share", "mfu"], log=False),
            ],
            self._run.curves,
        )

    def _check_same_step(self) -> None:
        steps = [float(self.progress.step), -float(self.progress.step)]
        last, first = self._world.largest(steps)
        if last != -first:
            raise SparkError(
                f"some processes found a checkpoint of step {last:.0f} in {self._run.path} and others did not: "
                "put out_dir on a disk that all machines share"
            )
