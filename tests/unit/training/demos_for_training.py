"""Small demonstrations on disk: the tool moves towards a red square, whose place only the images tell."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from spark_ros import topics
from spark_ros.contracts import Command, Frame, JointState
from spark_ros.data.cdr_messages import encode_frame, encode_joints, encode_setpoint
from spark_ros.data.dataset_folder import DemoFolder
from spark_ros.robots.spec import load_robot

MS = 1_000_000


def write_demos(path: Path, episodes: int, duration_s: float = 2.0, task: str = "reach the square") -> Path:
    """`episodes` episodes of two 32 px cameras at 10 Hz and joints at 50 Hz."""
    spec = load_robot("fr3")
    names = (*spec.joint_names, *spec.gripper.joint_names)
    folder = DemoFolder(path)
    with folder.recording():
        for seed in range(episodes):
            target = float(np.random.default_rng(seed).uniform(-0.4, 0.4))
            writer = folder.start_episode({"task": task, "robot": "fr3", "seed": seed, "operator": "script"})
            for i in range(round(duration_s * 50)):
                stamp = i * 20 * MS
                q = spec.home.copy()
                q[0] += target * min(1.0, i / 75)
                state = JointState(names, np.concatenate([q, [0.04, 0.04]]), np.zeros(9), stamp)
                setpoint = encode_setpoint(Command(spec.joint_names, q, np.zeros(7), 0.08, None), spec.gripper, stamp)
                writer.write(topics.JOINT_STATES, *encode_joints(state), stamp, stamp)
                writer.write(topics.GATEWAY_SETPOINT, *setpoint, stamp, stamp)
                if i % 5 == 0:
                    for camera in ("front", "wrist"):
                        image = np.full((32, 32, 3), 90, np.uint8)
                        column = 16 + round(target * 25)
                        image[12:20, column - 4 : column + 4] = (255, 0, 0)
                        frame = encode_frame(Frame(camera, image, stamp))
                        writer.write(topics.camera_image(camera), *frame, stamp, stamp)
            folder.keep(writer, {"success": True})
    return path


def tiny_run(out_dir: Path, demos: Path, feature_cache: Path) -> list[str]:
    """Overrides for a run of seconds: an untrained one-block encoder on 28 px images."""
    return [
        f"out_dir={out_dir}",
        f"data.folder={demos}",
        f"cache_dir={feature_cache}",
        "data.image_size=28",
        "encoder={name: frozen, weights: 'random:0', block: 1}",
        "augmentation.copies=1",
        "policy.options={width: 32, keypoints: 4}",
        "optimiser.batch_size=16",
        "optimiser.max_steps=40",
        "optimiser.warmup_steps=5",
        "evaluate_every=10",
        "threads=1",
    ]
