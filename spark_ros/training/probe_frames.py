"""The frames that probes look at, and what was true in them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from spark_ros.contracts import ImageArray
from spark_ros.data.clips import Clip
from spark_ros.data.preprocess import ImagePreprocess

Array = NDArray[np.float64]
POSITION = "_position"  # how the simulator names what has coordinates, as in cube_position
TOOL = "tool"


@dataclass(frozen=True)
class ProbeOptions:
    """How much is looked at; by default what a training run can afford every few minutes.

    Something that lies still in every episode is seen in as many places as there are clips: with few of them its R2 is
    a rough one, to be compared between steps of one run; quote what `benchmarks/probes.py` finds in a whole folder.

    Attributes:
        clips: Episodes per camera at most, evenly spread over those given; null for all.
        frames: Frames of an episode at most, in a row from a drawn place.
        step_s: Time between them; velocities are taken over one step.
        order_steps: Steps between the two states whose order is asked for.
        patch_images: Frames whose patches are compared to the original's.
        view_images: Frames for dense correspondence.
        seed: Of what is drawn and of the splits.
    """

    clips: int | None = 20
    frames: int = 8
    step_s: float = 0.2
    order_steps: int = 2
    patch_images: int = 24
    view_images: int = 8
    seed: int = 0


@dataclass(frozen=True)
class ProbeClip:
    """What probes see of one clip.

    Attributes:
        camera: Its camera.
        images: (T, S, S, 3) uint8.
        stamps_s: (T,) capture times.
        positions: (T, 3) in metres by what is there: ``tool``, and objects of a simulated scene.
    """

    camera: str
    images: ImageArray
    stamps_s: Array
    positions: dict[str, Array]


def collect(clips: Sequence[Clip], image_size: int, options: ProbeOptions) -> list[ProbeClip]:
    """Read and scale the frames that the options ask for.

    Args:
        clips: Held-out clips of any number of cameras.
        image_size: Side of the square in pixels.
        options: How much.

    Raises:
        SparkError: A frame cannot be read.
    """
    preprocess = ImagePreprocess(image_size)
    found = []
    for camera in sorted({clip.camera for clip in clips}):
        of_camera = [clip for clip in clips if clip.camera == camera and len(clip.stamps_s) > 1]
        count = len(of_camera) if options.clips is None else min(options.clips, len(of_camera))
        for number in np.linspace(0, len(of_camera) - 1, count).round().astype(int):
            clip = of_camera[number]
            frames = _frames(clip.stamps_s, options, np.random.default_rng([options.seed, number]))
            images = np.stack([preprocess(clip.image(int(frame))) for frame in frames])
            positions = {name: values[frames] for name, values in _positions(clip).items()}
            found.append(ProbeClip(camera, images, clip.stamps_s[frames], positions))
    return found


def _frames(stamps_s: Array, options: ProbeOptions, rng: np.random.Generator) -> NDArray[np.int64]:
    """Indices of frames `step_s` apart, as nearly as the video has them."""
    spare_s = max(0.0, stamps_s[-1] - stamps_s[0] - (options.frames - 1) * options.step_s)
    begin_s = stamps_s[0] + rng.uniform(0.0, spare_s)
    wanted = np.arange(begin_s, stamps_s[-1] + 1e-6, options.step_s)[: options.frames]
    after = np.clip(np.searchsorted(stamps_s, wanted), 1, len(stamps_s) - 1)
    nearest = np.where(stamps_s[after] - wanted < wanted - stamps_s[after - 1], after, after - 1)
    return np.unique(nearest)


def _positions(clip: Clip) -> dict[str, Array]:
    """(T, 3) by name."""
    named = {
        name.removesuffix(POSITION): np.asarray(values, np.float64)
        for name, values in (clip.object_state or {}).items()
        if name.endswith(POSITION)
    }
    return {name: values for name, values in named.items() if values.shape == (len(clip.stamps_s), 3)}
