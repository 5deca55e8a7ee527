"""Encoder tokens of every training image, computed once and kept on disk.

A frozen encoder gives the same tokens in every epoch, and encoding costs a hundred times a policy step. So every
episode is encoded once as it is and once per augmented copy; a file holds one version of one episode and is named by a
hash of everything that determines its content: the episode's bytes, the encoder's weights, the preprocessing and the
augmentation. Files appear whole or not at all, so an interrupted run continues where it was.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm import tqdm

from spark_ros.contracts import ImageArray, SparkError
from spark_ros.data.preprocess import ImagePreprocess
from spark_ros.data.samples import EpisodeSamples, PolicySamples
from spark_ros.encoders.base import Encoder, fast_inference, normalise_images
from spark_ros.policies.options import write_options
from spark_ros.training.augment import augment
from spark_ros.training.config import AugmentationOptions

LAYOUT = 2  # raise when the meaning of a file's content changes
# Larger batches are no faster on two cores, and 64 images keep a ViT-S below 1 GiB.
ENCODE_BATCH = 64

Tokens = NDArray[np.float16]


@dataclass(frozen=True)
class FeatureCache:
    """Computes and finds token files.

    Attributes:
        folder: Where they lie; made when needed.
        encoder: In evaluation mode.
        preprocess: Camera image to the encoder's square.
        augmentation: Of the copies.
        seed: Of the augmentation.
    """

    folder: Path
    encoder: Encoder
    preprocess: ImagePreprocess
    augmentation: AugmentationOptions
    seed: int

    def tokens(
        self, samples: PolicySamples, versions: list[int], stop: Callable[[], bool] = lambda: False
    ) -> list[list[Tokens]]:
        """Tokens of every episode, encoding what is not there yet.

        Args:
            samples: The samples.
            versions: How many versions of each episode are wanted: 1 is the images as recorded.
            stop: Asked before every file; True ends the work with what is finished.

        Returns:
            Per episode its versions, each a read-only (T, C, K, D) float16 memory map; fewer than asked if stopped.

        Raises:
            SparkError: The folder cannot be written, or the encoder gave something that is not finite.
        """
        encoder = fingerprint(self.encoder)
        wanted = [
            (episode, version, self._path(samples, episode, version, encoder))
            for episode, count in zip(samples.episodes, versions, strict=True)
            for version in range(count)
        ]
        missing = [entry for entry in wanted if not entry[2].exists()]
        images = sum(len(episode) for episode, _, _ in missing) * len(samples.cameras)
        with tqdm(total=images, desc="encoding", unit="image", disable=not missing) as progress:
            for episode, version, path in missing:
                if stop():
                    break
                self._encode(samples, episode, version, path)
                progress.update(len(episode) * len(samples.cameras))
        found: dict[str, list[Tokens]] = {episode.entry.sha256: [] for episode in samples.episodes}
        for episode, _, path in wanted:
            if path.exists():
                found[episode.entry.sha256].append(np.load(path, mmap_mode="r"))
        return [found[episode.entry.sha256] for episode in samples.episodes]

    def _path(self, samples: PolicySamples, episode: EpisodeSamples, version: int, encoder: str) -> Path:
        content = {
            "layout": LAYOUT,
            "episode": episode.entry.sha256,
            "frames": {camera: episode.frame_index[camera].tolist() for camera in samples.cameras},
            "encoder": encoder,
            "preprocess": [self.preprocess.size, self.preprocess.crop],
        }
        if version:
            augmentation = write_options(self.augmentation)
            del augmentation["copies"]  # more copies must not make the first ones worthless
            content["augmentation"] = [version, self.seed, augmentation]
        digest = hashlib.sha256(json.dumps(content).encode()).hexdigest()
        return self.folder / f"{digest[:32]}.npy"

    def _encode(self, samples: PolicySamples, episode: EpisodeSamples, version: int, path: Path) -> None:
        images = np.stack(
            [
                np.stack([self.preprocess(episode.image(camera, sample)) for camera in samples.cameras])
                for sample in range(len(episode))
            ]
        )  # (T, C, S, S, 3)
        flat = images.reshape(-1, *images.shape[2:])
        if version:
            entropy = [self.seed, version, int(episode.entry.sha256[:16], 16)]
            flat = augment(flat, self.augmentation, np.random.default_rng(entropy))
        tokens = encode(self.encoder, flat)
        if not np.isfinite(tokens).all():
            raise SparkError(
                f"the encoder gave values beyond float16 for {episode.entry.file}: "
                "use encoder.norm=final or other weights"
            )
        save_atomically(path, tokens.reshape(*images.shape[:2], *tokens.shape[1:]))


def encode(encoder: Encoder, images: ImageArray) -> Tokens:
    """(N, S, S, 3) uint8 images to (N, K, D) float16 tokens."""
    device = next(encoder.parameters()).device
    with fast_inference(device):
        batches = [
            encoder(normalise_images(torch.from_numpy(images[start : start + ENCODE_BATCH]).to(device))).half().cpu()
            for start in range(0, len(images), ENCODE_BATCH)
        ]
    return torch.cat(batches).numpy()


def fingerprint(encoder: Encoder) -> str:
    """SHA-256 of an encoder's recipe and every weight in it."""
    digest = hashlib.sha256(json.dumps(encoder.recipe, sort_keys=True).encode())
    for name, tensor in sorted(encoder.state_dict().items()):
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().numpy().tobytes())
    return digest.hexdigest()


def save_atomically(path: Path, array: NDArray[np.generic]) -> None:
    """Write an array so that `path` appears whole or not at all.

    Raises:
        SparkError: It cannot be written.
    """
    temporary = path.with_name(f"{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with temporary.open("wb") as file:
            np.save(file, array)
        os.replace(temporary, path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        reason = error.strerror or error  # numpy's own error has no strerror
        raise SparkError(f"cannot write {path}: {reason}; make room or set cache_dir elsewhere") from error
