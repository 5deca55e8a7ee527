"""The five MetaWorld tasks of CortexBench, and what of its protocol is kept. No imports: the worker reads it too.

CortexBench (arXiv 2303.18240, cortexbench/mujoco_vc) rolls out 500 steps and looks from `top_cap2`, a camera of its own
MetaWorld fork. The packaged MetaWorld has no such camera, and its scripted experts are done after 60 to 120 steps, so
here an episode is half as long again as 99 of 100 of them need (bin-picking: 200 steps, half of its experts are done
after 117, 98 of 100 at the end), and the camera is one of ours (`worker_camera`). Kept: success is what the environment
says after the last step, four numbers of proprioception, 25 demonstrations of the scripted expert, initial states drawn
anew for every episode.
"""

from __future__ import annotations

from dataclasses import dataclass

CONTROL_DT_S = 0.0125  # MetaWorld's frame_skip 5 x timestep 2.5 ms: 80 Hz
IMAGE_SIZE = 112
RECORDING = 1  # version of all that a recording depends on: the camera, the seeding, the experts
PROPRIOCEPTION = ("hand_x", "hand_y", "hand_z", "gripper_opening")  # m, m, m, 0 closed .. 1 open
ACTION = ("hand_dx", "hand_dy", "hand_dz", "gripper")  # -1..1: centimetres a step, and closing effort

# Seeds of initial states: what a policy is tested on is never what it, or the encoder, was trained on.
EVALUATION_SEEDS = range(0, 100_000)
DEMO_SEEDS = range(100_000, 200_000)
VIDEO_SEEDS = range(200_000, 300_000)


@dataclass(frozen=True)
class Task:
    """One task.

    Attributes:
        environment: MetaWorld's name of it.
        expert: Name of the scripted expert's class in ``metaworld.policies``.
        horizon: Steps of an episode.
    """

    environment: str
    expert: str
    horizon: int


TASKS = {
    "assembly": Task("assembly-v3", "SawyerAssemblyV3Policy", 150),
    "bin-picking": Task("bin-picking-v3", "SawyerBinPickingV3Policy", 200),
    "button-press-topdown": Task("button-press-topdown-v3", "SawyerButtonPressTopdownV3Policy", 115),
    "drawer-open": Task("drawer-open-v3", "SawyerDrawerOpenV3Policy", 140),
    "hammer": Task("hammer-v3", "SawyerHammerV3Policy", 120),
}
