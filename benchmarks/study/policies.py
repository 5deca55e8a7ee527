"""Trained policies of the study, kept so that further episodes of a cell need no training again."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from safetensors.torch import load_file, save_file

from benchmarks.study.arms import Arm
from benchmarks.study.cells import Cell
from benchmarks.study.imitation import Imitated, ImitationOptions
from spark_ros.encoders.base import Encoder
from spark_ros.policies.base import Policy
from spark_ros.policies.options import write_options
from spark_ros.policies.registry import build_policy
from spark_ros.training.config import OptimiserOptions
from spark_ros.training.features import fingerprint

COMPACT_STEPS, PATCH_STEPS, QUICK_STEPS = 3000, 3000, 60


class PolicyStore:
    """Policies in files named by what they were trained from.

    Args:
        folder: Where they lie.
        quick: Train hardly at all.
    """

    def __init__(self, folder: Path, quick: bool) -> None:
        self._folder, self._quick = folder, quick

    def get(
        self, cell: Cell, arm: Arm, encoder: Encoder | None, train: Callable[[ImitationOptions], Imitated]
    ) -> tuple[Policy, dict[str, Any]]:
        """The cell's policy in evaluation mode, trained by ``train(options)`` if it is not kept yet.

        Returns:
            The policy at the cell's checkpoint, and figures of its training.
        """
        options = self._options(arm)
        key = json.dumps([cell.policy, write_options(options), fingerprint(encoder) if encoder is not None else ""])
        base = self._folder / hashlib.sha256(key.encode()).hexdigest()[:32]
        index = base.with_suffix(".json")
        if not index.exists():
            done = train(options)
            for which, policy in (("last", done.last), ("best", done.best)):
                _save(base.with_suffix(f".{which}.safetensors"), policy)
            figures = {name: value for name, value in vars(done).items() if name not in ("last", "best")}
            record = {"recipe": write_options(done.last.recipe), "steps": options.optimiser.max_steps, **figures}
            part = index.with_name(f"{index.name}.{os.getpid()}.part")
            part.write_text(json.dumps(record), encoding="utf-8")
            os.replace(part, index)
        record = json.loads(index.read_text(encoding="utf-8"))
        policy = build_policy(record.pop("recipe"))
        policy.load_state_dict(load_file(base.with_suffix(f".{cell.checkpoint}.safetensors")))
        return policy.eval(), record

    def _options(self, arm: Arm) -> ImitationOptions:
        steps = QUICK_STEPS if self._quick else COMPACT_STEPS if arm.head == "bn_mlp" else PATCH_STEPS
        optimiser = OptimiserOptions(max_steps=steps, warmup_steps=min(200, steps // 5))
        return ImitationOptions(head=arm.head, optimiser=optimiser, validate_every=max(1, steps // 12))


def _save(path: Path, policy: Policy) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f"{path.name}.{os.getpid()}.part")
    save_file({name: tensor.detach().clone().contiguous() for name, tensor in policy.state_dict().items()}, part)
    os.replace(part, path)
