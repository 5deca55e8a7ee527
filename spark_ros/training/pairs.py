"""Pairs of frames of one clip, a drawn time apart: what an encoder is post-trained on.

A batch is a pure function of the run's seed and the step's number. A run that was killed goes on with exactly the pairs
it would have seen, and the parts of several processes make up the batch of one.
"""

from __future__ import annotations

import warnings
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from spark_ros.contracts import ImageArray, SparkError
from spark_ros.data.clips import Clip
from spark_ros.data.preprocess import ImagePreprocess, scaled
from spark_ros.training.frames import FrameStore

FRAMES = ("cache", "decode")
STORED_SCALE = 1.25  # stored frames are this much larger than the input, so that a crop is not all interpolation
JITTER_S = 0.005  # by which the stamps of a regular camera wander


@dataclass(frozen=True)
class PairOptions:
    """Which video, and how pairs are drawn from it.

    Attributes:
        folders: Recorded episodes, LeRobot v3 datasets or trees of video files.
        cameras: Only these; null for all. Video files have no named cameras and are all taken.
        damaged: What to do with a video file that cannot be opened: ``refuse`` or ``skip``.
        gap_s: Smallest and largest time between the two frames, drawn uniformly.
        same_frame_crop: The second frame is another crop of the first: what is learnt without any time.
        crop: ``center`` or ``none``, see `data.preprocess.ImagePreprocess`.
        crop_scale: Smallest and largest part of the picture's area that a random crop shows. Both frames of a pair are
            cropped alike, so that what seems to move moves.
        brightness: Largest relative change of brightness, the same for both frames, see `PairBatch.colours`.
        colour: Largest relative change of each colour channel, the same for both frames.
        hue: Largest turn of all hues, the same for both frames, as a part of the circle: 0.5 makes any colour of any.
        flip: Mirror half of the pairs; a mirrored robot is another robot, so off by default.
        validation_fraction: Part of the episodes that is held out, at least one.
        frames: ``cache`` decodes every frame once and keeps it on disk; ``decode`` keeps nothing.
    """

    folders: tuple[str, ...]
    cameras: tuple[str, ...] | None = None
    damaged: str = "refuse"
    gap_s: tuple[float, float] = (0.1, 0.8)
    same_frame_crop: bool = False
    crop: str = "center"
    crop_scale: tuple[float, float] = (0.6, 1.0)
    brightness: float = 0.3
    colour: float = 0.3
    hue: float = 0.0
    flip: bool = False
    validation_fraction: float = 0.1
    frames: str = "cache"


@dataclass(frozen=True)
class PairBatch:
    """B pairs.

    Attributes:
        now: (B, S, S, 3) uint8, the earlier frames.
        later: (B, S, S, 3) uint8.
        colours: (B, 3, 3) float32, by which `recolour` is to multiply the RGB of both frames; the identity where
            nothing was drawn.
        gap_s: (B,) float64, true time between them.
        clip: (B,) int64, number of each pair's clip in the sampler.
        names: Of the sampler's clips.
        proprioception_now: (B, P) float32 at `now`; None where it was not asked for.
        proprioception_later: (B, P) float32 at `later`.
    """

    now: Tensor
    later: Tensor
    colours: Tensor
    gap_s: NDArray[np.float64]
    clip: NDArray[np.int64]
    names: list[str]
    proprioception_now: Tensor | None = None
    proprioception_later: Tensor | None = None


