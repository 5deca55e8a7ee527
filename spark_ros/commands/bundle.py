"""`spark-ros bundle`: what is in a bundle, and whether it works here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
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
    inspect.add_argument("bundle", help=bundle_files.BUNDLE)
    inspect.add_argument("--json", action="store_true", help="print the whole manifest as JSON")
    inspect.set_defaults(run=_inspect)
    verify = add_verb(
        what,
        "verify",
        "load both graphs and check that they reproduce the recorded outputs here",
        "Check the hashes, load both graphs as the robot does, and compare them with the outputs recorded at export.",
    )
    verify.add_argument("bundle", help=bundle_files.BUNDLE)
    verify.add_argument("--provider", default="cpu", help="where to run it, as perception's (default: %(default)s)")
    verify.add_argument("--allow-fallback", action="store_true", help="the processor will do where the provider is not")
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
    facts |= _spaces(bundle)
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
    from spark_ros.runtime.session import SessionOptions
    from spark_ros.shares import bundle_directory

    bundle = load_bundle(bundle_directory(options.bundle))
    print(f"ok  {len(bundle.manifest.files)} files are those that were exported")
    session = SessionOptions(provider=options.provider, allow_fallback=options.allow_fallback)
    EncoderRuntime(bundle, session)
    print("ok  the encoder reproduces its recorded tokens, and with them the recorded actions")
    PolicyRuntime(bundle, session)
    print("ok  the policy reproduces its recorded actions")
    print(f"{bundle.manifest.id} works on this machine")
    return 0


def _drift(options: argparse.Namespace) -> int:
    from spark_ros.bundle.drift_fit import add_drift
    from spark_ros.bundle.load import load_bundle
    from spark_ros.contracts import SparkError
    from spark_ros.shares import bundle_directory

    place = bundle_directory(options.bundle)
    if place.is_file():
        raise SparkError(f"{place} is a packed bundle, which nothing is added to: `spark-ros bundle unpack` it first")
    bundle = add_drift(load_bundle(place), options.demos, options.false_alarm_rate)
    print(f"{bundle.folder} is now {bundle.manifest.id}")
    print(_drift_sentence(bundle))
    return 0


def _spaces(bundle: Bundle) -> dict[str, str]:
    """What goes in and out, with units, and how far a session may lie off."""
    from spark_ros.bundle.units import action_units, proprioception_units

    manifest = bundle.manifest
    names, action, golden = manifest.proprioception, manifest.action, manifest.golden
    felt = manifest.proprioception_units or proprioception_units(names, manifest.joint_names)
    done = action.units or action_units(action.kind, action.names, manifest.joint_names)
    cameras = manifest.cameras.items()
    return {
        "manifest": f"version {manifest.version}",
        "joints": ", ".join(manifest.joint_names),
        "feels": ", ".join(f"{name} ({unit})" for name, unit in zip(names, felt, strict=True)),
        "gives": ", ".join(f"{name} ({unit})" for name, unit in zip(action.names, done, strict=True)),
        "calibrated": ", ".join(f"{name}: {entry.calibration or 'not stated'}" for name, entry in cameras),
        "tolerances": f"token cosine {golden.min_token_cosine:g}; actions given the recorded tokens "
        + _limits(action.names, golden.max_action_error, done)
        + "; mean action with the encoder "
        + _limits(action.names, golden.mean_action_limit, done),
    }


def _limits(names: Sequence[str], limits: Sequence[float], units: Sequence[str]) -> str:
    return ", ".join(f"{name} {limit:.2g} {unit}" for name, limit, unit in zip(names, limits, units, strict=True))


def _drift_sentence(bundle: Bundle) -> str:
    drift = bundle.drift()
    if drift is None:
        return "none: `spark-ros bundle drift` adds them"
    return (
        f"from {drift.fit_episodes} episodes; {drift.alarm_after} observations above 1 in a row happen in at most "
        f"{drift.false_alarm_rate:.1%} of nominal episodes, by {drift.held_out_episodes} held out"
    )
