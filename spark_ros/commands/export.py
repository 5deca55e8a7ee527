"""`spark-ros export`: from a training run to a bundle."""

from __future__ import annotations

import argparse

from spark_ros.commands.common import Verbs, add_verb


def add_to(verbs: Verbs) -> None:
    """Adds the verb."""
    parser = add_verb(
        verbs,
        "export",
        "turn a training run into a bundle that a robot can use",
        "Export encoder and policy to ONNX, compare them with the trained networks on recorded observations, and seal\n"
        "them with everything that belongs to them. The bundle appears whole or not at all.",
    )
    add = parser.add_argument
    add("--run", required=True, dest="run_dir", metavar="DIR", help="the training run, its out_dir")
    add("--out", required=True, metavar="DIR", help="the bundle's folder; an earlier bundle there is replaced")
    add(
        "--precision",
        default="int8",
        help="int8, int8-static, bf16 or fp32, of the encoder (default: %(default)s)",
    )
    add("--checkpoint", choices=("best", "last"), default="best", help="(default: %(default)s)")
    add("--name", help="the bundle's name (default: that of its folder)")
    add("--demos", metavar="DIR", help="the demonstrations, if they have moved since the training")
    add("--licence", default="not stated", help="under which the policy is passed on (default: %(default)s)")
    parser.set_defaults(run=_run, interrupted="interrupted; nothing was written")


def _run(options: argparse.Namespace) -> int:
    from spark_ros.bundle.export import export_run

    bundle = export_run(
        options.run_dir,
        options.out,
        options.precision,
        options.checkpoint,
        options.name,
        options.demos,
        options.licence,
    )
    size = sum(path.stat().st_size for path in bundle.folder.iterdir()) / 1e6
    print(f"exported: {bundle.folder}, {bundle.manifest.id}, {size:.1f} MB")
    if bundle.manifest.drift is None:
        print("no drift statistics from so few demonstrations: `spark-ros bundle drift` adds them from more")
    print(f"next: spark-ros eval --bundle {bundle.folder}")
    return 0
