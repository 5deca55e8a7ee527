"""Makes docs/images/lift.png: the shipped bundle lifts a cube, seen by a camera that the policy does not have.

    python docs/make_pictures.py

Four moments; in their corners what the policy saw, front camera above wrist camera. No torch, a few seconds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import cv2
import numpy as np

from spark_ros.contracts import ImageArray, SparkError
from spark_ros.evaluation.cell import Cell, Sensed
from spark_ros.evaluation.lockstep import run_episode
from spark_ros.evaluation.pilots import bundle_pilot
from spark_ros.evaluation.seeds import evaluation_seeds
from spark_ros.evaluation.video import Film
from spark_ros.shares import bundle_directory
from spark_ros.sim.render import Renderer, Snapshot
from spark_ros.sim.scene import CameraParameters, SceneParameters
from spark_ros.sim.world import World

WIDTH, GAP, BORDER = 1200, 6, 2  # pixels
INSET = 0.25  # side of what the policy sees, as a part of a picture's width
CAMERA = CameraParameters(position=(1.3, -1.0, 0.72), target=(0.36, 0.05, 0.315), fovy_deg=39.0)


class FilmedCell(Cell):
    """A cell that remembers what it looked like at every frame of its cameras."""

    def reset(self, seed: int) -> None:
        """As `Cell.reset`; forgets the episode before."""
        self.snapshots: list[Snapshot] = []
        self.views: list[list[ImageArray]] = []
        self.widths: list[float] = []
        super().reset(seed)

    def sense(self) -> Sensed:
        """As `Cell.sense`."""
        sensed = super().sense()
        if sensed.frames:
            self.snapshots.append(self.world.snapshot())
            self.views.append([frame.image for frame in sensed.frames])
            self.widths.append(self.world.spec.gripper.width(sensed.joints))
        return sensed


def main() -> None:
    """Writes lift.png."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--bundle", default="fr3_lift", help="(default: %(default)s)")
    parser.add_argument("--seed", type=int, default=3, help="of the scene (default: %(default)s)")
    parser.add_argument("--out", type=Path, default=Path(__file__).parent / "images", help="(default: docs/images)")
    options = parser.parse_args()
    pilot = bundle_pilot(bundle_directory(options.bundle))
    scene = SceneParameters()
    scene.cameras["overview"] = CAMERA
    cell = FilmedCell(World("lift", pilot.robot.name, pilot.cameras, scene=scene))
    result = run_episode(cell, pilot, evaluation_seeds(options.seed, 1)[0], film=Film(pilot.cameras))
    if not result.success:
        raise SparkError(f"the policy failed on scene {options.seed} ({result.ending}): choose another --seed")
    options.out.mkdir(parents=True, exist_ok=True)

    closed = int(np.argmax(np.array(cell.widths) < cell.widths[-1] + 0.004))
    last = len(cell.snapshots) - 1
    moments = [0, round(0.6 * closed), closed, last]
    side = (WIDTH - GAP * (len(moments) - 1)) // len(moments)
    with Renderer(cell.world.model, 2 * side, shadows=True) as renderer:
        pictures = [_picture(renderer, cell, moment, side) for moment in moments]
    gap = np.full((pictures[0].shape[0], GAP, 3), 255, np.uint8)
    strip = np.concatenate([part for picture in pictures for part in (picture, gap)][:-1], axis=1)
    cv2.imwrite(str(options.out / "lift.png"), strip[..., ::-1])


def _picture(renderer: Renderer, cell: FilmedCell, moment: int, side: int) -> ImageArray:
    """(side, side, 3): the overview, with what the policy saw at that moment in the right corner."""
    image = renderer.render(cell.snapshots[moment], "overview")
    image = cv2.resize(image, (side, side), interpolation=cv2.INTER_AREA)
    inset = round(INSET * side)
    for number, view in enumerate(cell.views[moment]):
        small = cv2.resize(view, (inset, inset), interpolation=cv2.INTER_AREA)
        small = cv2.copyMakeBorder(small, *[BORDER] * 4, cv2.BORDER_CONSTANT, value=(255, 255, 255))
        size, top = small.shape[0], number * (small.shape[0] - BORDER)
        image[top : top + size, side - size :] = small
    return np.asarray(image, np.uint8)


if __name__ == "__main__":
    main()