class PairSampler:
    """Draws pairs.

    Args:
        clips: Where from; those without two frames whose time apart is a gap are left out with a warning that names
            them.
        options: How.
        image_size: S.
        seed: Of everything that is drawn.
        cache_dir: Where decoded frames are kept.
        augment: Whether pairs are cropped and recoloured; for validation they are not.
        with_state: Whether batches carry proprioception, for the action head.
        stop: Asked while frames are being decoded; True ends that.

    Attributes:
        names: ``<episode> <camera>`` of every clip in use.

    Raises:
        SparkError: No clip is long enough, an option makes no sense, a frame cannot be decoded, or a clip has not the
            proprioception that was asked for.
    """

    def __init__(
        self,
        clips: Sequence[Clip],
        options: PairOptions,
        image_size: int,
        seed: int,
        cache_dir: Path,
        augment: bool = True,
        with_state: bool = False,
        stop: Callable[[], bool] = lambda: False,
    ) -> None:
        _check(options)
        self._options, self._size, self._seed, self._augment = options, image_size, seed, augment
        self._clips, self._usable = _with_pairs(clips, options.gap_s)
        self.names = [f"{clip.name} {clip.camera}" for clip in self._clips]
        self._ends = np.cumsum([len(usable) for usable in self._usable])
        self._cropped = augment or options.same_frame_crop
        # Images that are not cropped are to be what the robot's own preprocessing gives, so they are stored like that.
        stored = ImagePreprocess(round(STORED_SCALE * image_size) if self._cropped else image_size, options.crop)
        self._store = FrameStore(self._clips, stored, cache_dir if options.frames == "cache" else None, stop)
        self._with_state = with_state
        self._states = [_proprioception(clip) for clip in self._clips] if with_state else []

    def batch(self, step: int, size: int, rank: int = 0, world: int = 1) -> PairBatch:
        """The pairs of a step.

        Args:
            step: Number of the step.
            size: Pairs of all processes together.
            rank: Which of the processes.
            world: How many there are; `size` must divide by it.
        """
        part = range(rank * size // world, (rank + 1) * size // world)
        images = np.empty((2, len(part), self._size, self._size, 3), np.uint8)
        colours = np.broadcast_to(np.eye(3, dtype=np.float32), (len(part), 3, 3)).copy()
        clips, gaps = np.empty(len(part), np.int64), np.empty(len(part))
        frames = np.empty((2, len(part)), np.int64)
        for row, pair in enumerate(part):
            # Every pair has a generator of its own: no process draws what others need.
            rng = np.random.default_rng([self._seed, 7, step, pair])
            clip, now, later = self._draw(rng)
            view = _View.draw(rng, self._options)
            # The camera does not move between the frames of a pair; in the control nothing else does.
            other = view.elsewhere(rng, self._options) if self._options.same_frame_crop else view
            images[0, row] = self._show(self._store.frame(clip, now), view)
            images[1, row] = self._show(self._store.frame(clip, later), other)
            if self._augment:
                colours[row] = view.colours
            stamps = self._clips[clip].stamps_s
            clips[row], gaps[row], frames[:, row] = clip, stamps[later] - stamps[now], (now, later)
        state_now, state_later = (self._state(clips, numbers) for numbers in frames)
        now_images, later_images = torch.from_numpy(images)
        return PairBatch(
            now_images, later_images, torch.from_numpy(colours), gaps, clips, self.names, state_now, state_later
        )

    def prefetch(
        self, size: int, first: int, end: int, rank: int = 0, world: int = 1, workers: int = 1
    ) -> Iterator[PairBatch]:
        """The batches of steps `first` to `end` - 1, made by `workers` threads ahead of the caller; 0 for none."""
        if workers == 0:
            yield from (self.batch(step, size, rank, world) for step in range(first, end))
            return
        with ThreadPoolExecutor(workers) as pool:
            coming: deque[Future[PairBatch]] = deque()
            try:
                for step in range(first, end):
                    while len(coming) <= workers and step + len(coming) < end:
                        coming.append(pool.submit(self.batch, step + len(coming), size, rank, world))
                    yield coming.popleft().result()
            finally:
                for future in coming:
                    future.cancel()

    def _draw(self, rng: np.random.Generator) -> tuple[int, int, int]:
        """A clip, a frame of it, and a later one.

        The gap is drawn before the frame, so that no gap is rarer for the frames at a clip's end, after which only
        short ones are left.
        """
        clip = int(np.searchsorted(self._ends, rng.integers(self._ends[-1]), "right"))
        stamps, usable = self._clips[clip].stamps_s, self._usable[clip]
        least, most = self._options.gap_s
        gap = rng.uniform(least, max(least, min(most, stamps[-1] - stamps[0])))
        before_end = np.searchsorted(stamps, stamps[-1] - gap + JITTER_S, "right")
        now = int(usable[rng.integers(max(1, np.searchsorted(usable, before_end)))])
        if self._options.same_frame_crop:
            return clip, now, now
        first, end = (int(bound[0]) for bound in _later_frames(stamps, stamps[now : now + 1], self._options.gap_s))
        later = first + int(np.abs(stamps[first:end] - stamps[now] - gap).argmin())
        return clip, now, later

    def _show(self, stored: ImageArray, view: _View) -> ImageArray:
        if not self._cropped:
            return scaled(stored, self._size)
        image = view.of(stored, self._size)
        return image[:, ::-1] if view.mirrored and self._augment else image

    def _state(self, clips: NDArray[np.int64], frames: NDArray[np.int64]) -> Tensor | None:
        if not self._with_state:
            return None
        return torch.from_numpy(
            np.stack([self._states[clip][frame] for clip, frame in zip(clips, frames, strict=True)])
        )


@dataclass(frozen=True)
class _View:
    """A random crop and recolouring."""

    scale: float  # of the crop's side
    left: float  # where in the room that is left, 0..1
    top: float
    mirrored: bool
    colours: NDArray[np.float32]  # (3, 3), RGB to RGB

    @staticmethod
    def draw(rng: np.random.Generator, options: PairOptions) -> _View:
        scale = float(np.sqrt(rng.uniform(*options.crop_scale)))
        left, top = rng.random(2)
        mirrored = bool(rng.random() < 0.5) and options.flip
        brightness = 1.0 + rng.uniform(-options.brightness, options.brightness)
        colours = np.diag(brightness * (1.0 + rng.uniform(-options.colour, options.colour, 3)))
        if options.hue:
            colours = colours @ _turned_hues(rng.uniform(-options.hue, options.hue))
        return _View(scale, float(left), float(top), mirrored, colours.astype(np.float32))

    def elsewhere(self, rng: np.random.Generator, options: PairOptions) -> _View:
        """Another crop, in the same colours and not mirrored again."""
        other = _View.draw(rng, options)
        return replace(other, mirrored=self.mirrored, colours=self.colours)

    def of(self, image: ImageArray, size: int) -> ImageArray:
        """(size, size, 3), the crop of a square image."""
        side = image.shape[0]
        crop = max(1, round(self.scale * side))
        left, top = (round(part * (side - crop)) for part in (self.left, self.top))
        return scaled(image[top : top + crop, left : left + crop], size)


def recolour(images: Tensor, colours: Tensor) -> Tensor:
    """(B, S, S, 3) uint8 with every RGB multiplied by (B, 3, 3), saturating; on the device of `images`."""
    matrices = colours.to(images.device).transpose(1, 2)[:, None]  # for rows of RGB
    return (images.float() @ matrices).clamp_(0.0, 255.0).to(torch.uint8)


def _turned_hues(part: float) -> NDArray[np.float64]:
    """(3, 3) that turns RGB about the grey axis by a part of the circle; grey stays as it is."""
    angle = 2.0 * np.pi * part
    axis = np.full((3, 3), 1.0 / np.sqrt(3.0)) * [[0, -1, 1], [1, 0, -1], [-1, 1, 0]]  # a cross product
    return np.asarray(np.eye(3) + np.sin(angle) * axis + (1.0 - np.cos(angle)) * axis @ axis)


def split_clips(clips: Sequence[Clip], fraction: float, seed: int) -> tuple[list[Clip], list[Clip]]:
    """Clips to learn from and clips held out; all cameras of an episode go the same way.

    Raises:
        SparkError: There are fewer than two episodes.
    """
    names = sorted({clip.name for clip in clips})
    if len(names) < 2:
        raise SparkError(
            f"found {len(names)} episode of video, expected at least 2 so that one can be held out: record more"
        )
    count = min(len(names) - 1, max(1, round(fraction * len(names))))
    held_out = {names[i] for i in np.random.default_rng([seed, 6]).permutation(len(names))[:count]}
    return [clip for clip in clips if clip.name not in held_out], [clip for clip in clips if clip.name in held_out]


def _proprioception(clip: Clip) -> NDArray[np.float32]:
    state = clip.proprioception
    if state is None:
        raise SparkError(
            f"{clip.name} has no proprioception: use recorded episodes only, or set spark.action_head=false"
        )
    return state


def _with_pairs(clips: Sequence[Clip], gap_s: tuple[float, float]) -> tuple[list[Clip], list[NDArray[np.int32]]]:
    """The clips with a pair in them, and of each the frames that have a later one within the gap's bounds."""
    usable = []
    for clip in clips:
        first, end = _later_frames(clip.stamps_s, clip.stamps_s, gap_s)
        usable.append(np.flatnonzero(first < end).astype(np.int32))
    short = [
        f"{clip.name} {clip.camera} ({len(clip.stamps_s)} {'frame' if len(clip.stamps_s) == 1 else 'frames'})"
        for clip, frames in zip(clips, usable, strict=True)
        if not len(frames)
    ]
    if short:
        names = ", ".join(short[:5]) + (f" and {len(short) - 5} more" if len(short) > 5 else "")
        reason = f"no two frames are {gap_s[0]:g} to {gap_s[1]:g} s apart in {names}"
        if len(short) == len(clips):
            raise SparkError(f"{reason}, and there is no other video: use longer video or another data.gap_s")
        warnings.warn(f"left out: {reason}", stacklevel=3)
    kept = [number for number, frames in enumerate(usable) if len(frames)]
    return [clips[number] for number in kept], [usable[number] for number in kept]


def _later_frames(
    stamps: NDArray[np.float64], now: NDArray[np.float64], gap_s: tuple[float, float]
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Of each time in `now`, the first frame later by the smallest gap, and the first one beyond the largest."""
    first = np.searchsorted(stamps, now + max(gap_s[0] - JITTER_S, 1e-9), "left")
    return first, np.searchsorted(stamps, now + gap_s[1] + JITTER_S, "right")


def _check(options: PairOptions) -> None:
    low, high = options.gap_s
    if not 0.0 < low <= high:
        raise SparkError(f"data.gap_s is {low} to {high}: expected 0 < smallest <= largest, in seconds")
    small, large = options.crop_scale
    if not 0.0 < small <= large <= 1.0:
        raise SparkError(f"data.crop_scale is {small} to {large}: expected 0 < smallest <= largest <= 1")
    if not 0.0 <= options.hue <= 0.5:
        raise SparkError(f"data.hue is {options.hue}: expected a part of the circle from 0 to 0.5")
    if options.frames not in FRAMES:
        raise SparkError(f"data.frames is {options.frames!r}: use one of {', '.join(FRAMES)}")
