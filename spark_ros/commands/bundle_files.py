"""`spark-ros bundle diff|pack|unpack|push|pull`: bundles compared, as one file, and in a hub's repository."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

from spark_ros.commands.common import Verbs, add_verb

_SHOWN = 12  # lines of a heading; all of them are in --json
BUNDLE = "name of a folder in models/, or the path of a folder or of a packed bundle"


def add_to(what: Verbs) -> None:
    """Adds the verbs."""
    diff = add_verb(what, "diff", "say how two bundles differ; exit status 0 if they do not, 1 if they do")
    diff.add_argument("left", help=BUNDLE)
    diff.add_argument("right", help="likewise")
    diff.add_argument("--json", action="store_true", help="print everything as JSON")
    diff.set_defaults(run=_diff)

    pack = add_verb(what, "pack", "write a bundle into one file, the same bytes for the same bundle")
    pack.add_argument("bundle", help=BUNDLE)
    pack.add_argument("--out", metavar="FILE", help="(default: <id>.tar here)")
    pack.set_defaults(run=_pack, interrupted="interrupted; nothing was written")

    unpack = add_verb(
        what,
        "unpack",
        "write a packed bundle's files into a new folder, after checking them",
        "Write a packed bundle's files into a new folder, after checking them. Not needed to run it: eval, up and\n"
        "launch take the packed file itself.",
    )
    unpack.add_argument("archive", help="what `spark-ros bundle pack` wrote")
    unpack.add_argument("--out", metavar="DIR", help="(default: the bundle's file name without .tar, here)")
    unpack.set_defaults(run=_unpack, interrupted="interrupted; nothing was written")

    push = add_verb(
        what,
        "push",
        "upload a bundle to a hub's repository, and say by which commit to pull it",
        "Upload a bundle as one commit of a repository, made private if it is not there. The hub and the login are\n"
        "those of huggingface_hub (HF_ENDPOINT, `hf auth login`).",
    )
    push.add_argument("bundle", help=BUNDLE)
    push.add_argument("repository", help="<user>/<repository>")
    push.add_argument("--public", action="store_true", help="a repository that is made can be seen by everybody")
    push.set_defaults(run=_push)

    pull = add_verb(what, "pull", "download a bundle from a hub's repository by its commit, and check it")
    pull.add_argument("reference", help="<user>/<repository>@<commit>, as push printed it")
    pull.add_argument("--out", metavar="DIR", help="(default: the repository's name, here)")
    pull.set_defaults(run=_pull, interrupted="interrupted; nothing was written")


def _diff(options: argparse.Namespace) -> int:
    from spark_ros.bundle.diff import diff_bundles
    from spark_ros.bundle.load import open_files
    from spark_ros.shares import bundle_directory

    found = diff_bundles(open_files(bundle_directory(options.left)), open_files(bundle_directory(options.right)))
    if options.json:
        print(json.dumps(found.to_json(), indent=1))
    elif found.same:
        print(f"both are {found.ids[0]}")
    else:
        print(f"{found.ids[0]} -> {found.ids[1]}")
        for heading in ("manifest", "files", "statistics", "parity"):
            changes = getattr(found, heading)
            print(f"{heading}: {len(changes) or 'nothing'} differ{'s' if len(changes) < 2 else ''}")
            for change in changes[:_SHOWN]:
                print(f"  {change}")
            if len(changes) > _SHOWN:
                print(f"  and {len(changes) - _SHOWN} more, see --json")
    return 0 if found.same else 1


def _pack(options: argparse.Namespace) -> int:
    from spark_ros.bundle.archive import pack
    from spark_ros.bundle.load import open_files
    from spark_ros.contracts import SparkError
    from spark_ros.data.file_hash import file_sha256
    from spark_ros.shares import BUNDLE_SUFFIX, bundle_directory

    folder, manifest = open_files(bundle_directory(options.bundle))
    archive = Path(options.out or f"{manifest.id}{BUNDLE_SUFFIX}")
    if archive.suffix != BUNDLE_SUFFIX:
        raise SparkError(f"--out {archive} does not end in {BUNDLE_SUFFIX}, by which packed bundles are known: add it")
    pack(folder, archive)
    print(f"packed: {archive}, {archive.stat().st_size / 1e6:.1f} MB, SHA-256 {file_sha256(archive)}")
    return 0


def _unpack(options: argparse.Namespace) -> int:
    from spark_ros.bundle.archive import unpack

    folder = Path(options.out or Path(options.archive).stem)
    manifest = unpack(Path(options.archive), folder)
    print(f"unpacked: {folder}, {manifest.id}")
    return 0


def _push(options: argparse.Namespace) -> int:
    from spark_ros.bundle.hub import push
    from spark_ros.bundle.load import open_files
    from spark_ros.shares import bundle_directory

    folder, _ = open_files(bundle_directory(options.bundle))
    pushed = push(folder, options.repository, private=not options.public)
    print(f"pushed: {pushed.manifest.id}\nanywhere else: spark-ros bundle pull {pushed.reference}")
    return 0


def _pull(options: argparse.Namespace) -> int:
    from spark_ros.bundle.hub import pull

    folder = Path(options.out or options.reference.partition("@")[0].rpartition("/")[2])
    manifest = pull(options.reference, folder)
    print(f"pulled: {folder}, {manifest.id}")
    return 0
