"""One training run in several precisions, as `spark-ros export` makes them, without drift statistics."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from spark_ros.bundle.export import export_bundle
from spark_ros.bundle.load import Bundle
from spark_ros.bundle.observations import Observations, read_observations
from spark_ros.contracts import SparkError
from spark_ros.data.codec import Proprioception
from spark_ros.encoders.base import Encoder
from spark_ros.encoders.registry import build_encoder
from spark_ros.policies.base import Policy
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot
from spark_ros.training.config import load_config
from spark_ros.training.policy_run import RunInfo, load_policy_run

RUN = "out/train-demo/run"
"""What `make train-demo ENCODER=spark` leaves; the shipped bundle came from such a run."""


@dataclass(frozen=True)
class Run:
    """A training run with what exporting it needs.

    Attributes:
        policy: In evaluation mode.
        info: What it was trained for.
        folder: The run's.
        observations: That an export is judged on.
        usual: Others, from which static precisions take their ranges.
    """

    policy: Policy
    info: RunInfo
    folder: Path
    observations: Observations
    usual: Observations

    def encoder(self) -> Encoder:
        """The trained encoder, in torch."""
        return build_encoder(self.info.encoder)

    def proprioception(self) -> np.ndarray:
        """(N, P) float32 of the observations."""
        robot = load_robot(self.info.robot)
        encode = Proprioception(Kinematics(robot), robot.gripper).encode
        return np.stack([encode(joints) for joints in self.observations.joints])

    def export(self, precisions: Iterable[str], out: Path) -> dict[str, Bundle]:
        """A bundle for each precision.

        Raises:
            SparkError: One does not pass its parity gate.
        """
        statistics = json.loads((self.folder / "statistics.json").read_text(encoding="utf-8"))
        return {
            precision: export_bundle(
                self.policy, self.info, self.observations, statistics, out / precision, precision, usual=self.usual
            )
            for precision in precisions
        }


def open_run(folder: str | Path, demos: str | Path | None = None) -> Run:
    """Reads a finished run and observations out of its demonstrations.

    Raises:
        SparkError: The run, its encoder or its demonstrations are not there.
    """
    if not (Path(folder) / "run.json").is_file():
        raise SparkError(
            f"there is no training run in {folder}: `make train-demo ENCODER=spark`, or give another --run"
        )
    policy, info = load_policy_run(folder, "best")
    place = Path(demos or load_config(Path(folder) / "config.yaml").data.folder)
    return Run(
        policy, info, Path(folder), read_observations(info, place), read_observations(info, place, held_out_first=False)
    )
