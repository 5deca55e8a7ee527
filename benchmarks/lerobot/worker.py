"""Runs in LeRobot's own environment and uses nothing but its public dataset class.

python -m benchmarks.lerobot.worker read <dataset> <file.npz>    every item of a dataset, as its loader gives it
python -m benchmarks.lerobot.worker write <dataset> <file.npz>   a dataset of barcode frames, as its recorder makes it
"""

from __future__ import annotations

import json
import sys
import types
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.lerobot.barcodes import HEIGHT, WIDTH, barcode

# The CPU build of torch does not know torchvision's operators for boxes, which importing it would describe.
sys.modules["torchvision._meta_registrations"] = types.ModuleType("torchvision._meta_registrations")

EPISODES, FPS = (25, 18, 20), 20
TASKS = ("lift the cube", "lower the cube", "lift the cube")


def read(root: Path, out: Path) -> None:
    """Every item of the dataset: arrays by feature; texts as JSON under ``task``."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    dataset = LeRobotDataset("local/dataset", root=root)
    items = [dataset[index] for index in range(len(dataset))]
    found: dict[str, Any] = {}
    for key in items[0]:
        if key == "task":
            found[key] = np.array(json.dumps([item[key] for item in items]))
        elif key in dataset.meta.camera_keys:
            frames = [np.rint(item[key].numpy() * 255.0).astype(np.uint8).transpose(1, 2, 0) for item in items]
            found[key] = np.stack(frames)
        else:
            found[key] = np.stack([item[key].numpy() for item in items])
    names = {key: feature["names"] for key, feature in dataset.features.items()}
    stats = {key: {name: values.shape for name, values in entry.items()} for key, entry in dataset.meta.stats.items()}
    described = {"fps": dataset.fps, "robot": dataset.meta.robot_type, "episodes": dataset.num_episodes}
    np.savez(out, about=np.array(json.dumps({**described, "names": names, "stats": stats})), **found)


def write(root: Path, given: Path) -> None:
    """A dataset with the joints and widths of the given file, rows of all episodes one after the other."""
    from lerobot.datasets.lerobot_dataset import LeRobotDataset

    values = np.load(given)
    names = [*(str(name) for name in values["names"]), "gripper_width"]
    vector = {"dtype": "float32", "shape": (len(names),), "names": names}
    image = {"dtype": "video", "shape": (HEIGHT, WIDTH, 3), "names": ["height", "width", "channels"]}
    cameras = ("front", "wrist")
    features = {"observation.state": vector, "action": vector}
    features |= {f"observation.images.{camera}": image for camera in cameras}
    dataset = LeRobotDataset.create("local/dataset", FPS, features, root=root, robot_type=str(values["robot"]))
    row = 0
    for task, length in zip(TASKS, EPISODES, strict=True):
        for _ in range(length):
            frame: dict[str, Any] = {f"observation.images.{c}": barcode(row, n) for n, c in enumerate(cameras)}
            frame |= {"observation.state": values["state"][row], "action": values["action"][row], "task": task}
            dataset.add_frame(frame)
            row += 1
        dataset.save_episode(parallel_encoding=False)
    dataset.finalize()


if __name__ == "__main__":
    {"read": read, "write": write}[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
