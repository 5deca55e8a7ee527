"""SPARK: post-training a foundation vision transformer for robot control.

The method is public as an abstract only; this is our reading of it, and every choice is an option of `SparkOptions`.

- *Dynamics-aware abstraction*: a frame is squeezed into K bottleneck tokens; a light decoder sees them and a few
  patches of a later frame and predicts the rest of that frame. What moves can only come through the bottleneck.
  The nearest published relative is Token Bottleneck (Kim et al., arXiv:2507.06543).
- *Knowledge preservation*: every patch of the student stays aligned with the same patch of the frozen original.

Loss: L = w_dyn L_dyn + w_kp L_kp (+ action-aware terms where the video has proprioception).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from spark_ros.contracts import SparkError
from spark_ros.encoders.spark_decoder import FutureDecoder
from spark_ros.encoders.spark_losses import normalised_patches, preservation
from spark_ros.encoders.spark_options import SparkOptions, check_options
from spark_ros.encoders.spark_student import make_projection, make_student
from spark_ros.encoders.vit import ViT
from spark_ros.encoders.weights import load_vit


@dataclass(frozen=True)
class StudentTokens:
    """What the student makes of images, after its final norm.

    Attributes:
        bottleneck: (B, K, D).
        patches: (B, N, D), row by row.
    """

    bottleneck: Tensor
    patches: Tensor


@dataclass(frozen=True)
class SparkLosses:
    """Losses of a batch.

    Attributes:
        total: Scalar, what is minimised.
        terms: Unweighted terms per sample, (B,) each: ``dynamics``, ``preserve``, and with the action head
            ``inverse`` and ``future``.
    """

    total: Tensor
    terms: dict[str, Tensor]


@dataclass(frozen=True)
class Prediction:
    """What the decoder makes of the later frame.

    Attributes:
        features: (B, N, D) teacher features, standardised as the target, or None.
        pixels: (B, N, 3 * P * P) normalised per patch, or None.
        visible: (B, N) bool, the patches it was shown.
    """

    features: Tensor | None
    pixels: Tensor | None
    visible: Tensor


class SparkModel(nn.Module):
    """Student, frozen teacher, decoder and losses.

    The teacher is not a submodule: it is never trained, averaged or written to a checkpoint; it moves between devices
    with the rest.

    Args:
        options: Every choice.
        proprioception_size: P, for the action head; ignored without.

    Attributes:
        options: As given.
        student: The model that is trained.
        teacher: Its frozen original.
        notice: Origin and licence of the weights.
        weights_sha256: Of the original.

    Raises:
        SparkError: An option is unknown or does not fit the model, or the weights cannot be had.
    """

    def __init__(self, options: SparkOptions, proprioception_size: int = 0) -> None:
        super().__init__()
        check_options(options, proprioception_size)
        vit, loaded = load_vit(options.weights, options.image_size)
        depth = options.depth if options.depth is not None else vit.config.depth
        if not 1 <= depth <= vit.config.depth:
            raise SparkError(f"spark.depth is {depth}: {options.weights} has blocks 1 to {vit.config.depth}")
        if options.adaptation == "last" and not 1 <= options.last_blocks <= depth:
            raise SparkError(f"spark.last_blocks is {options.last_blocks}: expected 1 to the {depth} blocks there are")
        vit.blocks = vit.blocks[:depth]
        vit.config = replace(vit.config, depth=depth)
        self.options = options
        self.notice, self.weights_sha256 = loaded.notice, loaded.sha256
        self.teacher: ViT
        object.__setattr__(self, "teacher", vit.eval().requires_grad_(False))
        self.student = make_student(vit, options)
        config = vit.config
        self.decoder = FutureDecoder(
            config, options.decoder_width, options.decoder_depth, options.decoder_heads, options.target
        )
        self.projection = make_projection(options.projection, config.width)
        self.register_buffer("target_mean", torch.zeros(config.width))
        self.register_buffer("target_std", torch.ones(config.width))
        size = proprioception_size if options.action_head else 0
        self.register_buffer("proprioception_mean", torch.zeros(size))
        self.register_buffer("proprioception_std", torch.ones(size))
        if size:
            bottleneck = options.bottleneck_tokens * config.width
            self.inverse_head = _mlp(2 * bottleneck, size)
            self.future_head = _mlp(bottleneck, size)

    target_mean: Tensor
    target_std: Tensor
    proprioception_mean: Tensor
    proprioception_std: Tensor

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> SparkModel:
        self.teacher._apply(fn, recurse)
        return super()._apply(fn, recurse)

    def train(self, mode: bool = True) -> SparkModel:
        """As usual; the teacher stays in evaluation mode."""
        super().train(mode)
        self.teacher.eval()
        return self

    @torch.no_grad()
    def calibrate(self, images: Tensor, proprioception: Tensor | None = None) -> None:
        """Measures the statistics that standardise the targets; call it once, before the first step.

        A handful of the foundation model's channels are far larger than the others and would be all the loss sees.

        Args:
            images: (B, 3, S, S), ImageNet-normalised; a few hundred frames are enough.
            proprioception: (B, P), for the action head.
        """
        features = torch.cat([self.teacher_patches(part).flatten(0, 1) for part in images.split(64)]).float()
        self.target_mean.copy_(features.mean(dim=0))
        self.target_std.copy_(features.std(dim=0).clamp(min=1e-3))
        if proprioception is not None and self.proprioception_mean.numel():
            self.proprioception_mean.copy_(proprioception.mean(dim=0))
            self.proprioception_std.copy_(proprioception.std(dim=0).clamp(min=1e-2))

    def encode(self, images: Tensor) -> StudentTokens:
        """What the robot will see of images (B, 3, S, S)."""
        return self._tokens(self.student.embed(images))

    @torch.no_grad()
    def teacher_patches(self, images: Tensor) -> Tensor:
        """(B, 3, S, S) images to the original's patch features (B, N, D) after its final norm."""
        tokens = self.teacher(images)[len(self.teacher.blocks)]
        return self.teacher.norm(tokens)[:, self.teacher.num_prefix_tokens :]

    def forward(
        self,
        now: Tensor,
        later: Tensor,
        generator: torch.Generator | None = None,
        proprioception_now: Tensor | None = None,
        proprioception_later: Tensor | None = None,
        valid: Tensor | None = None,
        target_now: Tensor | None = None,
        target_later: Tensor | None = None,
    ) -> SparkLosses:
        """Losses of a batch of frame pairs.

        Args:
            now: (B, 3, S, S) frames x_t, ImageNet-normalised.
            later: (B, 3, S, S) frames x_{t+k}.
            generator: Draws the patches that are shown.
            proprioception_now: (B, P) at `now`, for the action head.
            proprioception_later: (B, P) at `later`.
            valid: (B,) bool, which samples have proprioception; all if left out.
            target_now: (B, 3, S, S), what the teacher sees of `now`; the same picture if left out.
            target_later: (B, 3, S, S), what the teacher sees of `later`, and the pixels to predict.

        Raises:
            SparkError: The action head is on and the batch has no proprioception.
        """
        options = self.options
        student, original_now, original_later = self._encode_pair(now, later, target_now, target_later)
        terms: dict[str, Tensor] = {}
        total = now.new_zeros(())
        if options.dynamics_weight:
            prediction = self._predict(student.bottleneck, later, generator)
            weight = self._importance(original_now, original_later) * ~prediction.visible
            target = later if target_later is None else target_later
            terms["dynamics"] = self._dynamics(prediction, target, original_later, weight)
            total = total + options.dynamics_weight * terms["dynamics"].mean()
        if options.preserve_weight:
            projected = self.projection(student.patches).float()
            terms["preserve"] = preservation(projected, original_now, options.preserve)
            total = total + options.preserve_weight * terms["preserve"].mean()
        if options.action_head:
            terms |= self._action_terms(student, later, proprioception_now, proprioception_later, valid)
            total = total + options.action_weight * (terms["inverse"] + terms["future"]).mean()
        return SparkLosses(total, terms)

    def predict(self, now: Tensor, later: Tensor, generator: torch.Generator | None = None) -> Prediction:
        """The decoder's view of `later` (B, 3, S, S) given the bottleneck of `now` and a few visible patches."""
        return self._predict(self.encode(now).bottleneck, later, generator)

    def standardised_target(self, later: Tensor) -> Tensor:
        """(B, N, D) what `Prediction.features` is to match."""
        return (self.teacher_patches(later).float() - self.target_mean) / self.target_std

    @torch.no_grad()
    def bottleneck_attention(self, images: Tensor) -> Tensor:
        """(B, heads, N): where the first bottleneck token looks in the student's last block, of (B, 3, S, S)."""
        x = self.student.embed(images)
        for block in self.student.blocks[:-1]:
            x = block(x)
        last: Any = self.student.blocks[-1]
        batch, count, width = x.shape
        qkv = last.attn.qkv(last.norm1(x)).view(batch, count, 3, last.attn.heads, -1).permute(2, 0, 3, 1, 4)
        query, key = qkv[0][:, :, self._bottleneck_slice.start], qkv[1]
        scores = torch.einsum("bhc,bhnc->bhn", query, key) / (width // last.attn.heads) ** 0.5
        return scores.float().softmax(dim=-1)[:, :, self.student.num_prefix_tokens :]

    def parameter_groups(
        self, learning_rate: float, weight_decay: float, layer_decay: float = 1.0, backbone_scale: float = 1.0
    ) -> list[dict[str, Any]]:
        """Groups for AdamW; each has an ``lr_scale`` by which a schedule is to be multiplied.

        Args:
            learning_rate: Of what is new: decoder, projection, heads.
            weight_decay: Of matrices; nothing else decays.
            layer_decay: Each block of the student learns this much slower than the one above it.
            backbone_scale: Learning rate of the student's last block over that of what is new.
        """
        depth = len(self.student.blocks)
        groups: dict[tuple[float, bool], list[nn.Parameter]] = {}
        for name, parameter in self.named_parameters():
            if not parameter.requires_grad:
                continue
            scale = 1.0
            if name.startswith("student."):
                parts = name.split(".")
                level = int(parts[2]) + 1 if parts[1] == "blocks" else depth if parts[1] == "norm" else 0
                scale = backbone_scale * layer_decay ** (depth - level)
            groups.setdefault((scale, parameter.ndim >= 2), []).append(parameter)
        return [
            {
                "params": parameters,
                "lr": learning_rate * scale,
                "lr_scale": scale,
                "weight_decay": weight_decay if matrix else 0.0,
            }
            for (scale, matrix), parameters in groups.items()
        ]

    def trainable_parameters(self) -> Iterator[nn.Parameter]:
        """Everything that is optimised."""
        return (parameter for parameter in self.parameters() if parameter.requires_grad)

    def _encode_pair(
        self, now: Tensor, later: Tensor, target_now: Tensor | None, target_later: Tensor | None
    ) -> tuple[StudentTokens, Tensor, Tensor]:
        """The student's tokens of `now`, the teacher's patches (B, N, D) of both.

        Where the student's first blocks are still the teacher's and both see the same picture, one pass through these
        serves both.
        """
        own_view = target_now is not None and target_later is not None
        images = torch.cat([target_now, target_later]) if own_view else torch.cat([now, later])  # type: ignore[list-item]
        if own_view or self.options.adaptation != "last" or self.options.bottleneck != "cls":
            original_now, original_later = self.teacher_patches(images).float().chunk(2)
            return self.encode(now), original_now, original_later
        shared = len(self.student.blocks) - self.options.last_blocks
        with torch.no_grad():
            x = self.teacher.embed(images)
            for block in self.teacher.blocks[:shared]:
                x = block(x)
            original = x
            for block in self.teacher.blocks[shared:]:
                original = block(original)
            original = self.teacher.norm(original)[:, self.teacher.num_prefix_tokens :].float()
        original_now, original_later = original.chunk(2)
        return self._tokens(x[: len(now)], first_block=shared), original_now, original_later

    @property
    def _bottleneck_slice(self) -> slice:
        if self.options.bottleneck == "cls":
            return slice(0, 1)
        end = self.student.num_prefix_tokens
        return slice(end - self.options.bottleneck_tokens, end)

    def _tokens(self, x: Tensor, first_block: int = 0) -> StudentTokens:
        for block in self.student.blocks[first_block:]:
            x = block(x)
        x = self.student.norm(x)
        return StudentTokens(x[:, self._bottleneck_slice], x[:, self.student.num_prefix_tokens :])

    def _predict(self, bottleneck: Tensor, later: Tensor, generator: torch.Generator | None) -> Prediction:
        """The student encodes the visible patches, alone but with their positions, as a masked autoencoder does."""
        embedded = self.student.embed(later)
        prefix, patches = embedded.split([self.student.num_prefix_tokens, self.student.config.grid**2], dim=1)
        batch, count, width = patches.shape
        kept = max(1, round(count * (1.0 - self.options.mask_ratio)))
        # Drawn on the CPU, so that a run shows the same patches on every device.
        order = torch.rand(batch, count, generator=generator).argsort(dim=1)[:, :kept].to(later.device)
        hints = self._tokens(torch.cat([prefix, patches.gather(1, order[..., None].expand(-1, -1, width))], dim=1))
        features, pixels = self.decoder(bottleneck, hints.patches, order)
        visible = torch.zeros(batch, count, dtype=torch.bool, device=later.device).scatter_(1, order, True)
        return Prediction(features, pixels, visible)

    def _importance(self, now: Tensor, later: Tensor) -> Tensor:
        """(B, N) weight of each patch from how much the teacher's feature changed."""
        if not self.options.motion_weight:
            return torch.ones(now.shape[:2], device=now.device)
        change = 1.0 - F.cosine_similarity(now - self.target_mean, later - self.target_mean, dim=-1)
        return 1.0 + self.options.motion_weight * change / change.amax(dim=1, keepdim=True).clamp(min=0.1)

    def _dynamics(self, prediction: Prediction, later: Tensor, original: Tensor, weight: Tensor) -> Tensor:
        """(B,) error over the hidden patches."""
        error = torch.zeros_like(weight)
        if prediction.features is not None:
            target = (original - self.target_mean) / self.target_std
            error = error + F.smooth_l1_loss(prediction.features.float(), target, reduction="none").mean(dim=2)
        if prediction.pixels is not None:
            target = normalised_patches(later, self.student.config.patch_size)
            error = error + (prediction.pixels.float() - target).square().mean(dim=2)
        return (error * weight).sum(dim=1) / weight.sum(dim=1)

    def _action_terms(
        self,
        student: StudentTokens,
        later: Tensor,
        proprioception_now: Tensor | None,
        proprioception_later: Tensor | None,
        valid: Tensor | None,
    ) -> dict[str, Tensor]:
        if proprioception_now is None or proprioception_later is None:
            raise SparkError(
                "spark.action_head needs video with proprioception, these clips have none: use recorded episodes, "
                "or set spark.action_head=false"
            )
        first = student.bottleneck.flatten(1)
        second = self.encode(later).bottleneck.flatten(1)
        scale = self.proprioception_std
        change = (proprioception_later - proprioception_now) / scale
        future = (proprioception_later - self.proprioception_mean) / scale
        used = torch.ones_like(change[:, 0]) if valid is None else valid.float()
        inverse_error = F.smooth_l1_loss(
            self.inverse_head(torch.cat([first, second], 1)).float(), change, reduction="none"
        )
        future_error = F.smooth_l1_loss(self.future_head(first).float(), future, reduction="none")
        return {"inverse": inverse_error.mean(dim=1) * used, "future": future_error.mean(dim=1) * used}


def _mlp(inputs: int, outputs: int) -> nn.Sequential:
    return nn.Sequential(nn.Linear(inputs, 256), nn.GELU(), nn.Linear(256, outputs))
