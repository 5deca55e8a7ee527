"""A teleoperation session from the first key to a bundle, with a virtual gamepad and with the keys of a terminal.

    python -m benchmarks.teleop_session [--quick] [--json] [--save]

With each device `record_demos` runs on the simulated arm, in a terminal, through gateway and recorder: 5 episodes are
kept, 2 discarded, 1 is recorded again. The ten that were kept are merged, a policy is trained on them for a few steps
(it cannot be any good: nobody lifts anything), exported, and its bundle verified and loaded.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.common import entry, finish, make_parser, parse
from benchmarks.teleop.operators import DEVICES
from benchmarks.teleop.session import record, train
from spark_ros.data.arrange import merge_folders
from spark_ros.data.dataset_folder import DemoFolder

DECISIONS, QUICK_DECISIONS = "kkdkrkdk", "rk"
STEPS = ("optimiser.max_steps=200", "evaluate_every=100", "augmentation.copies=0", "threads=1")
QUICK_STEPS = (
    "encoder={name: frozen, weights: 'random:0', block: 1}",
    "data.image_size=28",
    "optimiser.max_steps=4",
    "optimiser.warmup_steps=1",
    "evaluate_every=4",
    "augmentation.copies=0",
)


def _main() -> None:
    options = parse(make_parser(__doc__, "one kept episode and one recorded again, an untrained encoder, four steps"))
    result: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as name:
        work, folders = Path(name), []
        for device in DEVICES:
            (work / device).mkdir()
            result[device] = record(device, QUICK_DECISIONS if options.quick else DECISIONS, work / device)
            folders.append(DemoFolder(work / device / "demos"))
        merge_folders(folders, work / "all", progress=False)
        result["training"] = train(work / "all", work, *(QUICK_STEPS if options.quick else STEPS))
    finish(options, "teleop_session", result, _show, ros=True)


def _show(result: Mapping[str, Any]) -> None:
    for device in DEVICES:
        said = result[device]
        print(
            f"{device}: {said['recordings']} recordings, {said['kept']} kept, {said['discarded']} discarded, "
            f"{said['recorded_again']} recorded again, {sum(episode['frames'] for episode in said['episodes'])} frames"
        )
    print(f"trained on both: {result['training']['metrics'][-1]}")


if __name__ == "__main__":
    entry(_main)
