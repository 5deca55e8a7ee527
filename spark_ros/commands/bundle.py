"""`spark-ros bundle`: what is in a bundle, and whether it works here."""

from __future__ import annotations

import argparse

from spark_ros.commands.common import Verbs, add_verb


def add_to(verbs: Verbs) -> None:
    """Adds the verb."""
    parser = add_verb(verbs, "bundle", "look into a bundle, or test it on this machine")
    what = parser.add_subparsers(metavar="<what>", required=True)
    inspect = add_verb(what, "inspect", "say what a bundle is and needs, after checking its hashes")
    inspect.add_argument("bundle", help="name of a folder in models/, or a path")
    inspect.add_argument("--json", action="store_true", help="print the whole manifest as JSON")
    inspect.set_defaults(run=_inspect)
    verify = add_verb(
        what,
        "verify",
        "load both graphs and check that they reproduce the recorded outputs here",
        "Check the hashes, load both graphs as the robot does, and compare them with the outputs recorded at export.",
    )
    verify.add_argument("bundle", help="name of a folder in models/, or a path")
    verify.set_defaults(run=_verify)


def _inspect(options: argparse.Namespace) -> int:
    from spark_ros.bundle.load import load_bundle
    from spark_ros.evaluation.pilots import describe_bundle
    from spark_ros.shares import bundle_directory

    bundle = load_bundle(bundle_directory(options.bundle))
    if options.json:
        print(bundle.manifest.model_dump_json(indent=1))
        return 0
    facts = {"folder": str(bundle.folder), "task": bundle.manifest.task, **describe_bundle(bundle)}
    for heading, text in facts.items():
        print(f"{heading:>10}  {text}")
    for name, digest in bundle.manifest.files.items():
        size = (bundle.folder / name).stat().st_size / 1e6
        print(f"{'file':>10}  {name:<18} {size:7.2f} MB  {digest[:12]}")
    return 0


def _verify(options: argparse.Namespace) -> int:
    from spark_ros.bundle.load import load_bundle
    from spark_ros.runtime.encoder_runtime import EncoderRuntime
    from spark_ros.runtime.policy_runtime import PolicyRuntime
    from spark_ros.shares import bundle_directory

    bundle = load_bundle(bundle_directory(options.bundle))
    print(f"ok  {len(bundle.manifest.files)} files are those that were exported")
    EncoderRuntime(bundle)
    print("ok  the encoder reproduces its recorded tokens")
    PolicyRuntime(bundle)
    print("ok  the policy reproduces its recorded actions")
    print(f"{bundle.manifest.id} works on this machine")
    return 0
