"""A moment of a training run as one safetensors file: nothing in it can execute code, and it is whole or absent."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

from spark_ros.contracts import SparkError


@dataclass
class Progress:
    """Where a run is.

    Attributes:
        step: Optimiser steps done.
        seconds: Time spent so far, over all sessions of the run.
        loss_sum: Sum of the training losses since the last row of metrics.csv.
        loss_count: How many.
        term_sums: The same as `loss_sum` for each term of a loss that has several.
        best_error: Lowest validation error, where runs choose by one.
        best_step: Where it was reached.
        finished: The run has come to its planned end.
    """

    step: int = 0
    seconds: float = 0.0
    loss_sum: float = 0.0
    loss_count: int = 0
    term_sums: dict[str, float] = field(default_factory=dict)
    best_error: float = float("inf")
    best_step: int = 0
    finished: bool = False

    def count(self, loss: float, terms: Mapping[str, float]) -> None:
        """One more step, with this loss and these parts of it."""
        self.step += 1
        self.loss_sum += loss
        self.loss_count += 1
        for name, value in terms.items():
            self.term_sums[name] = self.term_sums.get(name, 0.0) + value

    def begin_row(self) -> None:
        """The losses so far are in metrics.csv."""
        self.loss_sum, self.loss_count, self.term_sums = 0.0, 0, {}


def save_checkpoint(
    path: Path, progress: Progress, model: torch.nn.Module, average: torch.nn.Module, optimiser: torch.optim.Optimizer
) -> None:
    """Write everything a run needs to continue.

    There is no random state in it: every draw of step s is made from a generator seeded with the run's seed and s.

    Raises:
        SparkError: It cannot be written; an earlier file at `path` is then untouched.
    """
    tensors = {f"weights/{name}": tensor for name, tensor in model.state_dict().items()}
    tensors |= {f"average/{name}": tensor for name, tensor in average.state_dict().items()}
    for name, state in _named_state(model, optimiser).items():
        tensors |= {f"optimiser/{key}/{name}": tensor for key, tensor in state.items()}
    temporary = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        save_file(
            {name: tensor.detach().cpu().contiguous() for name, tensor in tensors.items()},
            temporary,
            metadata={"progress": json.dumps(asdict(progress))},
        )
        with temporary.open("rb+") as file:
            os.fsync(file.fileno())
        os.replace(temporary, path)
    except (OSError, SafetensorError) as error:
        with suppress(OSError):
            temporary.unlink()
        reason = getattr(error, "strerror", None) or error
        raise SparkError(f"cannot write checkpoint {path}: {reason}; make room and start again") from error


def load_checkpoint(
    path: Path, model: torch.nn.Module, average: torch.nn.Module, optimiser: torch.optim.Optimizer
) -> Progress:
    """Restore what `save_checkpoint` wrote into modules and an optimiser of the same shape.

    Raises:
        SparkError: The file is missing, damaged, or of another model.
    """
    metadata, tensors = _read(path)
    try:
        progress = Progress(**json.loads(metadata["progress"]))
    except (KeyError, TypeError, ValueError) as error:
        raise SparkError(f"checkpoint {path} cannot be continued ({error}): choose another out_dir") from error
    _restore(path, model, _under(tensors, "weights"))
    _restore(path, average, _under(tensors, "average"))
    for key in ("step", "exp_avg", "exp_avg_sq"):
        for name, tensor in _under(tensors, f"optimiser/{key}").items():
            parameter = model.get_parameter(name)
            # AdamW keeps its count of steps on the CPU, wherever the parameters are, unless it is fused.
            stays = key == "step" and not optimiser.defaults.get("fused")
            optimiser.state[parameter][key] = tensor if stays else tensor.to(parameter.device)
    return progress


def load_average(path: Path, model: torch.nn.Module) -> None:
    """Put the averaged weights, the ones to deploy, into a module.

    Raises:
        SparkError: As for `load_checkpoint`.
    """
    _, tensors = _read(path)
    _restore(path, model, _under(tensors, "average"))


def _named_state(model: torch.nn.Module, optimiser: torch.optim.Optimizer) -> dict[str, dict[str, Tensor]]:
    """Of what has been optimised; a frozen parameter has no state."""
    return {name: optimiser.state.get(parameter, {}) for name, parameter in model.named_parameters()}


def _read(path: Path) -> tuple[dict[str, str], dict[str, Tensor]]:
    if not path.is_file():
        raise SparkError(f"no checkpoint {path}: train first, or give the run's directory")
    try:
        with safe_open(str(path), framework="pt") as file:
            return file.metadata() or {}, {name: file.get_tensor(name) for name in file.keys()}
    except (SafetensorError, OSError) as error:
        raise SparkError(f"checkpoint {path} is damaged ({error}): restore it or train again") from error


def _under(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {name[len(prefix) + 1 :]: tensor for name, tensor in tensors.items() if name.startswith(prefix + "/")}


def _restore(path: Path, module: torch.nn.Module, tensors: dict[str, Tensor]) -> None:
    try:
        module.load_state_dict(tensors)
    except RuntimeError as error:
        reason = " ".join(str(error).split())[:200]
        raise SparkError(f"checkpoint {path} belongs to another model ({reason}): use another out_dir") from error
