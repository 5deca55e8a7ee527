"""`spark-ros data export rerun`: episodes for Rerun's viewer."""

from __future__ import annotations

import argparse
from pathlib import Path

from spark_ros.commands.common import Verbs, add_verb, natural

_IMAGES = ("jpeg", "png", "video")


def add_to(formats: Verbs) -> None:
    """Adds the format to those of `spark-ros data export`."""
    parser = add_verb(
        formats,
        "rerun",
        "write recordings for the Rerun viewer",
        "Write episodes as Rerun recordings with their true stamps: cameras, joints and setpoints, gripper, pose\n"
        "of the tool, modes and interventions, and what was said of them. Open them with `rerun RECORDING.rrd`.",
    )
    add = parser.add_argument
    add("source", type=Path, help="the folder of demonstrations, or one episode's file")
    add("--out", type=Path, required=True, help="the recording, *.rrd; of a whole folder, a new folder of recordings")
    add("--episode", type=natural, help="one of the folder's, counted from 0, as listed by info (default: all)")
    add("--images", choices=_IMAGES, default="jpeg", help="how pixels are packed (default: jpeg; png loses nothing)")
    parser.set_defaults(run=_export)


def _export(options: argparse.Namespace) -> int:
    from spark_ros.contracts import SparkError
    from spark_ros.data.dataset_folder import DemoFolder
    from spark_ros.data.rerun_export import RerunOptions, export_episode, export_folder
    from spark_ros.data.rerun_images import RerunImages

    how = RerunOptions(images=RerunImages(options.images))
    source = options.source
    if options.episode is not None:
        folder = DemoFolder(source)
        entries = folder.episodes()
        if options.episode >= len(entries):
            raise SparkError(f"{source} has {len(entries)} episodes, --episode {options.episode} is none of them")
        source = folder.file(entries[options.episode])
    if source.is_file():
        export_episode(source, options.out, how)
        print(f"wrote {options.out}; look at it with: rerun {options.out}")
        return 0
    written = export_folder(DemoFolder(source), options.out, how)
    print(f"wrote {len(written)} recordings to {options.out}; look at them with: rerun {options.out}/*.rrd")
    return 0
