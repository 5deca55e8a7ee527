"""A pilot straight from a training run, with torch: to see how a run is doing without exporting it.

Preprocessing, alignment and codec are those of the bundle's runtimes; only the networks run in torch.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import torch

from spark_ros.contracts import ActionChunk, Frame, JointState, StateFeatures
from spark_ros.data.codec import ActionCodec, Proprioception
from spark_ros.data.file_hash import file_sha256
from spark_ros.data.preprocess import ImagePreprocess
from spark_ros.encoders.base import fast_inference, normalise_images
from spark_ros.encoders.registry import build_encoder
from spark_ros.evaluation.pilots import Pilot
from spark_ros.robots.kinematics import Kinematics
from spark_ros.robots.spec import load_robot
from spark_ros.training.policy_run import load_policy_run
from spark_ros.training.run_directory import RunDirectory


def run_pilot(run_dir: str | Path, which: str = "best", threads: int = 1) -> Pilot:
    """The policy of a training run, finished or not.

    Args:
        run_dir: Its directory.
        which: The checkpoint, ``best`` or ``last``.
        threads: Of torch, in the whole process. The simulator's graphics keep the other cores busy, and threads that
            wait for each other on a busy machine make a single image ten times slower.

    Raises:
        SparkError: There is no such run or checkpoint, or its encoder cannot be had.
    """
    torch.set_num_threads(threads)
    policy, info = load_policy_run(run_dir, which)
    encoder = build_encoder(info.encoder)
    robot = load_robot(info.robot)
    kinematics = Kinematics(robot)
    proprioception = Proprioception(kinematics, robot.gripper)
    codec = ActionCodec(info.action.kind, info.action.horizon, info.action.dt_s, kinematics)
    preprocess = {name: ImagePreprocess(entry.size, entry.crop) for name, entry in info.cameras.items()}

    def encode(frame: Frame) -> StateFeatures:
        image = torch.from_numpy(preprocess[frame.camera](frame.image))[None]
        with fast_inference():
            tokens = encoder(normalise_images(image))[0]
        return StateFeatures(frame.camera, tokens.float().numpy(), frame.stamp_ns)

    def act(features: Mapping[str, StateFeatures], joints: JointState) -> ActionChunk:
        tokens = torch.stack([torch.from_numpy(features[name].tokens) for name in info.cameras])[None]
        with torch.inference_mode():
            actions = policy(tokens, torch.from_numpy(proprioception.encode(joints))[None])[0].numpy()
        return codec.decode(actions, joints, min(item.stamp_ns for item in features.values()))

    digest = file_sha256(RunDirectory(run_dir).checkpoint(which))
    return Pilot(
        f"{Path(run_dir).resolve().name}-{which}-{digest[:12]}",
        {
            "training run": f"{run_dir}, checkpoint {which}, in torch {torch.__version__}",
            "robot": robot.name,
            "cameras": ", ".join(f"{name} {entry.size}x{entry.size}" for name, entry in info.cameras.items()),
            "encoder": ", ".join(f"{key} {value}" for key, value in info.encoder.items() if key != "weights_sha256"),
            "policy": info.policy.head,
            "actions": f"{info.action.kind.value}, {info.action.horizon} steps of {info.action.dt_s} s",
        },
        robot,
        tuple(info.cameras),
        info.task,
        1.0 / info.action.dt_s,
        encode,
        act,
    )
