"""Runs in LeRobot's own environment: its ACT policy with its defaults, timed in turns with what asks for it.

Reads lines ``<pixels> <times>`` and answers each with a line of JSON, milliseconds from camera images (uint8) to a
chunk of actions: two square images of so many pixels, 17 numbers of proprioception, 7 of an action, untrained weights.
"""

from __future__ import annotations

import json
import sys
import time
import types

import numpy as np
import torch

# The CPU build of torch does not know torchvision's operators for boxes, which importing it would describe; videos are
# not written here, nor is a motor turned.
for name in ("torchvision._meta_registrations", "imageio", "serial"):
    sys.modules[name] = types.ModuleType(name)

CAMERAS = ("front", "wrist")


def main(threads: int) -> None:
    """Answers until the input ends."""
    import lerobot

    # The package of its policies imports all of them, and what some need is not installed: only ACT is.
    policies_alone = types.ModuleType("lerobot.policies")
    policies_alone.__path__ = [f"{lerobot.__path__[0]}/policies"]
    sys.modules["lerobot.policies"] = policies_alone
    training = types.ModuleType("lerobot.configs.train")  # it asks for the drivers of robots
    training.TrainPipelineConfig = object  # type: ignore[attr-defined]
    sys.modules["lerobot.configs.train"] = training
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.act.modeling_act import ACTPolicy

    torch.set_num_threads(threads)
    policies: dict[int, ACTPolicy] = {}
    print(json.dumps("ready"), flush=True)
    for line in sys.stdin:
        size, times = map(int, line.split())
        if size not in policies:
            images = {f"observation.images.{c}": PolicyFeature(FeatureType.VISUAL, (3, size, size)) for c in CAMERAS}
            config = ACTConfig(
                input_features={**images, "observation.state": PolicyFeature(FeatureType.STATE, (17,))},
                output_features={"action": PolicyFeature(FeatureType.ACTION, (7,))},
                pretrained_backbone_weights=None,
                device="cpu",
            )
            policies[size] = ACTPolicy(config).eval()
        seen = [np.random.default_rng(0).integers(0, 256, (size, size, 3), np.uint8) for _ in CAMERAS]
        print(json.dumps([_act(policies[size], seen) for _ in range(times)]), flush=True)


def _act(policy: torch.nn.Module, seen: list[np.ndarray]) -> float:
    begin = time.perf_counter()
    batch = {
        f"observation.images.{camera}": torch.from_numpy(image).permute(2, 0, 1)[None].float() / 255.0
        for camera, image in zip(CAMERAS, seen, strict=True)
    }
    batch["observation.state"] = torch.zeros(1, 17)
    policy.predict_action_chunk(batch)  # type: ignore[operator]
    return 1e3 * (time.perf_counter() - begin)


if __name__ == "__main__":
    main(int(sys.argv[1]))
