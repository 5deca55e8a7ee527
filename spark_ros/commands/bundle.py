"""`spark-ros bundle`: what is in a bundle, and whether it works here."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from spark_ros.commands import bundle_files
from spark_ros.commands.common import Verbs, add_verb

if TYPE_CHECKING:
    from spark_ros.bundle.load import Bundle


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
    drift = add_verb(
        what,
        "drift",
        "teach a bundle what its cameras usually show, so that it notices when they show something else",
        "Compute drift statistics with the bundle's own encoder and store them in it; the graphs stay as they are.\n"
        "perception then publishes /perception/drift, 1 being the border; the gateway holds where drift_limit says so.",
    )
    drift.add_argument("bundle", help="name of a folder in models/, or a path; must be writable")
    drift.add_argument("--demos", required=True, metavar="DIR", help="demonstrations in the scene of the training")
    drift.add_argument(
        "--false-alarm-rate",
        type=float,
        default=0.05,
        metavar="RATE",
        help="part of nominal episodes that may raise an alarm (default: %(default)s)",
    )
    drift.set_defaults(run=_drift, interrupted="interrupted; the bundle is as it was")
    bundle_files.add_to(what)


def _inspect(options: argparse.Namespace) -> int:
    from spark_ros.bundle.load import load_bundle
    from spark_ros.evaluation.pilots import describe_bundle
    from spark_ros.shares import bundle_directory

    bundle = load_bundle(bundle_directory(options.bundle))
    if options.json:
        print(bundle.manifest.model_dump_json(indent=1))
        return 0
    facts = {"folder": str(bundle.folder), "task": bundle.manifest.task, **describe_bundle(bundle)}
    facts["drift"] = _drift_sentence(bundle)
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


def _drift(options: argparse.Namespace) -> int:
    from spark_ros.bundle.drift_fit import add_drift
    from spark_ros.bundle.load import load_bundle
    from spark_ros.shares import bundle_directory

    bundle = add_drift(load_bundle(bundle_directory(options.bundle)), options.demos, options.false_alarm_rate)
    print(f"{bundle.folder} is now {bundle.manifest.id}")
    print(_drift_sentence(bundle))
    return 0


def _drift_sentence(bundle: Bundle) -> str:
    drift = bundle.drift()
    if drift is None:
        return "none: `spark-ros bundle drift` adds them"
    return (
        f"from {drift.fit_episodes} episodes; {drift.alarm_after} observations above 1 in a row happen in at most "
        f"{drift.false_alarm_rate:.1%} of nominal episodes, by {drift.held_out_episodes} held out"
    )
