"""Several processes that train one model together, as `torchrun` starts them; one process is the usual case.

Every process sees its own part of each batch, gradients are averaged by DistributedDataParallel, and the first process
alone writes files and speaks. What decides about the run (its end, its learning rate) is agreed on in every step, so
that clocks which differ cannot drive the copies of the model apart.
"""

from __future__ import annotations

import gc
import os
import traceback
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta

import torch

# Its functions keep the connections that exist when it is first imported: without this line, those of the first model
# in DistributedDataParallel, so that nothing could end them.
import torch.distributed.nn.functional
from torch import distributed

from spark_ros.contracts import SparkError

# The others wait while the first one probes and draws, which on large models takes minutes.
PATIENCE = timedelta(hours=1)


@dataclass(frozen=True)
class World:
    """This process among those that train together.

    Attributes:
        rank: Its number.
        size: How many there are, over all machines.
        device: What it computes on, e.g. ``cuda:1``.
    """

    rank: int = 0
    size: int = 1
    device: str = "cpu"

    @property
    def first(self) -> bool:
        """Whether this is the process that writes and speaks."""
        return self.rank == 0

    def mean(self, values: Sequence[float]) -> list[float]:
        """Each value's mean over the processes."""
        return self._reduced(values, distributed.ReduceOp.SUM, self.size)

    def largest(self, values: Sequence[float]) -> list[float]:
        """Each value's largest over the processes."""
        return self._reduced(values, distributed.ReduceOp.MAX, 1)

    def together(self, items: Sequence[str]) -> list[str]:
        """The items of all processes."""
        if self.size == 1:
            return list(items)
        parts: list[list[str]] = [[] for _ in range(self.size)]
        distributed.all_gather_object(parts, list(items))
        return [item for part in parts for item in part]

    def wait(self) -> None:
        """Until all processes are here."""
        self.largest([0.0])

    def _reduced(self, values: Sequence[float], operation: distributed.ReduceOp.RedOpType, count: int) -> list[float]:
        if self.size == 1:
            return list(values)
        tensor = torch.tensor(values, dtype=torch.float64, device=self.device)
        distributed.all_reduce(tensor, operation)
        return (tensor / count).tolist()


@contextmanager
def open_world(device: str) -> Iterator[World]:
    """Join the processes that `torchrun` started, if it did.

    What trained, a model in DistributedDataParallel above all, must be out of scope when the context ends, as it is
    where a function made it: it keeps the connections, and gloo's threads with them. A thread that lets go of a tensor
    while Python is ending aborts the process ("terminate called without an active exception").

    Args:
        device: ``cpu`` or ``cuda``; each process of a machine takes the GPU of its own number there.

    Raises:
        SparkError: The device is not there.
    """
    if device.startswith("cuda") and not torch.cuda.is_available():
        raise SparkError(f"device is {device}: this torch sees no CUDA GPU; set device=cpu or repair the driver")
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(device=device)
        return
    if device == "cuda":
        device = f"cuda:{os.environ['LOCAL_RANK']}"
        torch.cuda.set_device(device)
    distributed.init_process_group("nccl" if device.startswith("cuda") else "gloo", timeout=PATIENCE)
    try:
        yield World(distributed.get_rank(), size, device)
    except BaseException as error:
        traceback.clear_frames(error.__traceback__)  # what trained is in scope there as well
        raise
    finally:
        gc.collect()
        distributed.destroy_process_group()


def synchronise(device: str) -> None:
    """Wait until everything asked of the device is computed."""
    if device.startswith("cuda"):
        torch.cuda.synchronize(device)
