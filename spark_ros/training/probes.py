"""Probes: what a model's state says about the scene, and how much of the foundation model is left in it.

Everything is measured on held-out clips, and everything fitted is judged on episodes it was not fitted to:

- where the tool and the simulated objects are, and how fast they move, read linearly from the state;
- which of two states came first;
- how alike the patches are to the original's, block by block, and whether they still find each other again in a moved
  image.

A velocity cannot be seen in one image: it is read from the states of two frames one step apart, [b_t, b_t+1 - b_t],
and is the displacement between them over the time between them.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import ImageArray
from spark_ros.data.clips import Clip
from spark_ros.encoders.base import Encoder
from spark_ros.encoders.spark import SparkModel
from spark_ros.training.probe_fit import MIN_EPISODES, order_accuracy, regress
from spark_ros.training.probe_frames import ProbeClip, ProbeOptions, collect
from spark_ros.training.probe_patches import correspondence, correspondence_chance, likeness
from spark_ros.training.probe_subject import Subject, subject_of_encoder, subject_of_model

SMALLEST_MOTION = 1e-3  # m or m/s; what varies less among all frames is at rest, and its R2 would be one of noise

Array = NDArray[np.float64]


def run_probes(
    model: SparkModel | Encoder, clips: Sequence[Clip], options: ProbeOptions | None = None
) -> dict[str, float]:
    """All probes of a model, on held-out clips; the same figures for the same arguments.

    A `SparkModel` is compared to its own teacher; for an encoder beside another original use `probe`.

    Args:
        model: As it stands; nothing in it is changed.
        clips: Held-out ones.
        options: How much is looked at.

    Returns:
        See `probe`.

    Raises:
        SparkError: A frame cannot be read.
    """
    options = options or ProbeOptions()
    subject = subject_of_model(model) if isinstance(model, SparkModel) else subject_of_encoder(model)
    return probe(subject, collect(clips, subject.image_size, options), options)


def probe(subject: Subject, clips: Sequence[ProbeClip], options: ProbeOptions) -> dict[str, float]:
    """All probes that the subject and the clips allow.

    Args:
        subject: The model.
        clips: From `probe_frames.collect` with the subject's image size.
        options: As there.

    Returns:
        - ``<what>_position_r2``, ``<what>_position_mm``, ``<what>_velocity_r2``, ``<what>_velocity_mm_s`` for the tool
          and every object whose position the clips know and which moves; ``order_accuracy``, chance 0.5: each camera
          is probed by itself, and this is the mean over cameras. Left out with fewer than `MIN_EPISODES` clips each.
        - ``patch_cosine``, ``patch_cka``, ``patch_gram`` of the last block to the original's same block, and
          ``block<n>_cosine``, ``_cka``, ``_gram`` of every block, see `probe_patches.Likeness`.
        - ``correspondence`` in the last block's patches, the mean of ``correspondence_<view>``;
          ``original_correspondence`` of the original's same block, ``correspondence_chance`` of random answers.
    """
    figures = _means([_state_probes(subject, part, options) for part in _by_camera(clips) if len(part) >= MIN_EPISODES])
    if subject.blocks is None or not clips:
        return figures
    figures |= _likeness(subject, _spread(clips, options.patch_images))
    figures |= _correspondence(subject, _spread(clips, options.view_images))
    return figures


def _state_probes(subject: Subject, clips: Sequence[ProbeClip], options: ProbeOptions) -> dict[str, float]:
    """Probes of the state, for the clips of one camera."""
    states = [subject.state(clip.images).double().numpy() for clip in clips]
    figures: dict[str, float] = {}
    for name in sorted(set.intersection(*(set(clip.positions) for clip in clips))):
        positions = [clip.positions[name] for clip in clips]
        figures |= _regression(f"{name}_position", "mm", states, positions, options.seed)
        moving = [number for number, clip in enumerate(clips) if len(clip.stamps_s) > 1]
        pairs = [np.concatenate([states[n][:-1], np.diff(states[n], axis=0)], axis=1) for n in moving]
        speeds = [np.diff(positions[n], axis=0) / np.diff(clips[n].stamps_s)[:, None] for n in moving]
        figures |= _regression(f"{name}_velocity", "mm_s", pairs, speeds, options.seed)
    step = options.order_steps
    long = [state for state in states if len(state) > step]
    if len(long) >= MIN_EPISODES:
        first, second = [state[:-step] for state in long], [state[step:] for state in long]
        figures["order_accuracy"] = order_accuracy(first, second, options.seed)
    return figures


def _regression(
    name: str, unit: str, features: Sequence[Array], labels: Sequence[Array], seed: int
) -> dict[str, float]:
    if len(features) < MIN_EPISODES or np.concatenate(labels).std(axis=0).max() < SMALLEST_MOTION:
        return {}
    fit = regress(features, labels, seed)
    return {f"{name}_r2": fit.r2, f"{name}_{unit}": 1e3 * fit.error}


def _likeness(subject: Subject, images: ImageArray) -> dict[str, float]:
    if subject.blocks is None or subject.original is None:
        return {}
    figures: dict[str, float] = {}
    ours = subject.blocks(images)
    for number, (here, there) in enumerate(zip(ours, subject.original(images), strict=False), start=1):
        alike = likeness(here, there)
        names = (f"block{number}", "patch") if number == len(ours) else (f"block{number}",)
        for name in names:
            figures |= {f"{name}_cosine": alike.cosine, f"{name}_cka": alike.cka, f"{name}_gram": alike.gram}
    return figures


def _correspondence(subject: Subject, images: ImageArray) -> dict[str, float]:
    blocks, original = subject.blocks, subject.original
    if blocks is None:
        return {}
    right = correspondence(lambda seen: blocks(seen)[-1], images)
    if not right:
        return {}
    figures = {f"correspondence_{name}": value for name, value in right.items()}
    figures["correspondence"] = float(np.mean(list(right.values())))
    ours = blocks(images[:1])
    figures["correspondence_chance"] = correspondence_chance(images.shape[1], round(ours[-1].shape[1] ** 0.5))
    if original is not None and len(original(images[:1])) >= len(ours):
        reference = correspondence(lambda seen: original(seen)[len(ours) - 1], images)
        figures["original_correspondence"] = float(np.mean(list(reference.values())))
    return figures


def _by_camera(clips: Sequence[ProbeClip]) -> list[list[ProbeClip]]:
    return [[clip for clip in clips if clip.camera == camera] for camera in sorted({clip.camera for clip in clips})]


def _spread(clips: Sequence[ProbeClip], count: int) -> ImageArray:
    """At most `count` images, evenly spread over clips and times."""
    images = np.concatenate([clip.images for clip in clips])
    return images[np.linspace(0, len(images) - 1, min(count, len(images))).round().astype(int)]


def _means(parts: Sequence[dict[str, float]]) -> dict[str, float]:
    """Per key, over the parts that have it."""
    names = sorted({name for part in parts for name in part})
    return {name: float(np.mean([part[name] for part in parts if name in part])) for name in names}
