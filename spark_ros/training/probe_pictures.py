"""Pictures of a model in or after training: its features, what it foresees, where its bottleneck looks."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import Tensor

from spark_ros.contracts import ImageArray, SparkError
from spark_ros.data.clips import Clip
from spark_ros.encoders.base import normalise_images
from spark_ros.encoders.spark import SparkModel
from spark_ros.training.probe_colours import fit_colours, turned_onto
from spark_ros.training.probe_frames import ProbeClip, ProbeOptions, collect

ROWS = 5  # pictures below each other: more are too small to read
LATER_STEPS = 2  # frames of `OPTIONS.step_s` between now and later
OPTIONS = ProbeOptions(clips=ROWS, frames=24)
HIDDEN = 90  # grey level of what the decoder is not shown


def draw_pictures(model: SparkModel, clips: Sequence[Clip], folder: Path) -> list[Path]:
    """Draw what there is to see, on held-out clips.

    Args:
        model: As it stands; nothing in it is changed.
        clips: Held-out ones; a few are used, of every camera.
        folder: Where to; made if need be, pictures of these names are replaced.

    Returns:
        ``patch_pca.png``, ``prediction.png`` (left out where no decoder was trained) and ``attention.png``; nothing if
        no clip lasts long enough to have a later frame.

    Raises:
        SparkError: A frame cannot be read, or a picture cannot be written.
    """
    import matplotlib

    matplotlib.use("Agg")
    found = _several(collect(clips, model.options.image_size, OPTIONS))
    if not found:
        return []
    now, later = (np.stack(images) for images in zip(*(_most_motion(clip) for clip in found), strict=True))
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with torch.no_grad():
            paths = [
                _draw_features(model, now, np.concatenate([clip.images for clip in found]), folder / "patch_pca.png"),
                _draw_attention(model, now, folder / "attention.png"),
            ]
            if model.options.dynamics_weight:
                paths.insert(1, _draw_prediction(model, now, later, folder / "prediction.png"))
    except OSError as error:
        raise SparkError(f"cannot write pictures to {folder}: {error.strerror or error}; make room there") from error
    return paths


def _draw_features(model: SparkModel, images: ImageArray, more: ImageArray, path: Path) -> Path:
    """Principal components of teacher and student; `more` images make them and the rotation well determined."""
    count = len(images)
    everything = np.concatenate([images, more[:: max(1, len(more) // 64)]])
    parts = [_input(model, everything[start : start + 32]) for start in range(0, len(everything), 32)]
    student = torch.cat([model.encode(part).patches.float().cpu() for part in parts])
    teacher = torch.cat([model.teacher_patches(part).float().cpu() for part in parts])
    shape = student.shape
    student, teacher = student.flatten(0, 1), teacher.flatten(0, 1)
    of_teacher = fit_colours(teacher)
    drawn = of_teacher(teacher)
    of_student = fit_colours(student, like=drawn)
    cosine = F.cosine_similarity(student, teacher, dim=1)
    aligned = turned_onto(student, teacher)
    columns = [drawn, of_teacher(aligned), of_student(student)]
    coloured = [_maps(values.view(*shape[:2], 3)[:count]) for values in columns]
    cosines = _maps(cosine.view(*shape[:2], 1)[:count])[..., 0]
    titles = [
        "image",
        "teacher",
        "student,\nteacher's colours",
        "student,\nits own colours",
        "cosine of patch\nto teacher's",
    ]
    figure, axes = _sheet(
        count, titles, f"Patch features of held-out frames: mean cosine to the teacher {float(cosine.mean()):.3f}"
    )
    for row in range(count):
        axes[row][0].imshow(images[row])
        for column, maps in enumerate(coloured, start=1):
            axes[row][column].imshow(_upsampled(maps[row], images.shape[1]))
        heat = axes[row][4].imshow(cosines[row], cmap="viridis", vmin=min(0.8, cosines.min()), vmax=1.0)
    figure.colorbar(heat, ax=axes[:, 4], shrink=0.5)
    return _save(figure, path)


def _draw_prediction(model: SparkModel, now: ImageArray, later: ImageArray, path: Path) -> Path:
    """What the decoder makes of the later frame, beside the truth."""
    first, second = _input(model, now), _input(model, later)
    prediction = model.predict(first, second, torch.Generator().manual_seed(0))
    visible = prediction.visible.cpu()
    size, count = model.student.config.patch_size, len(now)
    shown = _maps(visible[..., None].float())[..., 0] > 0.5
    hints = np.where(shown.repeat(size, 1).repeat(size, 2)[..., None], later, HIDDEN).astype(np.uint8)
    columns: list[tuple[str, Any, dict[str, Any]]] = [
        ("now, $x_t$", now, {}),
        (f"later, $x_{{t+k}}$\nk = {LATER_STEPS * OPTIONS.step_s:.1f} s", later, {}),
        ("what the decoder\nsees of it", hints, {}),
    ]
    title = "What the bottleneck of now foresees of later, on held-out frames"
    if prediction.features is not None:
        target = model.standardised_target(second).cpu()
        features, before = prediction.features.float().cpu(), model.standardised_target(first).cpu()
        colours = fit_colours(target.flatten(0, 1))
        error, unchanged = (1 - F.cosine_similarity(guess, target, dim=2) for guess in (features, before))
        heat = {"cmap": "magma", "vmin": 0.0, "vmax": 1.0}
        columns += [
            ("features of later", _coloured(colours(target), later), {}),
            ("predicted features", _coloured(colours(features), later), {}),
            ("error, 1 - cosine\n(dark 0, bright 1)", _maps(error[..., None])[..., 0], heat),
            ("error of saying\n'nothing moves'", _maps(unchanged[..., None])[..., 0], heat),
        ]
        means = [float(values[~visible].mean()) for values in (error, unchanged)]
        title += f": error on hidden patches {means[0]:.2f}, of saying 'nothing moves' {means[1]:.2f}"
    if prediction.pixels is not None:
        pixels = _pixels(prediction.pixels.float().cpu(), later, size)
        columns.append(("predicted pixels\n(a patch's mean and\ncontrast are given)", pixels, {}))
    figure, axes = _sheet(count, [name for name, _, _ in columns], title)
    for row in range(count):
        for column, (_, pictures, how) in enumerate(columns):
            axes[row][column].imshow(pictures[row], **how)
    return _save(figure, path)


def _draw_attention(model: SparkModel, images: ImageArray, path: Path) -> Path:
    """Attention of the bottleneck token in the last block: all heads, then each."""
    attention = model.bottleneck_attention(_input(model, images)).cpu()  # (B, heads, N)
    heads = attention.shape[1]
    together = torch.cat([attention.mean(dim=1, keepdim=True), attention], dim=1)
    maps = _maps(together.transpose(1, 2))  # (B, G, G, 1 + heads)
    figure, axes = _sheet(
        len(images),
        ["image", "all heads", *(f"head {number}" for number in range(1, heads + 1))],
        "Where the bottleneck token looks, last block of the student (bright: more; every map has its own scale)",
    )
    for row, image in enumerate(images):
        axes[row][0].imshow(image)
        grey = image.mean(axis=2)
        for column in range(1 + heads):
            heat = _upsampled(maps[row, ..., column : column + 1], len(image))[..., 0]
            axes[row][1 + column].imshow(grey, cmap="gray", vmin=0, vmax=255)
            axes[row][1 + column].imshow(heat, cmap="inferno", alpha=0.65)
    return _save(figure, path)


def _several(clips: Sequence[ProbeClip]) -> list[ProbeClip]:
    """At most `ROWS` clips that are long enough, the cameras in turn."""
    long = [clip for clip in clips if len(clip.stamps_s) > LATER_STEPS]
    cameras = sorted({clip.camera for clip in long})
    queues = [[clip for clip in long if clip.camera == camera] for camera in cameras]
    in_turn = [queue[n] for n in range(max(map(len, queues), default=0)) for queue in queues if n < len(queue)]
    return in_turn[:ROWS]


def _most_motion(clip: ProbeClip) -> tuple[ImageArray, ImageArray]:
    """Two frames `LATER_STEPS` apart between which the picture changes most: elsewhere there is little to foresee."""
    images = clip.images.astype(np.float32)
    change = np.abs(images[LATER_STEPS:] - images[:-LATER_STEPS]).mean(axis=(1, 2, 3))
    begin = int(change.argmax())
    return clip.images[begin], clip.images[begin + LATER_STEPS]


def _input(model: SparkModel, images: ImageArray) -> Tensor:
    return normalise_images(torch.from_numpy(images).to(next(model.parameters()).device))


def _maps(values: Tensor) -> NDArray[np.float32]:
    """(B, N, C) per patch to (B, G, G, C)."""
    grid = round(values.shape[1] ** 0.5)
    return values.reshape(len(values), grid, grid, -1).float().numpy()


def _coloured(colours: Tensor, like: ImageArray) -> NDArray[np.float32]:
    return np.stack([_upsampled(picture, like.shape[1]) for picture in _maps(colours)])


def _upsampled(picture: NDArray[np.float32], side: int) -> NDArray[np.float32]:
    """(G, G, C) to (side, side, C)."""
    planes = torch.from_numpy(picture).permute(2, 0, 1)[None]
    larger = F.interpolate(planes, size=(side, side), mode="bicubic", align_corners=False)[0]
    return larger.permute(1, 2, 0).clamp(float(picture.min()), float(picture.max())).numpy()


def _pixels(predicted: Tensor, later: ImageArray, size: int) -> ImageArray:
    """Predicted patches, normalised each, at the brightness and contrast of the true ones, as (B, S, S, 3) uint8."""
    normalised = normalise_images(torch.from_numpy(later))
    truth = F.unfold(normalised, size, stride=size).transpose(1, 2)
    patches = predicted * truth.std(dim=2, keepdim=True) + truth.mean(dim=2, keepdim=True)
    folded = F.fold(patches.transpose(1, 2), later.shape[1:3], size, stride=size).permute(0, 2, 3, 1)
    black, white = (normalise_images(torch.full((1, 1, 1, 3), value, dtype=torch.uint8)) for value in (0, 255))
    scaled = (folded - black.view(3)) / (white - black).view(3)
    return (255 * scaled).clamp(0, 255).byte().numpy()


def _sheet(rows: int, titles: Sequence[str], title: str) -> tuple[Any, Any]:
    """A figure and its (rows, columns) axes, titles above the columns."""
    from matplotlib import pyplot as plt

    size = (1.75 * len(titles) + 0.5, 1.75 * rows + 0.9)
    figure, axes = plt.subplots(rows, len(titles), figsize=size, squeeze=False, layout="constrained")
    figure.suptitle(title, fontsize=11)
    for axis, name in zip(axes[0], titles, strict=True):
        axis.set_title(name, fontsize=9)
    for axis in axes.flat:
        axis.set_xticks([])
        axis.set_yticks([])
    return figure, axes


def _save(figure: Any, path: Path) -> Path:
    from matplotlib import pyplot as plt

    figure.savefig(path, dpi=110)
    plt.close(figure)
    return path
